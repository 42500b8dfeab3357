//! How many batches a process may have open, when any number of processes share what
//! the server allows and none knows of the others.
//!
//! A pure machine: it adds a place with every round of batches that went well and gives
//! up half of its places when the server says that too many are open (10210), as TCP
//! shares a line (RFC 5681). Owns the count.

/// Places of one process.
#[derive(Debug)]
pub(crate) struct Share {
    places: f64,
    most: f64,
    open: usize,
}

impl Share {
    /// All places at first.
    pub fn new(most: usize) -> Self {
        Self {
            places: most as f64,
            most: most as f64,
            open: 0,
        }
    }

    /// Takes a place if one is free.
    pub fn take(&mut self) -> bool {
        let free = self.open < self.places as usize;
        self.open += usize::from(free);
        free
    }

    /// Gives a place back.
    pub fn give_back(&mut self) {
        self.open -= 1;
    }

    /// The server took a batch.
    pub fn went_well(&mut self) {
        self.places = (self.places + 1.0 / self.places).min(self.most);
    }

    /// The server refused one because too many are open. One place stays.
    pub fn was_refused(&mut self) {
        self.places = (self.places / 2.0).max(1.0);
    }

    /// Places as they are now.
    pub fn places(&self) -> usize {
        self.places as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_up_to_the_share_and_given_back() {
        let mut share = Share::new(2);
        assert!(share.take() && share.take() && !share.take());
        share.give_back();
        assert!(share.take());
    }

    /// The server's places, asked for by `processes` that always have work.
    fn served(processes: usize, server_places: usize) -> Vec<usize> {
        let mut shares: Vec<_> = (0..processes).map(|_| Share::new(16)).collect();
        let mut served = vec![0; processes];
        for round in 0..4_000 {
            let mut open = 0;
            for turn in 0..processes {
                let process = (turn + round) % processes;
                let share = &mut shares[process];
                while share.take() {
                    open += 1;
                    if open > server_places {
                        share.was_refused();
                        break;
                    }
                    served[process] += 1;
                    share.went_well();
                }
            }
            for share in &mut shares {
                while share.open > 0 {
                    share.give_back();
                }
            }
        }
        served
    }

    #[test]
    fn any_number_of_processes_share_alike() {
        for processes in [1, 3, 4, 8, 40] {
            let served = served(processes, 50);
            let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
            assert!(*least > 0 && most / least < 2, "{processes}: {served:?}");
            let all: usize = served.iter().sum();
            let could = 4_000 * (16 * processes).min(50);
            assert!(all * 2 > could, "{processes}: {all} of {could}");
        }
    }
}
