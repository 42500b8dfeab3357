//! Hears ephemeral events of a store's gates, and hands each to its gate, or says why it
//! cannot.
//!
//! Owns the gates that run on this worker, and their queues. One subscription in a queue
//! group serves all: every worker of a store runs all of its functions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Incoming, Kv, ReplyTo, Subscription};
use futures_util::StreamExt;
use protocol::bus::Stored;
use protocol::header;
use protocol::name::FunctionName;
use protocol::request::{ANSWER_WITHIN, Cause, GROUP};
use protocol::spec::{FunctionSpec, Trigger};
use protocol::subject::{Kind, Parsed, Subject};
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer;
use super::queue::{self, Asked, QUEUE_EVENTS_MAX};
use crate::deployed::Deployed;
use crate::lane::shared::Shared;
use crate::registry::Change;
use host::event::Event;

/// Looks at the time into why a gate does not run here. Policy: who asks meanwhile is told
/// that it is not ready.
const LOOKS_MAX: usize = 16;
/// Changes of functions that wait. Policy: the registry waits.
const CHANGES_MAX: usize = 16;
/// Wait before it is tried to subscribe again.
const SUBSCRIBE_AGAIN: Duration = Duration::from_millis(500);

/// What serves, and what it hears of.
pub struct Requests {
    shared: Arc<Shared>,
    functions: Kv,
    changes: mpsc::Receiver<Change>,
    gates: BTreeMap<FunctionName, Gate>,
    broken: BTreeMap<FunctionName, String>,
    queues: JoinSet<()>,
    looks: Arc<Semaphore>,
}

struct Gate {
    deployed: watch::Sender<Deployed>,
    queue: mpsc::Sender<Asked>,
}

/// Tells what serves of a change, for as long as it listens.
pub async fn heard(changes: &mpsc::Sender<Change>, change: &Change) {
    // Nobody listens any more once the worker ends.
    let _ = changes.send(change.clone()).await;
}

impl Requests {
    /// Serves nothing yet; tell the sender of every change.
    pub fn new(shared: Arc<Shared>, functions: Kv) -> (Self, mpsc::Sender<Change>) {
        let (sender, changes) = mpsc::channel(CHANGES_MAX);
        let requests = Self {
            shared,
            functions,
            changes,
            gates: BTreeMap::new(),
            broken: BTreeMap::new(),
            queues: JoinSet::new(),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
        };
        (requests, sender)
    }

    /// Answers until `stop`; what was taken is answered then, too.
    pub async fn run(mut self, stop: Shutdown) {
        let Some(mut questions) = self.subscribe(&stop).await else {
            return;
        };
        loop {
            // All branches are cancel safe: queues and sets keep what they have.
            tokio::select! {
                () = stop.triggered() => break,
                Some(change) = self.changes.recv() => self.take_up(change),
                Some(_) = self.queues.join_next() => {}
                question = questions.next() => match question {
                    Some(question) => self.ask(question).await,
                    None => break,
                },
            }
        }
        drop(questions);
        // Their queues close, and they end once those are empty.
        self.gates.clear();
        let ended = async { while self.queues.join_next().await.is_some() {} };
        let _ = timeout(ANSWER_WITHIN, ended).await;
    }

    async fn subscribe(&self, stop: &Shutdown) -> Option<Subscription> {
        let subject = Subject::store_filter(Kind::Req, &self.shared.store.name);
        loop {
            match self.shared.bus.subscribe_shared(&subject, GROUP).await {
                Ok(questions) => return Some(questions),
                Err(error) => tracing::warn!(%error, "ephemeral events cannot be heard yet"),
            }
            tokio::select! {
                () = stop.triggered() => return None,
                () = tokio::time::sleep(SUBSCRIBE_AGAIN) => {}
            }
        }
    }

    fn take_up(&mut self, change: Change) {
        match change {
            Change::Program(deployed) => self.runs(deployed),
            Change::Gone(name) => {
                self.gates.remove(&name);
                self.broken.remove(&name);
            }
            Change::Broken(name, reason) => {
                self.broken.insert(name, reason);
            }
        }
    }

    fn runs(&mut self, deployed: Deployed) {
        let spec = deployed.program.spec.clone();
        self.broken.remove(&spec.name);
        if !matches!(spec.trigger, Trigger::Gate) {
            self.gates.remove(&spec.name);
            return;
        }
        if let Some(gate) = self.gates.get(&spec.name) {
            gate.deployed.send_replace(deployed);
            return;
        }
        let (deployed, running) = watch::channel(deployed);
        let (queue, asked) = mpsc::channel(QUEUE_EVENTS_MAX);
        let gate = Gate { deployed, queue };
        self.queues
            .spawn(queue::run(self.shared.clone(), running, asked));
        self.gates.insert(spec.name.clone(), gate);
    }

