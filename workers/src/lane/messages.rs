//! What a function's verdicts become in EVENTS: outputs, outcome events, dead
//! letters, checkpoints.
//!
//! Owns nothing but the facts that stay the same for a function on a lane. Every
//! message is a pure function of the input and the verdict, so that any number of
//! attempts makes the same messages under the same ids.

use std::sync::Arc;

use bytes::Bytes;
use protocol::bus::{Expect, Outgoing, Stored};
use protocol::checkpoint::Checkpoint;
use protocol::envelope::{Envelope, HOPS_MAX};
use protocol::header::Headers;
use protocol::id::{EventId, OutputId};
use protocol::lane::Lane;
use protocol::name::Channel;
use protocol::outcome::{OutcomeEvent, OutcomeKind, Outputs, RECEIPT_CHANNELS_MAX, dead_letter};
use protocol::position::{Position, Source};
use protocol::spec::{FunctionSpec, Schedule, StoreSpec, Trigger};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use host::event::Event;
use host::reply::{Emit, Emits};

/// A function on a lane of a store.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The function.
    pub spec: Arc<FunctionSpec>,
    /// The store.
    pub store: StoreSpec,
    /// The lane.
    pub lane: Lane,
    /// Whether the function remembers anything.
    pub remembers: bool,
}

/// The end of an input.
#[derive(Debug)]
pub enum Settled {
    /// Done, with these emissions.
    Ack(Emits),
    /// Filtered out.
    Drop(String),
    /// Poison, found at this attempt.
    Reject(String, u32),
    /// Its attempts or its time are used up.
    Dead(String, u32),
}

impl Scope {
    /// Whether the function is a gate.
    pub fn is_gate(&self) -> bool {
        matches!(self.spec.trigger, Trigger::Gate)
    }

    /// The kind of its inputs.
    pub fn kind(&self) -> Kind {
        if self.is_gate() { Kind::In } else { Kind::Ev }
    }

    /// The stream of its inputs.
    pub fn stream(&self) -> StreamName {
        if self.is_gate() {
            StreamName::ingress(&self.store.name)
        } else {
            StreamName::events(&self.store.name)
        }
    }

    /// The subjects of its inputs: all of the lane, since a consumer with one
    /// filter is fast and one with several crawls. Ticks stand on one.
    pub fn filter(&self) -> Subject {
        let (kind, store) = (self.kind(), &self.store.name);
        match self.spec.schedule() {
            Some(ticks) => Subject::event(kind, store, self.lane, ticks.tenant(), ticks.channel()),
            None => Subject::lane_filter(kind, store, self.lane),
        }
    }

    /// The schedule whose ticks are this lane's to make.
    pub fn schedule(&self) -> Option<&Schedule> {
        let schedule = self.spec.schedule()?;
        (schedule.lane(self.store.lanes) == self.lane).then_some(schedule)
    }

    /// Where its checkpoints go.
    pub fn checkpoint_subject(&self) -> Subject {
        Subject::checkpoint(&self.store.name, self.lane, &self.spec.name)
    }

    /// The version that handles an event: during a trial there are two.
    pub fn version(&self, event: &Event) -> &FunctionSpec {
        self.spec.version_for(&event.tenant, &event.channel)
    }

    /// Whether an event is handled by the version on trial.
    pub fn is_tried(&self, event: &Event) -> bool {
        let canary = self.spec.canary.as_ref();
        canary.is_some_and(|canary| canary.takes(&event.tenant, &event.channel))
    }

    /// Whether an event is this function's own output: it must not feed itself.
    pub fn is_own(&self, event: &Event) -> bool {
        !self.is_gate() && event.envelope.function.as_ref() == Some(&self.spec.name)
    }

    /// What is stored for an input, in order.
    pub fn settle(&self, event: &Event, settled: Settled) -> Vec<Outgoing> {
        match settled {
            Settled::Ack(emits) if emits.is_empty() => {
                self.told(event, OutcomeKind::Dropped, String::new())
            }
            Settled::Ack(emits) if self.hops(event) > HOPS_MAX => {
                drop(emits);
                self.settle(
                    event,
                    Settled::Reject(format!("the event has passed {HOPS_MAX} functions"), 1),
                )
            }
            Settled::Ack(emits) => {
                let channels = emits.iter().map(|emit| emit.channel.to_string());
                let channels = channels.take(RECEIPT_CHANNELS_MAX).collect();
                let outputs = emits.into_iter().enumerate();
                let mut messages: Vec<_> = outputs
                    .map(|(ordinal, emit)| self.output(event, ordinal, emit))
                    .collect();
                let count = messages.len() as u64;
                messages.extend(self.receipt(event, Outputs { count, channels }));
                messages
            }
            Settled::Drop(reason) => self.told(event, OutcomeKind::Dropped, reason),
            Settled::Reject(reason, attempts) => {
                self.buried(event, OutcomeKind::Rejected, reason, attempts)
            }
            Settled::Dead(reason, attempts) => {
                self.buried(event, OutcomeKind::DeadLettered, reason, attempts)
            }
        }
    }

    /// The dead letter of an input, whether or not it can be read as an event.
    pub fn dead_letter(&self, stored: &Stored, reason: &str, attempts: u32) -> Outgoing {
        let subject = stored.subject.clone();
        self.letter(stored, subject, &self.spec, (reason, attempts))
    }

