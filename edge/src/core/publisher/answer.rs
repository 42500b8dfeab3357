//! Where the answer to a publish goes: into a session's port, or to whoever waits for
//! this one alone.

use std::sync::Arc;

use bus::BusError;
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Published};
use tokio::sync::oneshot;

use crate::core::port::{Note, Port};

/// What came of a publish.
pub type Outcome = Result<Published, ErrorBody>;

/// Where an answer goes.
#[derive(Debug)]
pub struct Answer(To);

#[derive(Debug)]
enum To {
    Session { port: Arc<Port>, command: u64 },
    Waiter(oneshot::Sender<Outcome>),
}

impl Answer {
    /// As a note for a session: the answer to this command of it.
    pub fn session(port: Arc<Port>, command: u64) -> Self {
        Self(To::Session { port, command })
    }

    /// To whoever holds the receiver.
    pub fn waiter() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Self(To::Waiter(sender)), receiver)
    }

    /// Whether nobody will read it any more.
    pub fn is_unwanted(&self) -> bool {
        match &self.0 {
            To::Session { port, .. } => port.is_closed(),
            To::Waiter(sender) => sender.is_closed(),
        }
    }

    /// Gives it.
    pub fn give(self, outcome: Outcome) {
        match self.0 {
            To::Session { port, command } => port.note(Note::Published { command, outcome }),
            // Whoever asked has gone, and resends if it wants to know.
            To::Waiter(sender) => drop(sender.send(outcome)),
        }
    }
}

/// What a client is told of a failure of the bus.
pub fn refusal(error: &BusError) -> ErrorBody {
    let code = match error {
        BusError::StreamFull => ErrorCode::StoreFull,
        BusError::TooLarge { .. } => ErrorCode::DataTooLarge,
        BusError::Header { .. } => ErrorCode::BadHeader,
        _ => ErrorCode::Unavailable,
    };
    if code == ErrorCode::Unavailable && !error.temporary() {
        tracing::warn!(%error, "the store refuses an event for no reason of the client's");
    }
    ErrorBody::new(code, error.to_string())
}
