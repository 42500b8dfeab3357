//! Where everybody else meets a session: its outbox and its mailbox, under one lock
//! that is never held across a wait.
//!
//! Feeds and replays push events, publishes and subscriptions leave notes; the
//! session's task takes both. A subscription that was closed takes no more events,
//! so nothing follows the reply to `unsubscribe`.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::frame::{Encoding, ErrorBody, HistoryPage, PassedOn, Presence, Published, encode};
use protocol::name::Channel;
use tokio::sync::Notify;

use super::ephemeral::fleeting::Fleeting;
use super::metrics::meters;
use super::run::Form;
use shares::budget::Budget;
use shares::credit::Credits;
use shares::lossy::{Lossy, Passed};
use shares::outbox::{Full, Outbox};
use shares::sieve::Sieve;

/// What part of the bytes of an outbox ephemeral events may take, beside it: a second of
/// many cursors, and no more than a client can take in one go when it is back.
pub const LOSSY_SHARE: usize = 4;

/// What a session is told. Bounded by what it asked for: a note for each publish
/// within its window and each page or look that is under way, at most two for each
/// subscription, one each about revocations and presence, and one that it is disconnected.
#[derive(Debug)]
pub enum Note {
    /// A publish has ended.
    Published {
        /// The command.
        command: u64,
        /// What came of it.
        outcome: Result<Published, ErrorBody>,
    },
    /// A page of history was read, or could not be.
    Read {
        /// The command.
        command: u64,
        /// What came of it.
        outcome: Result<Box<HistoryPage>, ErrorBody>,
    },
    /// An ephemeral event was passed on, or was not.
    PassedOn {
        /// The command.
        command: u64,
        /// What came of it.
        outcome: Result<PassedOn, ErrorBody>,
    },
    /// A subscription could not be made.
    Refused {
        /// The subscription.
        id: u64,
        /// The command.
        command: u64,
        /// The channel.
        channel: Channel,
        /// Why.
        error: ErrorBody,
    },
    /// A subscription was paused after this sequence, because the outbox was full.
    Lagging {
        /// The subscription.
        id: u64,
        /// The last sequence that was pushed.
        at: u64,
    },
    /// The store's epoch changed.
    EpochChanged,
    /// Something of the tenant's was revoked.
    Revocations,
    /// It is to end, and may come back.
    Disconnected,
    /// Presence begins or ends in some namespace.
    Seats,
    /// Somebody looked who is on a channel, or could not.
    Looked {
        /// The command.
        command: u64,
        /// What came of it.
        outcome: Result<Presence, ErrorBody>,
    },
}

/// What became of a frame that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is queued.
    Taken,
    /// The outbox is full.
    Full,
    /// The subscription is closed.
    Closed,
}

/// How far a run of events came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// All of it; the subscription stands at this sequence.
    All(u64),
    /// Up to this sequence, then the outbox was full.
    Full(u64),
    /// Up to this sequence, then its client had granted no more.
    Spent(u64),
    /// The subscription is closed.
    Closed,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    /// Ephemeral events that wait; there for as long as some do.
    lossy: Option<Box<Lossy<Fleeting>>>,
    notes: Vec<Note>,
    /// Subscriptions that are being made: their commands are not answered yet.
    expected: Vec<u64>,
    /// Subscriptions that take events; few, so a list.
    open: Vec<u64>,
    closed: bool,
    /// What those may still be sent that count it; there for as long as one does.
    credits: Option<Box<Credits>>,
    /// What those are not sent that want a part; one for each such subscription.
    sieves: Vec<(u64, Sieve)>,
    /// How far subscriptions have come: everything up to here was queued.
    reached: Vec<(u64, u64)>,
    /// A paused subscription waits for room.
    room_awaited: bool,
}

impl State {
    /// A subscription has come this far.
    fn reach(&mut self, id: u64, seq: u64) {
        let mut reached = self.reached.iter_mut();
        if let Some((_, at)) = reached.find(|(known, _)| *known == id) {
            *at = seq.max(*at);
        }
    }

    /// Whether a subscription may be sent an event.
    fn allows(&self, id: u64) -> bool {
        let credits = self.credits.as_deref();
        credits.is_none_or(|credits| credits.allows(id))
    }
}

