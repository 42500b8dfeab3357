//! Look-ups over a history that several checks share.
//!
//! State: borrowed from the history, built once per check.
//! Must not know: promises. Sorting and hashing here keep every check linear.

use std::collections::{BTreeMap, HashMap};

use crate::history::History;
use crate::record::{Kind, Place, Sent, Stored};

/// A client's event by its publisher and counter.
pub(crate) type EventKey<'h> = (&'h str, u64);

/// Look-ups over one history.
pub(crate) struct Index<'h> {
    pub(crate) history: &'h History,
    /// Stored messages of each stream by sequence.
    pub(crate) streams: BTreeMap<&'h str, Vec<&'h Stored>>,
    /// Stored events (`Ev`) of each channel by stream and sequence.
    pub(crate) channels: HashMap<&'h str, Vec<&'h Stored>>,
    by_place: HashMap<(&'h str, u64), &'h Stored>,
    clients: HashMap<EventKey<'h>, &'h Stored>,
    sent: HashMap<EventKey<'h>, &'h Sent>,
    sent_again: HashMap<EventKey<'h>, Vec<&'h Sent>>,
    retained: HashMap<&'h str, u64>,
}

impl<'h> Index<'h> {
    pub(crate) fn new(history: &'h History) -> Self {
        let mut index = Self {
            history,
            streams: BTreeMap::new(),
            channels: HashMap::new(),
            by_place: HashMap::with_capacity(history.stored.len()),
            clients: HashMap::new(),
            sent: HashMap::with_capacity(history.sent.len()),
            sent_again: HashMap::new(),
            retained: HashMap::new(),
        };
        for state in &history.streams {
            index.retained.insert(&state.stream, state.retained_from);
        }
        index.add_stored();
        index.add_sent();
        index
    }

    fn add_stored(&mut self) {
        for stored in &self.history.stored {
            self.streams.entry(&stored.stream).or_default().push(stored);
            self.by_place
                .entry((&stored.stream, stored.seq))
                .or_insert(stored);
        }
        for list in self.streams.values_mut() {
            list.sort_by_key(|stored| stored.seq);
            for stored in list.iter() {
                if stored.kind == Kind::Ev {
                    self.channels
                        .entry(&stored.channel)
                        .or_default()
                        .push(stored);
                }
                if let Some(key) = client_key(stored) {
                    self.clients.entry(key).or_insert(stored);
                }
            }
        }
    }

    fn add_sent(&mut self) {
        for sent in &self.history.sent {
            let key = (sent.publisher.as_str(), sent.n);
            let first = *self.sent.entry(key).or_insert(sent);
            if !std::ptr::eq(first, sent) {
                self.sent_again.entry(key).or_default().push(sent);
            }
        }
    }

    /// The stored message at a place.
    pub(crate) fn at(&self, stream: &'h str, seq: u64) -> Option<&'h Stored> {
        self.by_place.get(&(stream, seq)).copied()
    }

    /// The first stored message with a client's event id.
    pub(crate) fn client_event(&self, key: EventKey<'h>) -> Option<&'h Stored> {
        self.clients.get(&key).copied()
    }

    /// What was sent under an id: one record, or more when a test reused the id on purpose.
    pub(crate) fn sends(&self, key: EventKey<'h>) -> impl Iterator<Item = &'h Sent> {
        let again = self.sent_again.get(&key).into_iter().flatten();
        self.sent.get(&key).into_iter().chain(again).copied()
    }

    /// The first sequence that retention has left in a stream; 0 when nothing is known to be
    /// removed.
    pub(crate) fn retained_from(&self, stream: &str) -> u64 {
        self.retained.get(stream).copied().unwrap_or(0)
    }

    /// The stored messages of a stream with `from <= seq <= to`, by sequence.
    pub(crate) fn between(&self, stream: &str, from: u64, to: u64) -> &[&'h Stored] {
        let list = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        slice_between(list, from, to)
    }
}

/// The part of a list sorted by sequence with `from <= seq <= to`.
pub(crate) fn slice_between<'s, 'h>(
    list: &'s [&'h Stored],
    from: u64,
    to: u64,
) -> &'s [&'h Stored] {
    let start = list.partition_point(|stored| stored.seq < from);
    let end = list.partition_point(|stored| stored.seq <= to);
    &list[start..end.max(start)]
}

/// Publisher and counter of a client's own event, stored raw or directly; `None` for everything
/// that a function wrote.
pub(crate) fn client_key(stored: &Stored) -> Option<EventKey<'_>> {
    let own = matches!(stored.kind, Kind::In | Kind::Ev) && stored.function.is_none();
    own.then(|| parse_client_id(&stored.id)).flatten()
}

/// Splits `tenant/user/client/n`.
pub(crate) fn parse_client_id(id: &str) -> Option<EventKey<'_>> {
    let (publisher, n) = id.rsplit_once('/')?;
    if publisher.split('/').count() != 3 {
        return None;
    }
    Some((publisher, n.parse().ok()?))
}

/// Where a stored message is.
pub(crate) fn place(stored: &Stored) -> Place {
    Place::new(&stored.stream, stored.seq)
}

/// The id of a client's event.
pub(crate) fn event_id((publisher, n): EventKey<'_>) -> String {
    format!("{publisher}/{n}")
}
