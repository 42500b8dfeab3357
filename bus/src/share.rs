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

    /// What became of the batches of `processes` that always have work.
    struct Served {
        /// Taken, of each process.
        taken: Vec<usize>,
        /// Refused, of all.
        refused: usize,
    }

    fn served(processes: usize, server_places: usize) -> Served {
        let mut shares: Vec<_> = (0..processes).map(|_| Share::new(16)).collect();
        let (mut taken, mut refused) = (vec![0; processes], 0);
        for round in 0..4_000 {
            let mut open = 0;
            for turn in 0..processes {
                let process = (turn + round) % processes;
                let share = &mut shares[process];
                while share.take() {
                    open += 1;
                    if open > server_places {
                        share.was_refused();
                        refused += 1;
                        break;
                    }
                    taken[process] += 1;
                    share.went_well();
                }
            }
            for share in &mut shares {
                while share.open > 0 {
                    share.give_back();
                }
            }
        }
        Served { taken, refused }
    }

    #[test]
    fn any_number_of_processes_share_alike() {
        for processes in [1, 3, 4, 8, 40] {
            let Served { taken, refused } = served(processes, 50);
            let (least, most) = (taken.iter().min().unwrap(), taken.iter().max().unwrap());
            assert!(*least > 0 && most / least < 2, "{processes}: {taken:?}");
            let all: usize = taken.iter().sum();
            let could = 4_000 * (16 * processes).min(50);
            assert!(all * 2 > could, "{processes}: {all} of {could}");
            // With more processes each keeps its one place, and is refused by turns.
            if processes <= 8 {
                assert!(refused * 20 < all, "{processes}: {refused} beside {all}");
            }
        }
    }
}
