//! Inputs that have come and wait to be handed over in the order of their sequences.
//!
//! The mirror gives them in order per channel alone. Owns what waits, bounded in number and
//! in bytes; policy past either: the last ones are left out, and that is told.

use std::collections::BTreeMap;

use host::event::Event;

/// Most bytes that wait: of a few hundred inputs of the largest size, or of many more of
/// usual ones.
const BYTES_MAX: usize = 256 << 20;

/// What waits.
#[derive(Debug)]
pub(crate) struct Held {
    events: BTreeMap<u64, Event>,
    events_max: usize,
    bytes: usize,
    bytes_max: usize,
    /// The first one that was left out.
    cut: Option<u64>,
}

impl Held {
    /// Room for so many.
    pub(crate) fn new(events_max: usize) -> Self {
        Self {
            events: BTreeMap::new(),
            events_max,
            bytes: 0,
            bytes_max: BYTES_MAX,
            cut: None,
        }
    }

    /// Adds one, which may have come before; leaves out the last ones past a limit. The
    /// first is kept whatever its size.
    pub(crate) fn push(&mut self, event: Event) {
        if self.cut.is_some_and(|cut| event.seq() >= cut) {
            return;
        }
        self.bytes += bytes(&event);
        if let Some(before) = self.events.insert(event.seq(), event) {
            self.bytes -= bytes(&before);
        }
        while self.events.len() > self.events_max
            || self.bytes > self.bytes_max && self.events.len() > 1
        {
            let Some((seq, event)) = self.events.pop_last() else {
                return;
            };
            self.bytes -= bytes(&event);
            self.cut = Some(seq);
        }
    }

    /// Whether some were left out: all that have come before them are here.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// All of them, in order.
    pub(crate) fn take(self) -> impl Iterator<Item = Event> {
        self.events.into_values()
    }
}

fn bytes(event: &Event) -> usize {
    let headers = event.stored.headers.iter();
    let headers = headers.map(|(name, value)| name.len() + value.len());
    event.stored.payload.len() + headers.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use host::event;
    use protocol::bus::Stored;
    use protocol::header::{self, Headers};

    use super::*;

    fn event(seq: u64) -> Event {
        let mut headers = Headers::new();
        headers.push(header::ID, "t/u/c/1");
        headers.push(header::TIME, "1");
        let stored = Stored {
            seq,
            time_us: 1,
            subject: "in.main.0.acme.doc.a".into(),
            headers,
            payload: Bytes::from_static(&[b'x'; 100]),
        };
        let (tenant, channel) = event::address(&stored).unwrap();
        Event::read(tenant, channel, stored).unwrap()
    }

    fn held(mut held: Held, seqs: &[u64]) -> (Vec<u64>, bool) {
        for seq in seqs {
            held.push(event(*seq));
        }
        let cut = held.is_cut();
        (held.take().map(|event| event.seq()).collect(), cut)
    }

    #[test]
    fn the_first_ones_are_kept_in_order_and_once() {
        let seqs = [5, 3, 9, 3, 1];
        assert_eq!(held(Held::new(4), &seqs), (vec![1, 3, 5, 9], false));
        assert_eq!(held(Held::new(3), &seqs), (vec![1, 3, 5], true));
        // What comes behind one that was left out stays out, though there were room.
        assert_eq!(held(Held::new(1), &[5, 9, 7]), (vec![5], true));
    }

    #[test]
    fn bytes_within_and_beyond_their_limit() {
        let limited = |bytes_max| Held {
            bytes_max,
            ..Held::new(10)
        };
        let one = bytes(&event(1));
        assert_eq!(held(limited(2 * one), &[2, 1]), (vec![1, 2], false));
        assert_eq!(held(limited(2 * one), &[3, 2, 1]), (vec![1, 2], true));
        assert_eq!(held(limited(one - 1), &[3]), (vec![3], false));
    }
}
