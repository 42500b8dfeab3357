//! The history checker: given what was sent, acknowledged, refused, stored, delivered and
//! mirrored, decides whether Eddyline kept its promises.
//!
//! Job: one pure function, [`History::check`], from records to a [`Report`] of typed
//! [`Violation`]s. Each promise has a module of its own under `check/`.
//! State: a [`History`] belongs to the caller; a [`Recorder`] shares one between tasks.
//! Must not know: servers, clients, runtimes, clocks or files. It never trusts a service's
//! code: it shares no type with them, so that a fault in `protocol` cannot excuse itself.
//!
//! It takes time proportional to the records (times a logarithm for sorting).

mod check;
mod history;
mod index;
mod pattern;
mod ranges;
mod record;
mod recorder;
mod report;
mod violation;

#[cfg(test)]
mod tests;

pub use history::{History, LineError, Record};
pub use record::{
    Acked, Delivered, Expected, Function, Kind, MirrorGap, Mirrored, MirroredStream, Parked, Place,
    Refused, Sent, Stored, StreamState, Subscription, Tick, Verdict,
};
pub use recorder::Recorder;
pub use report::{Counts, KEPT_PER_KIND, Report};
pub use violation::Violation;