    /// Hands a question to its gate, or says why it does not: what cannot be sent at once
    /// holds up those behind it.
    async fn ask(&mut self, question: Incoming) {
        let Some(reply) = question.reply.clone() else {
            // Nobody waits for it.
            return;
        };
        let (gate, event) = match read(question) {
            Ok(read) => read,
            Err((gate, problem)) => {
                return self.refuse(&gate, &reply, Cause::Malformed, &problem).await;
            }
        };
        let Some(running) = self.gates.get(&gate) else {
            return match self.broken.get(&gate) {
                Some(reason) => self.refuse(&gate, &reply, Cause::Broken, reason).await,
                None => self.look_up(gate, reply).await,
            };
        };
        if running.deployed.borrow().program.remembers() {
            return self.refuse(&gate, &reply, Cause::Remembers, "").await;
        }
        match running.queue.try_send(Asked::new(event, reply)) {
            Ok(()) => {}
            Err(TrySendError::Full(asked)) => {
                self.refuse(&gate, &asked.reply, Cause::Overloaded, "")
                    .await;
            }
            // A fault of ours has ended it: it begins anew.
            Err(TrySendError::Closed(asked)) => {
                let running = self.gates.remove(&gate);
                let last = running.map(|running| running.deployed.borrow().clone());
                last.into_iter().for_each(|deployed| self.runs(deployed));
                self.refuse(&gate, &asked.reply, Cause::Loading, "").await;
            }
        }
    }

    async fn refuse(&self, gate: &FunctionName, reply: &ReplyTo, cause: Cause, detail: &str) {
        let answer = answer::unavailable(cause, gate, detail);
        queue::tell(&self.shared.bus, gate, reply, answer).await;
    }

    /// Begins to find out why a gate does not run here.
    async fn look_up(&mut self, gate: FunctionName, reply: ReplyTo) {
        let Ok(look) = self.looks.clone().try_acquire_owned() else {
            return self.refuse(&gate, &reply, Cause::Loading, "").await;
        };
        let (shared, functions) = (self.shared.clone(), self.functions.clone());
        self.queues.spawn(async move {
            let cause = match deployed(&functions, &gate).await {
                Ok(Some(spec)) if spec.store == shared.store.name => standing(&spec),
                Ok(_) => Cause::Absent,
                Err(_) => Cause::Loading,
            };
            let answer = answer::unavailable(cause, &gate, "");
            queue::tell(&shared.bus, &gate, &reply, answer).await;
            drop(look);
        });
    }
}

/// The gate that a question is for, and the event.
fn read(question: Incoming) -> Result<(FunctionName, Event), (FunctionName, String)> {
    let unnamed = || FunctionName::parse("unnamed").expect("a name of letters");
    let gate = question.headers.get(header::GATE).map(FunctionName::parse);
    let gate = match gate {
        Some(Ok(gate)) => gate,
        Some(Err(error)) => return Err((unnamed(), error.to_string())),
        None => return Err((unnamed(), "it names no gate".to_owned())),
    };
    let problem = |problem: String| (gate.clone(), problem);
    let (tenant, channel) = match Parsed::parse(question.subject()) {
        Ok(Parsed::Event {
            tenant, channel, ..
        }) => (tenant, channel),
        _ => return Err(problem("its subject is no event's".to_owned())),
    };
    let stored = Stored {
        // It has no place in any stream.
        seq: 0,
        time_us: now_us(),
        subject: question.subject().to_owned(),
        headers: question.headers,
        payload: question.payload,
    };
    let event = Event::read(tenant, channel, stored);
    match event {
        Ok(event) => Ok((gate, event)),
        Err(failed) => Err((gate, failed.1.to_string())),
    }
}

/// What is deployed under a name.
async fn deployed(functions: &Kv, gate: &FunctionName) -> Result<Option<FunctionSpec>, BusError> {
    let found = functions.get(gate.as_str()).await?;
    let malformed = |_| BusError::Malformed { what: "spec" };
    found
        .map(|(json, _)| serde_json::from_slice(&json).map_err(malformed))
        .transpose()
}

/// Why what is deployed does not run here.
fn standing(spec: &FunctionSpec) -> Cause {
    match (&spec.trigger, &spec.paused) {
        (Trigger::Gate, Some(_)) => Cause::Paused,
        (Trigger::Gate, None) => Cause::Loading,
        _ => Cause::Absent,
    }
}