fn sieve_of(sieves: &mut [(u64, Sieve)], id: u64) -> Option<&mut Sieve> {
    let mut sieves = sieves.iter_mut();
    let found = sieves.find(|(sieved, _)| *sieved == id);
    found.map(|(_, sieve)| sieve)
}

/// The meeting place of one session.
#[derive(Debug)]
pub struct Port {
    state: Mutex<State>,
    /// The node's bytes.
    budget: Arc<Budget>,
    /// Bytes of ephemeral events that may wait.
    lossy_bytes: usize,
    /// How events that go together are queued.
    form: Form,
    /// Something is there for the session.
    wake: Notify,
    /// The outbox has room again.
    room: Notify,
}

impl Port {
    /// A port with an outbox of so many bytes of the node's, whose events are queued in this form.
    pub fn new(outbox_bytes: usize, budget: &Arc<Budget>, form: Form) -> Self {
        let state = State {
            outbox: Outbox::new(outbox_bytes, budget.charge()),
            lossy: None,
            notes: Vec::new(),
            expected: Vec::new(),
            open: Vec::new(),
            closed: false,
            credits: None,
            sieves: Vec::new(),
            reached: Vec::new(),
            room_awaited: false,
        };
        Self {
            state: Mutex::new(state),
            budget: budget.clone(),
            lossy_bytes: outbox_bytes / LOSSY_SHARE,
            form,
            wake: Notify::new(),
            room: Notify::new(),
        }
    }

    /// How events that go together are queued.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Queues a reply or a push of the session itself.
    pub fn send(&self, frame: Bytes) {
        self.state.lock().outbox.push(frame);
        self.wake.notify_one();
    }

    /// Queues a frame of a subscription that is not an event; false once it is closed.
    pub fn send_for(&self, id: u64, frame: Bytes) -> bool {
        let mut state = self.state.lock();
        let open = state.open.contains(&id);
        if open {
            state.outbox.push(frame);
            drop(state);
            self.wake.notify_one();
        }
        open
    }

    /// Queues a frame that says how far a subscription has come; what it was not sent is told
    /// before. False once it is closed.
    pub fn send_after(&self, id: u64, encoding: Encoding, seq: u64, frame: Bytes) -> bool {
        let mut state = self.state.lock();
        let open = state.open.contains(&id);
        if open {
            let state = &mut *state;
            if let Some(sieve) = sieve_of(&mut state.sieves, id)
                && let Some(untold) = sieve.untold()
            {
                state.outbox.push(encode(encoding, &untold));
                sieve.told();
            }
            state.outbox.push(frame);
            state.reach(id, seq);
            self.wake.notify_one();
        }
        open
    }

    /// Queues a frame of a subscription that is not an event, if it fits.
    pub fn try_send_for(&self, id: u64, frame: Bytes) -> Sent {
        let mut state = self.state.lock();
        if !state.open.contains(&id) {
            return Sent::Closed;
        }
        if state.outbox.try_push(frame) == Err(Full) {
            return Sent::Full;
        }
        drop(state);
        self.wake.notify_one();
        Sent::Taken
    }

    /// Asks the session to look at what is revoked. Asked again before it has looked, it
    /// looks once.
    pub fn recheck(&self) {
        self.note_once(Note::Revocations);
    }

    /// Asks the session to look whether its channels tell who is on them; once, likewise.
    pub fn reseat(&self) {
        self.note_once(Note::Seats);
    }

    /// Asks the session to end. Asked again before it has, it ends once.
    pub fn disconnect(&self) {
        self.note_once(Note::Disconnected);
    }

