//! What fits into a page. Pure.

use protocol::bus::Stored;

/// Bytes of a page, data and headers, as an estimate: a quarter of a client's outbox.
/// A single event is given however long it is.
pub const PAGE_BYTES_MAX: usize = 256 << 10;
/// What an event costs beside its data and headers, bytes.
const EVENT_OVERHEAD_BYTES: usize = 256;

/// About what an event takes of a page, bytes.
pub fn size(event: &Stored) -> usize {
    let headers = event.headers.iter();
    let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
    EVENT_OVERHEAD_BYTES + headers + event.payload.len()
}

/// Events in the order of reading, as many as fit.
#[derive(Debug)]
pub struct Events {
    list: Vec<Stored>,
    bytes: usize,
    limit: usize,
}

impl Events {
    /// None yet, and at most so many.
    pub fn new(limit: usize) -> Self {
        Self {
            list: Vec::new(),
            bytes: 0,
            limit,
        }
    }

    /// Takes an event; false if it does not fit.
    pub fn push(&mut self, event: Stored) -> bool {
        let bytes = self.bytes + size(&event);
        let fits = self.list.len() < self.limit && bytes <= PAGE_BYTES_MAX;
        if self.list.is_empty() || fits {
            self.bytes = bytes;
            self.list.push(event);
            return true;
        }
        false
    }

    /// Whether there are as many as there may be.
    pub fn is_full(&self) -> bool {
        self.list.len() >= self.limit
    }

    /// The sequence of the one that was read first.
    pub fn opening(&self) -> Option<u64> {
        self.list.first().map(|event| event.seq)
    }

    /// The sequence of the one that was read last.
    pub fn reached(&self) -> Option<u64> {
        self.list.last().map(|event| event.seq)
    }

    /// All of them, in the order of reading.
    pub fn into_list(self) -> Vec<Stored> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::header::Headers;

    use super::*;

    fn event(seq: u64, bytes: usize) -> Stored {
        Stored {
            seq,
            time_us: seq,
            subject: String::new(),
            headers: Headers::new(),
            payload: Bytes::from(vec![b'x'; bytes]),
        }
    }

    #[test]
    fn the_limits_of_a_page_obeyed_and_violated() {
        let mut events = Events::new(2);
        assert!(events.push(event(1, 10)) && !events.is_full());
        assert!(events.push(event(2, 10)) && events.is_full());
        assert!(!events.push(event(3, 10)));
        let half = PAGE_BYTES_MAX / 2 - EVENT_OVERHEAD_BYTES;
        let mut events = Events::new(9);
        assert!(events.push(event(1, half)) && events.push(event(2, half)));
        assert!(!events.push(event(3, 0)));
        assert_eq!((events.opening(), events.reached()), (Some(1), Some(2)));
        let mut events = Events::new(9);
        assert!(events.push(event(1, 2 * PAGE_BYTES_MAX)), "a single event");
        assert!(!events.push(event(2, 0)));
    }
}
