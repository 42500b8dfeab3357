//! One place that is being read: what its task and the functions that take from it share.
//!
//! Owns the window and the count of those who take from it. It never awaits.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, ReaderOptions};
use parking_lot::Mutex;
use protocol::bus::Stored;
use protocol::stream::StreamName;
use protocol::subject::Subject;
use tokio::sync::{Notify, watch};

use super::window::Window;

/// Wait after a request for a reader that failed for now: longer than most elections of a
/// leader take, and twice a second is told often enough.
pub(super) const AGAIN: Duration = Duration::from_millis(500);

/// A stream and the filter by which it is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub stream: StreamName,
    pub filter: Subject,
}

/// One place that is being read.
pub(super) struct Intake {
    pub place: Place,
    pub options: ReaderOptions,
    state: Mutex<State>,
    /// Changes whenever those that wait should look again.
    pub news: watch::Sender<()>,
    /// Wakes the task: there is room again, or nobody is left.
    pub nudge: Notify,
}

struct State {
    window: Window,
    /// What waits in the stream behind the window; `None`: not known yet.
    pending: Option<u64>,
    taps: usize,
    /// Nobody can join any more.
    closed: bool,
    /// Why it has ended, unless because nobody was left.
    failed: Option<Arc<BusError>>,
    /// Why it is not read for now.
    refused: Option<String>,
}

/// What a function gets that asks for what comes after its position.
pub(super) enum Found {
    Events(Vec<Stored>),
    /// Nothing yet.
    Nothing,
    /// It has to read by itself.
    Elsewhere,
}

/// What the task does next.
pub(super) enum Step {
    Read,
    Rest,
    End,
}

impl Intake {
    /// One that has its first function.
    pub(super) fn new(place: Place, options: ReaderOptions, from: u64) -> Self {
        Self {
            place,
            options,
            state: Mutex::new(State {
                window: Window::from(from),
                pending: None,
                taps: 1,
                closed: false,
                failed: None,
                refused: None,
            }),
            news: watch::channel(()).0,
            nudge: Notify::new(),
        }
    }

    /// Counts one function more, unless it has ended.
    pub(super) fn join(&self) -> bool {
        let mut state = self.state.lock();
        state.taps += usize::from(!state.closed);
        !state.closed
    }

    /// Whether whoever has everything up to this position gets the rest here.
    pub(super) fn covers(&self, cursor: u64) -> bool {
        self.state.lock().window.covers(cursor)
    }

    /// Whether nobody can join any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// What comes after a position.
    pub(super) fn take(&self, cursor: u64) -> Result<Found, Arc<BusError>> {
        let mut state = self.state.lock();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let batch = self.options.batch;
        if !state.window.covers(cursor) || (state.is_late(batch) && state.window.is_before(cursor))
        {
            return Ok(Found::Elsewhere);
        }
        let rested = !state.has_room(batch);
        let alone = state.taps == 1;
        let events = state.window.take(cursor, batch, alone);
        if rested && state.has_room(batch) {
            self.nudge.notify_one();
        }
        Ok(match events.is_empty() {
            true => Found::Nothing,
            false => Found::Events(events),
        })
    }

    /// What waits behind a position, here and in the stream.
    pub(super) fn pending(&self, cursor: u64) -> u64 {
        let state = self.state.lock();
        // Not known: something may.
        state.pending.unwrap_or(1) + state.window.unread(cursor) as u64
    }

    /// Why it is not read for now, if it is not.
    pub(super) fn refused(&self) -> Option<String> {
        self.state.lock().refused.clone()
    }

    /// No reader can be made for now, and why; or (`None`) there is one.
    pub(super) fn refuse(&self, reason: Option<String>) {
        let mut state = self.state.lock();
        let changed = state.refused != reason;
        state.refused = reason;
        drop(state);
        if changed {
            self.news.send_replace(());
        }
    }

    /// What the task does next.
    pub(super) fn step(&self) -> Step {
        let mut state = self.state.lock();
        if state.taps == 0 {
            state.closed = true;
            return Step::End;
        }
        match state.has_room(self.options.batch) {
            true => Step::Read,
            false => Step::Rest,
        }
    }

    /// Adds what was read.
    pub(super) fn put(&self, events: Vec<Stored>, pending: u64) {
        let mut state = self.state.lock();
        state.window.push(events);
        state.pending = Some(pending);
        drop(state);
        self.news.send_replace(());
    }

    pub(super) fn fail(&self, error: BusError) {
        let mut state = self.state.lock();
        (state.closed, state.failed) = (true, Some(Arc::new(error)));
        drop(state);
        self.news.send_replace(());
    }

    pub(super) fn leave(&self) {
        let mut state = self.state.lock();
        state.taps -= 1;
        if state.taps == 0 {
            self.nudge.notify_one();
        }
    }
}

impl State {
    /// Whether more is read: the fastest function has less than a batch before it.
    fn has_room(&self, batch: usize) -> bool {
        self.window.untaken() < batch
    }

    /// Whether the end of the stream is far from here.
    fn is_late(&self, batch: usize) -> bool {
        !self.has_room(batch) || self.pending.is_some_and(|pending| pending > batch as u64)
    }
}
