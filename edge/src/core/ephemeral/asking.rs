//! Takes ephemeral events to their gates, by request and reply, and fans out what passes.
//!
//! Owns the places of those that are under way; each is one task, which lasts as long as
//! an answer may take.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use parking_lot::Mutex;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::name::FunctionName;
use protocol::request::{ANSWER_WITHIN, Answer as GateAnswer};
use service::shutdown::Shutdown;
use tokio_util::task::TaskTracker;

use super::answer::{Answer, refusal};
use super::draft::EphemeralDraft;
use super::verdict::{self, Verdict};
use crate::core::namespaces::Namespaces;
use shares::places::Places;

/// Ephemeral events of one node that are at their gates: eight times what a worker lets
/// wait for one gate. Policy: the next one is refused with `gate_unavailable`.
const UNDER_WAY_MAX: usize = 1_024;
/// How long an answer is waited for: a worker gives up a moment before.
const WAIT: Duration = ANSWER_WITHIN.saturating_add(Duration::from_millis(250));

/// Takes events to their gates.
pub struct Asking {
    shared: Arc<Shared>,
    stop: Shutdown,
    tasks: TaskTracker,
}

struct Shared {
    bus: Bus,
    namespaces: Arc<Namespaces>,
    places: Mutex<Places>,
}

/// A tenant's place; dropping it gives it back.
struct Place {
    shared: Arc<Shared>,
    draft: EphemeralDraft,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.places.lock().give_back(&self.draft.tenant);
    }
}

impl Asking {
    /// Nothing is under way. What it starts is among `tasks`, and ends with `stop`.
    pub fn new(bus: Bus, namespaces: Arc<Namespaces>, stop: Shutdown, tasks: TaskTracker) -> Self {
        let shared = Arc::new(Shared {
            bus,
            namespaces,
            places: Mutex::new(Places::new(UNDER_WAY_MAX)),
        });
        Self {
            shared,
            stop,
            tasks,
        }
    }

    /// Takes an event to its gate; the answer is given once the gate has answered, or has
    /// not in time.
    pub fn submit(&self, draft: EphemeralDraft, answer: Answer) {
        let Some(gate) = draft.gate.clone() else {
            return;
        };
        if !self.shared.places.lock().take(&draft.tenant) {
            let message = format!("as many events of the tenant are at {gate} as may be");
            return answer.refuse(verdict::unavailable(message, None));
        }
        let (shared, stop) = (self.shared.clone(), self.stop.clone());
        let place = Place { shared, draft };
        self.tasks.spawn(async move {
            // Cancelled, its answer is dropped, and says that the node is stopping.
            tokio::select! {
                () = stop.triggered() => {}
                () = ask(place, gate, answer) => {}
            }
        });
    }
}

async fn ask(place: Place, gate: FunctionName, answer: Answer) {
    let Place { shared, draft } = &place;
    let bus = &shared.bus;
    let verdict = match bus.request(draft.outgoing(), WAIT).await {
        Ok(bytes) => match GateAnswer::decode(&bytes) {
            Some(said) => verdict::of(said, draft, &gate, &shared.namespaces.snapshot()),
            None => {
                let message = format!("the answer of {gate} is not readable");
                Verdict::Refused(ErrorBody::new(ErrorCode::GateFailed, message))
            }
        },
        Err(error) => Verdict::Refused(verdict::unanswered(&error, &gate)),
    };
    match verdict {
        Verdict::Dropped(reason) => answer.dropped(draft.n, reason),
        Verdict::Refused(error) => answer.refuse(error),
        Verdict::FanOut(messages) => {
            for message in messages {
                if let Err(error) = bus.publish_core(message).await {
                    return answer.refuse(refusal(&error));
                }
            }
            answer.passed_on(draft.n);
        }
    }
}
