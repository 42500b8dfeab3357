//! What a guest's answer to one event means for the lane.
//!
//! Owns nothing: a decision from the answer, the event's history, the limits and
//! the time.

use protocol::bus::Outgoing;
use protocol::state::Change;

use super::messages::{Scope, Settled};
use super::progress::Waiting;
use super::retry::{self, Next};
use super::tally::Tallies;
use host::event::Event;
use host::fault::Fault;
use host::reply::{self, Handled};

/// Attempts on an event whose reply was refused each time: an instance that was fresh has
/// said the same again, and would go on to.
const REFUSED_REPLIES_MAX: u32 = 2;

/// The end of one attempt.
#[derive(Debug)]
pub enum Verdict {
    /// The event is settled; this is to be stored, and this remembered.
    Settled(Vec<Outgoing>, Vec<Change>),
    /// Its channel waits for another attempt.
    Wait(Waiting),
    /// Its attempts or its time are used up; this is to be stored.
    GaveUp(Vec<Outgoing>),
    /// The function cannot go on, for this reason.
    Halt(String),
}

/// Judges an answer given at `now` (microseconds since 1970); `before` is how the
/// event's channel waited, if it did.
pub fn judge(
    scope: &Scope,
    tallies: &mut Tallies,
    event: &Event,
    handled: Handled,
    before: Option<Waiting>,
    now: u64,
) -> Verdict {
    let attempt = before.map_or(0, |waiting| waiting.attempts_on(event.seq())) + 1;
    let tally = tallies.of(scope.is_tried(event));
    tally.count(&handled);
    let refused = matches!(handled, Handled::Fault(Fault::Reply(_)));
    let (wish_ms, reason) = match handled {
        Handled::Ack(done) => {
            let messages = scope.settle(event, Settled::Ack(done.emits));
            return Verdict::Settled(messages, done.changes);
        }
        Handled::Drop(reason) => {
            return Verdict::Settled(scope.settle(event, Settled::Drop(reason)), Vec::new());
        }
        Handled::Reject(reason) => {
            let messages = scope.settle(event, Settled::Reject(reason, attempt));
            return Verdict::Settled(messages, Vec::new());
        }
        Handled::Halt(reason) => return Verdict::Halt(reason),
        Handled::Retry { delay_ms, reason } => (delay_ms, reason),
        Handled::Fault(fault) => (0, reply::cut_reason(fault.to_string().as_bytes())),
    };
    if refused && attempt >= REFUSED_REPLIES_MAX {
        tally.dead += 1;
        return Verdict::GaveUp(scope.settle(event, Settled::Dead(reason, attempt)));
    }
    match retry::next(
        &scope.version(event).limits,
        event.seq(),
        before,
        wish_ms,
        now,
    ) {
        Next::Again(waiting) => Verdict::Wait(waiting),
        Next::GiveUp { attempts } => {
            tally.dead += 1;
            Verdict::GaveUp(scope.settle(event, Settled::Dead(reason, attempts)))
        }
    }
}
