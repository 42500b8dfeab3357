//! Hands ephemeral events to NATS: at once where they pass no gate.
//!
//! Owns the queue, and the task that empties it. An event leaves it when the connection
//! has it; what becomes of it then, nobody knows.

use std::sync::Arc;

use bus::Bus;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use service::shutdown::Shutdown;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::task::TaskTracker;

use super::answer::{Answer, refusal};
use super::asking::Asking;
use super::draft::EphemeralDraft;
use crate::core::namespaces::Namespaces;

/// Events that wait to be handed to the connection: a quarter of a second at the rate that
/// it takes on one core. Policy: the next one is refused with `unavailable`.
const EVENTS_MAX: usize = 4_096;
/// Events that are taken out of the queue in one go.
const RUN_EVENTS_MAX: usize = 64;

/// Passes the ephemeral events of one node on.
pub struct Passing {
    queue: mpsc::Sender<(EphemeralDraft, Answer)>,
    asking: Asking,
}

impl Passing {
    /// Starts; `stop` ends what it starts among `tasks`.
    pub fn new(bus: Bus, namespaces: Arc<Namespaces>, stop: Shutdown, tasks: TaskTracker) -> Self {
        let (queue, waiting) = mpsc::channel(EVENTS_MAX);
        tasks.spawn(hand_over(bus.clone(), waiting, stop.clone()));
        Self {
            queue,
            asking: Asking::new(bus, namespaces, stop, tasks),
        }
    }

    /// Takes an event; the answer is given once it was passed on or refused.
    pub fn submit(&self, draft: EphemeralDraft, answer: Answer) {
        if draft.gate.is_some() {
            return self.asking.submit(draft, answer);
        }
        let (answer, message) = match self.queue.try_send((draft, answer)) {
            Ok(()) => return,
            Err(TrySendError::Full((_, answer))) => {
                (answer, "the node has as many ephemeral events as it may")
            }
            Err(TrySendError::Closed((_, answer))) => (answer, "the node is stopping"),
        };
        answer.refuse(ErrorBody::new(ErrorCode::Unavailable, message));
    }
}

async fn hand_over(
    bus: Bus,
    mut waiting: mpsc::Receiver<(EphemeralDraft, Answer)>,
    stop: Shutdown,
) {
    let mut run = Vec::with_capacity(RUN_EVENTS_MAX);
    loop {
        // Both are cancel safe: what was not taken out stays queued.
        tokio::select! {
            () = stop.triggered() => return,
            taken = waiting.recv_many(&mut run, RUN_EVENTS_MAX) => {
                if taken == 0 {
                    return;
                }
            }
        }
        for (draft, answer) in run.drain(..) {
            match bus.publish_core(draft.outgoing()).await {
                Ok(()) => answer.passed_on(draft.n),
                Err(error) => answer.refuse(refusal(&error)),
            }
        }
    }
}
