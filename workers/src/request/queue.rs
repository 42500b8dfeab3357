//! One gate's ephemeral events, in the order in which they came: handed to the guest as
//! many as are ready, each answered within its time.
//!
//! Owns the queue's end and a place on a guest thread, whose instance is no lane's.

use std::sync::Arc;

use bus::{Bus, ReplyTo};
use protocol::name::FunctionName;
use protocol::request::{ANSWER_WITHIN, Answer, Cause};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::answer;
use crate::deployed::Deployed;
use crate::lane::shared::Shared;
use host::event::Event;
use host::fault::Broken;
use host::pack::Item;
use host::pool::Guest;

/// Events of one gate that wait on one worker. Policy: the next is refused, with a hint when
/// to try again.
pub const QUEUE_EVENTS_MAX: usize = 128;
/// Events in one call: few enough that the first does not wait for the last.
const CALL_EVENTS_MAX: usize = 32;

/// An event that somebody waits for.
pub struct Asked {
    /// The event; it is in no stream.
    pub event: Event,
    /// Where the answer goes.
    pub reply: ReplyTo,
    /// When it is too late for one.
    pub until: Instant,
}

impl Asked {
    /// An event that has come now.
    pub fn new(event: Event, reply: ReplyTo) -> Self {
        Self {
            event,
            reply,
            until: Instant::now() + ANSWER_WITHIN,
        }
    }
}

/// Answers and counts. What cannot be sent is counted too: who asked waits no longer than
/// for a lost answer.
pub async fn tell(bus: &Bus, gate: &FunctionName, reply: &ReplyTo, answer: Answer) {
    let (answer, encoded) = answer::encode(answer, bus.max_payload());
    let outcome = match bus.respond(reply, encoded).await {
        Ok(()) => answer::outcome(&answer),
        Err(error) => {
            tracing::debug!(%error, function = %gate, "an ephemeral event has no answer");
            "unanswered"
        }
    };
    let function = match &answer {
        // Anybody can ask for what is not there.
        Answer::Unavailable {
            cause: Cause::Absent,
            ..
        } => String::new(),
        _ => gate.to_string(),
    };
    metrics::counter!("function_requests_total", "function" => function, "outcome" => outcome)
        .increment(1);
}

/// Answers what comes, until the queue is closed and empty.
pub async fn run(
    shared: Arc<Shared>,
    deployed: watch::Receiver<Deployed>,
    mut asked: mpsc::Receiver<Asked>,
) {
    let guest = shared.host.attach(0);
    let mut ready = Vec::with_capacity(CALL_EVENTS_MAX);
    while asked.recv_many(&mut ready, CALL_EVENTS_MAX).await > 0 {
        let deployed = deployed.borrow().clone();
        let gate = deployed.program.spec.name.clone();
        shared.faults.hit("request.before_run");
        let answers = answers(&guest, &deployed, &ready).await;
        for (asked, answer) in ready.drain(..).zip(answers) {
            tell(&shared.bus, &gate, &asked.reply, answer).await;
        }
    }
}

/// An answer for each.
async fn answers(guest: &Guest, deployed: &Deployed, ready: &[Asked]) -> Vec<Answer> {
    let gate = &deployed.program.spec.name;
    let items: Vec<Item> = ready
        .iter()
        .map(|asked| Item {
            event: Arc::new(asked.event.clone()),
            attempt: 1,
            memory: None,
        })
        .collect();
    let mut answers = Vec::with_capacity(items.len());
    while answers.len() < items.len() {
        let rest = items[answers.len()..].to_vec();
        // They came in order, so the first is the first for which it is too late.
        let until = ready[answers.len()].until;
        // Given up, the call goes on, and its answer is nobody's.
        match timeout_at(until, guest.run(deployed.program.clone(), rest)).await {
            Ok(Ok(handled)) if !handled.is_empty() => {
                answers.extend(handled.into_iter().map(answer::of));
            }
            Ok(Err(Broken::Init(reason))) => {
                let broken = answer::unavailable(Cause::Broken, gate, &reason.to_string());
                answers.resize(items.len(), broken);
            }
            Ok(Err(Broken::Unavailable(_) | Broken::Rests)) => {
                let busy = answer::unavailable(Cause::Overloaded, gate, "");
                answers.resize(items.len(), busy);
            }
            Ok(Ok(_)) | Err(_) => answers.push(answer::unavailable(Cause::Late, gate, "")),
        }
    }
    answers
}
