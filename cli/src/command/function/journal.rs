//! What each input of one function became, told from what its lanes store: a state
//! machine that is handed both streams of a store in their order and never waits.
//!
//! Owns the inputs of which nothing is known yet, and what is known of each lane. A
//! commit of a lane is one atomic batch that ends with its checkpoint, so at the
//! checkpoint everything about the inputs before it has been seen.

use std::collections::BTreeMap;
use std::time::Duration;

use control::app::FunctionEntry;
use protocol::bus::Stored;
use protocol::checkpoint::{Bases, Checkpoint, Held, Parked};
use protocol::envelope::Envelope;
use protocol::filter::HeaderFilter;
use protocol::header::{self, Headers};
use protocol::lane::Lane;
use protocol::name::{Channel, ChannelPattern, FunctionName, Tenant};
use protocol::outcome::{OutcomeEvent, OutcomeKind, dead_letter};
use protocol::position::Source;
use protocol::subject::{Kind, Parsed};
use tokio::time::Instant;
use workbench::golden::record::{Becomes, Outcome, Output, Record};

/// Inputs, and sources of outputs, that are remembered; then the oldest are forgotten:
/// somebody reads along, and reads the newest.
const REMEMBERED_MAX: usize = 10_000;
/// How long an input may wait before that is told: far longer than a function takes,
/// and what somebody at a terminal waits before wondering.
pub(super) const WONDER: Duration = Duration::from_secs(5);

/// One input.
struct Input {
    lane: Lane,
    tenant: Tenant,
    channel: Channel,
    record: Record,
    since: Instant,
    wondered: bool,
    attempts: u32,
}

/// What was stored of one input.
#[derive(Default)]
struct Made {
    outputs: Vec<Output>,
    told: Option<(Outcome, String)>,
}

/// How far a lane is: what its last checkpoint says.
struct Progress {
    seq: u64,
    parked: Vec<Parked>,
    held: Vec<Held>,
}

/// What has not become of an input yet.
enum Standing<'a> {
    /// It is settled.
    Done,
    /// It is the one that its channel waits for.
    Retried(&'a Parked),
    /// It waits for an earlier one.
    Waits,
}

impl Progress {
    fn of(&self, seq: u64, input: &Input) -> Standing<'_> {
        let held = |held: &Held| held.tenant == input.tenant && held.seq <= seq;
        let parked = |parked: &&Parked| {
            parked.tenant == input.tenant && parked.channel == input.channel && parked.seq <= seq
        };
        match self.parked.iter().find(parked) {
            Some(parked) if parked.seq == seq => Standing::Retried(parked),
            Some(_) => Standing::Waits,
            None if self.held.iter().any(held) => Standing::Waits,
            None => Standing::Done,
        }
    }
}

/// The journal of a function.
pub(super) struct Journal {
    function: FunctionName,
    on: Vec<ChannelPattern>,
    demands: HeaderFilter,
    /// By their sequence.
    inputs: BTreeMap<u64, Input>,
    made: BTreeMap<u64, Made>,
    lanes: BTreeMap<u16, Progress>,
    bases: Bases,
}

impl Journal {
    /// A journal that has seen nothing.
    pub(super) fn new(function: FunctionName, entry: &FunctionEntry) -> Self {
        Self {
            function,
            on: entry.on.clone(),
            demands: entry.headers.clone(),
            inputs: BTreeMap::new(),
            made: BTreeMap::new(),
            lanes: BTreeMap::new(),
            bases: Bases::default(),
        }
    }

    /// Takes the next message of INGRESS or of EVENTS: returns the inputs that became
    /// something by it, in their order.
    pub(super) fn see(&mut self, stored: Stored, now: Instant) -> Vec<Record> {
        match Parsed::parse(&stored.subject) {
            Ok(Parsed::Event {
                kind,
                lane,
                tenant,
                channel,
                ..
            }) => self.event(kind, (lane, tenant, channel), stored, now),
            Ok(Parsed::DeadLetter { function, .. }) if function == self.function => {
                self.dead_letter(&stored);
                Vec::new()
            }
            Ok(Parsed::Checkpoint { lane, function, .. }) if function == self.function => {
                self.checkpoint(lane, &stored);
                self.settle(lane)
            }
            _ => Vec::new(),
        }
    }

    /// Inputs of which nothing has become anything for too long; each is told once.
    pub(super) fn waiting(&mut self, now: Instant) -> Vec<String> {
        let late = |input: &&mut Input| !input.wondered && now - input.since >= WONDER;
        let mut told = Vec::new();
        for input in self.inputs.values_mut().filter(late) {
            input.wondered = true;
            let (seq, channel) = (input.record.seq.unwrap_or_default(), &input.channel);
            let text = format!("{seq} on {channel}: nothing has become of it in {WONDER:?}");
            told.push(text);
        }
        told
    }

    fn handles(&self, channel: &Channel, headers: &Headers) -> bool {
        let is_tick = headers.get(header::TICK) == Some(self.function.as_str());
        let on = self.on.iter().any(|pattern| pattern.matches(channel));
        is_tick || (on && self.demands.matches(headers))
    }

