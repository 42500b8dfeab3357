//! Where the answer to an ephemeral event goes: into a session's port, or to whoever waits
//! for this one alone. It is always given: dropped, it says that the node is stopping.

use std::sync::Arc;

use bus::BusError;
use protocol::class::Class;
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, PassedOn};
use tokio::sync::oneshot;

use crate::core::metrics::{meters, publish_refused};
use crate::core::port::{Note, Port};

/// What came of an ephemeral event.
pub type Outcome = Result<PassedOn, ErrorBody>;

/// Where an answer goes.
#[derive(Debug)]
pub struct Answer(Option<To>);

#[derive(Debug)]
enum To {
    Session { port: Arc<Port>, command: u64 },
    Waiter(oneshot::Sender<Outcome>),
}

impl Answer {
    /// As a note for a session: the answer to this command of it.
    pub fn session(port: Arc<Port>, command: u64) -> Self {
        Self(Some(To::Session { port, command }))
    }

    /// To whoever holds the receiver.
    pub fn waiter() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(To::Waiter(sender))), receiver)
    }

    /// The event was handed to NATS.
    pub fn passed_on(self, n: u64) {
        meters().passed_on.increment(1);
        self.give(Ok(passed_on(n, None)));
    }

    /// The gate has filtered it.
    pub fn dropped(self, n: u64, reason: String) {
        meters().gate_dropped.increment(1);
        self.give(Ok(passed_on(n, Some(reason))));
    }

    /// It was refused.
    pub fn refuse(self, error: ErrorBody) {
        publish_refused(error.code);
        self.give(Err(error));
    }

    fn give(mut self, outcome: Outcome) {
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Outcome) {
        match self.0.take() {
            Some(To::Session { port, command }) => port.note(Note::PassedOn { command, outcome }),
            // Whoever asked has gone.
            Some(To::Waiter(sender)) => drop(sender.send(outcome)),
            None => {}
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let message = "the node is stopping";
        self.settle(Err(ErrorBody::new(ErrorCode::Unavailable, message)));
    }
}

fn passed_on(n: u64, dropped: Option<String>) -> PassedOn {
    PassedOn {
        n,
        class: Class::Ephemeral,
        dropped,
    }
}

/// What a client is told when the bus does not take its event.
pub fn refusal(error: &BusError) -> ErrorBody {
    let code = match error {
        BusError::TooLarge { .. } => ErrorCode::DataTooLarge,
        BusError::Header { .. } => ErrorCode::BadHeader,
        _ => ErrorCode::Unavailable,
    };
    ErrorBody::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::Form;
    use shares::budget::Budget;

    #[test]
    fn an_answer_that_nobody_gives_is_a_refusal() {
        let port = Arc::new(Port::new(100, &Budget::new(1 << 30), Form::Joined));
        drop(Answer::session(port.clone(), 7));
        Answer::session(port.clone(), 8).passed_on(3);
        let notes = port.take_notes();
        let told = |note: &Note| match note {
            Note::PassedOn { command, outcome } => (
                *command,
                outcome.as_ref().map_or(None, |passed| Some(passed.n)),
            ),
            note => panic!("{note:?}"),
        };
        assert_eq!(
            notes.iter().map(told).collect::<Vec<_>>(),
            [(7, None), (8, Some(3))]
        );
    }
}
