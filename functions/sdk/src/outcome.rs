//! What a function decides about one event.
//!
//! A value, owned by whoever returns it. Must not know how the host carries an
//! outcome out; `functions/wit/types.wit` says what each of them promises.

use std::borrow::Cow;
use std::time::Duration;

/// The outcome of one event.
///
/// What was emitted for an event counts only with `Ack`; with every other
/// outcome the SDK takes its emissions back. Reasons are for people, at most
/// 512 bytes, and the event's publisher may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Done. In a gate, what was emitted is what is stored, and an `Ack`
    /// without an emission is the same as `Drop`.
    Ack,
    /// Filtered out on purpose; a gate's publisher is told.
    Drop {
        /// Why.
        reason: Cow<'static, str>,
    },
    /// Never going to be good: a dead letter at once; a gate's publisher is told.
    Reject {
        /// Why.
        reason: Cow<'static, str>,
    },
    /// Not now: the event's channel is parked and the event is handled again.
    /// The rest of the channel's events in this batch are not handled before it.
    Retry {
        /// How long to wait, in whole milliseconds; zero leaves it to the host.
        delay: Duration,
        /// Why.
        reason: Cow<'static, str>,
    },
    /// The function cannot go on. This event and all later ones of the lane stay
    /// unhandled until somebody intervenes.
    Halt {
        /// Why.
        reason: Cow<'static, str>,
    },
}

impl Outcome {
    /// [`Outcome::Drop`] with a reason.
    pub fn drop(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Drop {
            reason: reason.into(),
        }
    }

    /// [`Outcome::Reject`] with a reason.
    pub fn reject(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Reject {
            reason: reason.into(),
        }
    }

    /// [`Outcome::Retry`] after `delay`, with a reason.
    pub fn retry(delay: Duration, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Retry {
            delay,
            reason: reason.into(),
        }
    }

    /// [`Outcome::Halt`] with a reason.
    pub fn halt(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Halt {
            reason: reason.into(),
        }
    }
}