    fn event(
        &mut self,
        kind: Kind,
        address: (Lane, Tenant, Channel),
        stored: Stored,
        now: Instant,
    ) -> Vec<Record> {
        // What cannot be read is not of Eddyline, and nobody's input.
        let Ok(envelope) = Envelope::from_headers(&stored.headers) else {
            return Vec::new();
        };
        let (lane, tenant, channel) = address;
        let own = envelope.function.as_ref() == Some(&self.function);
        let is_input = match kind {
            Kind::In => envelope.gate.as_ref() == Some(&self.function),
            _ => !own && self.handles(&channel, &stored.headers),
        };
        if channel.outcomes_of().is_some() {
            self.outcome(&stored);
        } else if own && let Some(source) = &envelope.source {
            let (kind, headers) = (envelope.content_type.as_deref(), &envelope.user);
            let output = Output::new(channel.as_str(), kind, headers, &stored.payload);
            self.made(source.seq).outputs.push(output);
        } else if is_input {
            let record = Record::new(&tenant, &channel, &envelope, &stored);
            let input = Input {
                lane,
                tenant,
                channel,
                record,
                since: now,
                wondered: false,
                attempts: 0,
            };
            self.inputs.insert(stored.seq, input);
            if self.inputs.len() > REMEMBERED_MAX {
                self.inputs.pop_first();
            }
            // Both streams are read on their own: it may have become something already.
            return self.settle(lane);
        }
        Vec::new()
    }

    fn made(&mut self, seq: u64) -> &mut Made {
        if self.made.len() >= REMEMBERED_MAX && !self.made.contains_key(&seq) {
            self.made.pop_first();
        }
        self.made.entry(seq).or_default()
    }

    fn outcome(&mut self, stored: &Stored) {
        let Ok(outcome) = serde_json::from_slice::<OutcomeEvent>(&stored.payload) else {
            return;
        };
        if outcome.function == self.function.as_str() {
            let what = match outcome.outcome {
                // Its outputs say so.
                OutcomeKind::Passed => return,
                OutcomeKind::Dropped => Outcome::Drop,
                OutcomeKind::Rejected => Outcome::Reject,
                OutcomeKind::DeadLettered => Outcome::Fault,
            };
            self.made(outcome.position.seq).told = Some((what, outcome.reason));
        }
    }

    fn checkpoint(&mut self, lane: Lane, stored: &Stored) {
        // Of a version of the worker that this program does not know.
        let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(&stored.payload) else {
            return;
        };
        let parked = self.bases.parked(&stored.subject, stored.seq, &checkpoint);
        // Without its base, which is from before this journal, it says too little.
        if let Some(parked) = parked {
            let progress = Progress {
                seq: checkpoint.seq,
                parked,
                held: checkpoint.held,
            };
            self.lanes.insert(lane.0, progress);
        }
    }

    fn dead_letter(&mut self, stored: &Stored) {
        let header = |name| stored.headers.get(name).unwrap_or_default();
        if !header(dead_letter::SETTLED).is_empty() {
            return;
        }
        if let Some(source) = Source::parse(header(dead_letter::SOURCE)) {
            let first = header(dead_letter::ATTEMPTS) == "1";
            let what = if first {
                Outcome::Reject
            } else {
                Outcome::Fault
            };
            let reason = header(dead_letter::REASON).to_owned();
            // A gate's publisher is told more exactly.
            self.made(source.seq).told.get_or_insert((what, reason));
        }
    }

    /// Inputs of a lane that its last checkpoint is past.
    fn settle(&mut self, lane: Lane) -> Vec<Record> {
        let Some(progress) = self.lanes.get(&lane.0) else {
            return Vec::new();
        };
        let (mut told, mut done) = (Vec::new(), Vec::new());
        let passed = self.inputs.range_mut(..=progress.seq);
        for (&seq, input) in passed.filter(|(_, input)| input.lane == lane) {
            match progress.of(seq, input) {
                Standing::Waits => {}
                Standing::Retried(parked) if parked.attempts > input.attempts => {
                    input.attempts = parked.attempts;
                    told.push(again(&input.record, parked.attempts));
                }
                Standing::Retried(_) => {}
                Standing::Done => done.push(seq),
            }
        }
        for seq in done {
            let made = self.made.remove(&seq).unwrap_or_default();
            let input = self.inputs.remove(&seq);
            told.extend(input.map(|input| became(input.record, made)));
        }
        told
    }
}

fn again(record: &Record, attempts: u32) -> Record {
    Record {
        attempt: Some(attempts),
        becomes: Some(Becomes {
            outcome: Outcome::Retry,
            reason: None,
            delay_ms: None,
            outputs: Vec::new(),
        }),
        ..record.clone()
    }
}

fn became(record: Record, made: Made) -> Record {
    let (outcome, reason) = match made.told {
        Some((outcome, reason)) => (outcome, Some(reason).filter(|text| !text.is_empty())),
        None => (Outcome::Ack, None),
    };
    let becomes = Becomes {
        outcome,
        reason,
        delay_ms: None,
        outputs: made.outputs,
    };
    Record {
        becomes: Some(becomes),
        ..record
    }
}

#[cfg(test)]
mod tests;