    fn letter(
        &self,
        stored: &Stored,
        input: String,
        version: &FunctionSpec,
        (reason, attempts): (&str, u32),
    ) -> Outgoing {
        let mut headers = stored.headers.clone();
        headers.push(dead_letter::SUBJECT, input);
        headers.push(dead_letter::REASON, reason);
        headers.push(dead_letter::ATTEMPTS, attempts.to_string());
        headers.push(dead_letter::DIGEST, version.digest.as_str());
        headers.push(dead_letter::SOURCE, self.source(stored.seq).to_string());
        let subject = Subject::dead_letter(&self.store.name, self.lane, &self.spec.name);
        Outgoing {
            subject,
            headers,
            payload: stored.payload.clone(),
            msg_id: None,
            expect: None,
        }
    }

    /// The message of a checkpoint; `guard` is the sequence of the one before.
    pub fn checkpoint(&self, checkpoint: &Checkpoint, guard: Option<u64>) -> Outgoing {
        let payload =
            serde_json::to_vec(checkpoint).expect("a checkpoint has only names and numbers");
        let headers = Headers::new();
        Outgoing {
            subject: self.checkpoint_subject(),
            headers,
            payload: payload.into(),
            msg_id: None,
            expect: guard.map(Expect::LastOnSubject),
        }
    }

    fn source(&self, seq: u64) -> Source {
        Source {
            stream: self.stream(),
            epoch: self.store.epoch.clone(),
            seq,
        }
    }

    /// Functions passed by what this one makes of the event. A gate is on an
    /// event's way, not behind it, and does not count.
    fn hops(&self, event: &Event) -> u8 {
        if self.is_gate() {
            event.envelope.hops
        } else {
            event.envelope.hops.saturating_add(1)
        }
    }

    fn output(&self, event: &Event, ordinal: usize, emit: Emit) -> Outgoing {
        let mut envelope = self.envelope(event, ordinal);
        envelope.content_type = emit.content_type;
        envelope.user = emit.headers;
        self.event(event, &emit.channel, &envelope, emit.data)
    }

    fn envelope(&self, event: &Event, ordinal: usize) -> Envelope {
        let source = self.source(event.seq());
        let ordinal =
            u32::try_from(ordinal).expect("emissions of one event are limited to hundreds");
        let id = OutputId {
            function: self.spec.name.clone(),
            source: source.clone(),
            ordinal,
        };
        Envelope {
            id: id.to_string(),
            publisher: event.envelope.publisher.clone(),
            n: event.envelope.counter(),
            time: event.envelope.time,
            content_type: None,
            source: Some(source),
            function: Some(self.spec.name.clone()),
            gate: None,
            receipt: false,
            hops: self.hops(event),
            clock: event.envelope.clock.clone(),
            traceparent: event.envelope.traceparent.clone(),
            user: Vec::new(),
        }
    }

    fn event(
        &self,
        event: &Event,
        channel: &Channel,
        envelope: &Envelope,
        payload: Bytes,
    ) -> Outgoing {
        let lane = Lane::of(&event.tenant, channel, self.store.lanes);
        let subject = Subject::event(Kind::Ev, &self.store.name, lane, &event.tenant, channel);
        Outgoing {
            subject,
            headers: envelope.to_headers(),
            payload,
            msg_id: None,
            expect: None,
        }
    }

    fn buried(
        &self,
        event: &Event,
        outcome: OutcomeKind,
        reason: String,
        attempts: u32,
    ) -> Vec<Outgoing> {
        // Of one that was redriven, that of its first life: what it is about has not changed.
        let (kind, store) = (self.kind(), &self.store.name);
        let input = Subject::event(kind, store, self.lane, &event.tenant, &event.channel);
        let input = input.as_str().to_owned();
        let told = (reason.as_str(), attempts);
        let letter = self.letter(&event.stored, input, self.version(event), told);
        let mut messages = self.told(event, outcome, reason);
        messages.push(letter);
        messages
    }

    /// What a gate's publisher is told of an event that passed, where it wants that: behind
    /// the outputs, of which the sequence of this says where they are.
    fn receipt(&self, event: &Event, outputs: Outputs) -> Option<Outgoing> {
        let asked = event.envelope.receipt;
        let ordinal = usize::try_from(outputs.count).ok()?;
        let told = asked.then(|| self.outcome(event, OutcomeKind::Passed, String::new()))??;
        let told = OutcomeEvent {
            outputs: Some(outputs),
            ..told
        };
        self.tell(event, &told, ordinal)
    }

    /// What a gate's publisher is told of an event that did not pass.
    fn told(&self, event: &Event, outcome: OutcomeKind, reason: String) -> Vec<Outgoing> {
        let told = self.outcome(event, outcome, reason);
        // Inputs that did not pass have no emissions: its ordinal is the first.
        let told = told.and_then(|told| self.tell(event, &told, 0));
        told.into_iter().collect()
    }

    /// What became of an input of a gate. Events that nobody published (outputs of
    /// functions) have nobody to tell.
    fn outcome(&self, event: &Event, outcome: OutcomeKind, reason: String) -> Option<OutcomeEvent> {
        let id = EventId::parse(&event.envelope.id).ok()?;
        if !self.is_gate() || event.envelope.publisher.is_none() {
            return None;
        }
        let Stored { seq, time_us, .. } = event.stored;
        Some(OutcomeEvent {
            outcome,
            id: event.envelope.id.clone(),
            n: id.n,
            channel: event.channel.to_string(),
            position: Position {
                epoch: self.store.epoch.clone(),
                seq,
                time: Some(time_us),
            },
            function: self.spec.name.to_string(),
            reason,
            outputs: None,
        })
    }

    fn tell(&self, event: &Event, told: &OutcomeEvent, ordinal: usize) -> Option<Outgoing> {
        let publisher = event.envelope.publisher.as_ref()?;
        let channel = Channel::outcome(&publisher.user, &publisher.client, &event.channel);
        let data = serde_json::to_vec(told).expect("an outcome has only texts and numbers");
        Some(self.event(event, &channel, &self.envelope(event, ordinal), data.into()))
    }
}
