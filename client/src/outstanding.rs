//! Events that have no ack yet: which is sent next, and what an answer means.
//!
//! Owns the events until their ack. A pure state machine: times go in, decisions
//! come out. Must not know connections or encodings.
//!
//! The order of one channel's events is kept: while an event waits out a
//! temporary refusal, later ones of its channel wait behind it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use tokio::time::Instant;

use super::options::Draft;

#[cfg(test)]
mod tests;

/// Events without ack that a client holds; further ones wait in the caller.
pub(super) const OUTSTANDING_MAX: usize = 1024;

/// Wait after a temporary refusal that names none.
const RETRY_DEFAULT: Duration = Duration::from_millis(100);

struct Entry<W> {
    draft: Draft,
    waiter: W,
    /// The server's time at the first attempt that may have stored it.
    first_sent: Option<u64>,
    /// Whether an earlier attempt may have stored it.
    uncertain: bool,
    in_flight: bool,
    not_before: Option<Instant>,
}

/// What is to be sent now.
pub(super) struct Sending<'a> {
    pub n: u64,
    pub draft: &'a Draft,
    /// Present on a resend.
    pub first_sent: Option<u64>,
}

/// What a refusal means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal<W> {
    /// The event is given up: tell this waiter.
    Final(W),
    /// It will be sent again.
    Again,
    /// No such event.
    Unknown,
}

/// All events without ack, each with whoever waits for it.
pub(super) struct Outstanding<W> {
    entries: BTreeMap<u64, Entry<W>>,
    /// Those to be sent, by number.
    waiting: BTreeSet<u64>,
}

impl<W> Outstanding<W> {
    pub fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether another event may be taken in.
    pub fn has_room(&self) -> bool {
        self.entries.len() < OUTSTANDING_MAX
    }

    /// Takes in an event; gives the waiter back if its number is in use.
    pub fn insert(&mut self, n: u64, draft: Draft, waiter: W) -> Result<(), W> {
        if self.entries.contains_key(&n) {
            return Err(waiter);
        }
        let first_sent = draft.resend.map(|resend| resend.first_sent);
        let entry = Entry {
            uncertain: first_sent.is_some(),
            first_sent,
            draft,
            waiter,
            in_flight: false,
            not_before: None,
        };
        self.entries.insert(n, entry);
        self.waiting.insert(n);
        Ok(())
    }

    /// Whether [`Outstanding::next`] has something.
    pub fn is_ready(&self, window: usize, now: Instant) -> bool {
        self.candidate(window, now).is_some()
    }

    /// The event to send now, if any; it counts as sent. `window` is how many may
    /// be in flight, `server_us` the server's time.
    pub fn next(&mut self, window: usize, now: Instant, server_us: u64) -> Option<Sending<'_>> {
        let n = self.candidate(window, now)?;
        self.waiting.remove(&n);
        let entry = self.entries.get_mut(&n)?;
        entry.in_flight = true;
        entry.not_before = None;
        let resend_of = entry.first_sent.filter(|_| entry.uncertain);
        if !entry.uncertain {
            entry.first_sent = Some(server_us);
        }
        Some(Sending {
            n,
            draft: &entry.draft,
            first_sent: resend_of,
        })
    }

    fn candidate(&self, window: usize, now: Instant) -> Option<u64> {
        if self.entries.len() - self.waiting.len() >= window {
            return None;
        }
        let mut blocked: HashSet<&str> = HashSet::new();
        self.waiting.iter().copied().find(|n| {
            let entry = &self.entries[n];
            let channel = entry.draft.channel.as_str();
            if blocked.contains(channel) {
                return false;
            }
            let due = entry.not_before.is_none_or(|time| time <= now);
            if !due {
                blocked.insert(channel);
            }
            due
        })
    }

    /// When the next event that waits out a refusal is due, later than `now`.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let times = self.waiting.iter().map(|n| self.entries[n].not_before);
        times.flatten().filter(|time| *time > now).min()
    }

    /// The event is stored.
    pub fn acked(&mut self, n: u64) -> Option<W> {
        self.waiting.remove(&n);
        self.entries.remove(&n).map(|entry| entry.waiter)
    }

    /// The event was refused.
    pub fn refused(&mut self, n: u64, body: &ErrorBody, now: Instant) -> Refusal<W> {
        let Some(entry) = self.entries.get_mut(&n) else {
            return Refusal::Unknown;
        };
        if !body.temporary {
            return self.acked(n).map_or(Refusal::Unknown, Refusal::Final);
        }
        // These are decided before anything is sent to the store.
        let untouched = matches!(
            body.code,
            ErrorCode::EarlierRefused | ErrorCode::WindowExceeded | ErrorCode::RateLimited
        );
        entry.uncertain |= !untouched;
        entry.in_flight = false;
        let wait = body
            .retry_after_ms
            .map_or(RETRY_DEFAULT, Duration::from_millis);
        entry.not_before = Some(now + wait);
        self.waiting.insert(n);
        Refusal::Again
    }

    /// The connection is gone: everything in flight may or may not be stored, and
    /// is sent again. Returns how many that are.
    pub fn lost(&mut self) -> usize {
        let mut resent = 0;
        for (n, entry) in &mut self.entries {
            entry.not_before = None;
            if std::mem::take(&mut entry.in_flight) {
                entry.uncertain = true;
                self.waiting.insert(*n);
                resent += 1;
            }
        }
        resent
    }

    /// Gives everything up; returns those who waited.
    pub fn drain(&mut self) -> impl Iterator<Item = W> {
        self.waiting.clear();
        std::mem::take(&mut self.entries)
            .into_values()
            .map(|entry| entry.waiter)
    }
}