    /// Leaves a note that says nothing but its kind, unless one of its kind is there.
    fn note_once(&self, note: Note) {
        let mut state = self.state.lock();
        let kind = std::mem::discriminant(&note);
        let mut kinds = state.notes.iter().map(std::mem::discriminant);
        if !state.closed && kinds.all(|other| other != kind) {
            state.notes.push(note);
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Queues ephemeral events beside the outbox; returns what became of older ones. Nothing
    /// is taken by a subscription that is closed.
    pub fn push_lossy(&self, id: u64, encoding: Encoding, events: &[&Arc<Fleeting>]) -> Passed {
        let mut state = self.state.lock();
        if events.is_empty() || !state.open.contains(&id) {
            return Passed::default();
        }
        let allowed = state.allows(id);
        let lossy = state.lossy.get_or_insert_with(|| {
            let charge = self.budget.charge();
            Box::new(Lossy::new(encoding, self.lossy_bytes, charge))
        });
        let mut passed = Passed::default();
        for event in events {
            passed += match allowed {
                true => lossy.push(id, Arc::clone(event)),
                false => lossy.refuse(id, event),
            };
        }
        drop(state);
        self.wake.notify_one();
        passed
    }

    /// Leaves a note.
    pub fn note(&self, note: Note) {
        let mut state = self.state.lock();
        if !state.closed {
            state.notes.push(note);
            drop(state);
            self.wake.notify_one();
        }
    }

    /// A subscription is being made.
    pub fn expect(&self, id: u64) {
        let mut state = self.state.lock();
        if !state.closed {
            state.expected.push(id);
        }
    }

    /// Answers the command of a subscription that was expected and lets it take events;
    /// false, and nothing is queued, if it was shut meanwhile or the session has ended.
    pub fn open(&self, id: u64, reply: Bytes) -> bool {
        let mut state = self.state.lock();
        if !remove(&mut state.expected, id) {
            return false;
        }
        state.open.push(id);
        state.outbox.push(reply);
        drop(state);
        self.wake.notify_one();
        true
    }

    /// Ends a subscription: from now on it takes nothing. True if it was still expected:
    /// its command has not been answered and never will be by anybody else.
    pub fn shut(&self, id: u64) -> bool {
        let mut state = self.state.lock();
        remove(&mut state.open, id);
        if let Some(lossy) = &mut state.lossy {
            lossy.forget(id);
        }
        if let Some(credits) = &mut state.credits {
            credits.forget(id);
        }
        state.sieves.retain(|(sieved, _)| *sieved != id);
        state.reached.retain(|(known, _)| *known != id);
        remove(&mut state.expected, id)
    }

    /// Ends the session: no notes, no events any more.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        (state.open, state.expected) = (Vec::new(), Vec::new());
        (state.lossy, state.credits, state.sieves) = (None, None, Vec::new());
        let notes = std::mem::take(&mut state.notes);
        drop(state);
        drop(notes);
        self.room.notify_waiters();
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Waits until there may be something to take. Cancel safe.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Waits until a paused subscription may go on, or the session has ended. Cancel
    /// safe.
    pub async fn room(&self) {
        loop {
            let mut notified = std::pin::pin!(self.room.notified());
            notified.as_mut().enable();
            {
                let mut state = self.state.lock();
                if state.closed || state.outbox.has_room() {
                    return;
                }
                state.room_awaited = true;
            }
            notified.await;
        }
    }

    /// Takes the notes.
    pub fn take_notes(&self) -> Vec<Note> {
        std::mem::take(&mut self.state.lock().notes)
    }

    /// Takes at most so many frames, in order; ephemeral events once nothing else is left.
    pub fn take(&self, frames_max: usize, mut into: impl FnMut(Bytes)) {
        let state = &mut *self.state.lock();
        let taken = state.outbox.take(frames_max, &mut into);
        let Some(lossy) = &mut state.lossy else {
            return;
        };
        let (outbox, credits) = (&mut state.outbox, &mut state.credits);
        let dropped = lossy.take(frames_max - taken, credits.as_deref_mut(), |frame| {
            outbox.handed_out(frame.len());
            into(frame);
        });
        meters().gave_way.increment(dropped);
        if lossy.is_empty() {
            state.lossy = None;
        }
    }

    /// So many bytes of what was taken have been written.
    pub fn written(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.outbox.written(bytes);
        // Room may have come by others as well, which have given the node's bytes back.
        let room = state.room_awaited && state.outbox.has_room();
        state.room_awaited &= !room;
        drop(state);
        if room {
            self.room.notify_waiters();
        }
    }

    /// Forgets the frames that have not been taken.
    pub fn discard(&self) {
        let mut state = self.state.lock();
        state.outbox.discard();
        state.lossy = None;
    }

    /// Whether commands should wait.
    pub fn is_over(&self) -> bool {
        self.state.lock().outbox.is_over()
    }
}

fn remove(list: &mut Vec<u64>, id: u64) -> bool {
    let place = list.iter().position(|listed| *listed == id);
    place.map(|place| list.swap_remove(place)).is_some()
}

mod credit;
mod pushing;

#[cfg(test)]
mod tests;
