//! What becomes of an input: as a guest says it, and as it is stored.
//!
//! Owns what was read of a range. Data is compared by its hash, so that a long history
//! takes little memory.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use host::reply::{Emit, Handled};
use protocol::bus::Stored;
use protocol::header::{self, Headers};
use protocol::name::FunctionName;
use protocol::outcome::{OutcomeEvent, OutcomeKind, dead_letter};
use protocol::position::Source;
use protocol::spec::{FunctionSpec, Trigger};
use protocol::stream::StreamName;
use protocol::subject::Parsed;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::function::stream;

/// How much of data is kept to be shown, in bytes.
const SHOWN_BYTES: usize = 200;

/// What becomes of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is passed on as these events; none at all: a reactive function is done with it.
    Outputs(Vec<Output>),
    /// It is filtered out, for this reason.
    Dropped(String),
    /// It is refused, for this reason.
    Rejected(String),
    /// It fails until its attempts are used up, last for this reason.
    Fails(String),
    /// It stops the function, for this reason.
    Halts(String),
}

/// An event that an input becomes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Output {
    /// Its channel.
    pub channel: String,
    /// Its content type; `None` is JSON.
    pub content_type: Option<String>,
    /// The user's headers.
    pub headers: Vec<(String, String)>,
    /// The beginning of its data.
    pub data: String,
    /// All of its data's bytes.
    pub bytes: usize,
    #[serde(skip)]
    hash: [u8; 32],
}

impl Output {
    fn new(channel: &str, content_type: Option<&str>, data: &[u8]) -> Self {
        let shown = &data[..data.len().min(SHOWN_BYTES)];
        Self {
            channel: channel.to_owned(),
            content_type: content_type.map(str::to_owned),
            headers: Vec::new(),
            data: String::from_utf8_lossy(shown).into_owned(),
            bytes: data.len(),
            hash: Sha256::digest(data).into(),
        }
    }

    fn of_emit(emit: &Emit) -> Self {
        let content_type = emit.content_type.as_deref();
        Self::new(emit.channel.as_str(), content_type, &emit.data).with(emit.headers.clone())
    }

    fn of_stored(channel: &str, stored: &Stored) -> Self {
        let content_type = stored.headers.get(header::TYPE);
        let user = stored.headers.user();
        let user = user.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::new(channel, content_type, &stored.payload).with(user.collect())
    }

    /// Streams keep headers by their names.
    fn with(mut self, mut headers: Vec<(String, String)>) -> Self {
        headers.sort();
        self.headers = headers;
        self
    }
}

impl Fate {
    /// What a worker would store for this answer.
    pub(crate) fn of(handled: Handled, spec: &FunctionSpec) -> Self {
        let is_gate = matches!(spec.trigger, Trigger::Gate);
        match handled {
            Handled::Ack(done) if done.emits.is_empty() && is_gate => Self::Dropped(String::new()),
            Handled::Ack(done) => Self::Outputs(done.emits.iter().map(Output::of_emit).collect()),
            Handled::Drop(reason) if is_gate => Self::Dropped(reason),
            // Nobody is told, so nothing is stored.
            Handled::Drop(_) => Self::Outputs(Vec::new()),
            Handled::Reject(reason) => Self::Rejected(reason),
            Handled::Halt(reason) => Self::Halts(reason),
            Handled::Retry { reason, .. } => Self::Fails(reason),
            Handled::Fault(fault) => Self::Fails(fault.to_string()),
        }
    }
}

/// What is stored of a function's inputs.
#[derive(Debug)]
pub(crate) struct Fates {
    function: FunctionName,
    stream: StreamName,
    found: BTreeMap<u64, Fate>,
    /// Outputs by their input and their own sequence: they come in order per channel alone.
    outputs: BTreeMap<(u64, u64), Output>,
}

impl Fates {
    pub(crate) fn new(spec: &FunctionSpec) -> Self {
        Self {
            function: spec.name.clone(),
            stream: stream(&spec.store, &spec.trigger),
            found: BTreeMap::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// What is stored of an input; nothing is an empty list.
    pub(crate) fn take(&mut self, seq: u64) -> Fate {
        if let Some(found) = self.found.remove(&seq) {
            return found;
        }
        let outputs = self.outputs.range((seq, 0)..=(seq, u64::MAX));
        Fate::Outputs(outputs.map(|(_, output)| output.clone()).collect())
    }

    /// Reads a message of EVENTS; one that is of none of these inputs is left.
    pub(crate) fn read(&mut self, stored: &Stored, inputs: &RangeInclusive<u64>) {
        let headers = &stored.headers;
        match Parsed::parse(&stored.subject) {
            Ok(Parsed::Event { channel, .. }) => {
                if headers.get(header::FUNCTION) != Some(self.function.as_str()) {
                    return;
                }
                let Some(seq) = self.source(headers, header::SOURCE, inputs) else {
                    return;
                };
                match channel.outcomes_of() {
                    Some(_) => self.outcome(seq, &stored.payload),
                    None => {
                        let output = Output::of_stored(channel.as_str(), stored);
                        self.outputs.insert((seq, stored.seq), output);
                    }
                }
            }
            Ok(Parsed::DeadLetter { function, .. }) if function == self.function => {
                if headers.get(dead_letter::SETTLED).is_none()
                    && let Some(seq) = self.source(headers, dead_letter::SOURCE, inputs)
                {
                    self.letter(seq, headers);
                }
            }
            _ => {}
        }
    }

    fn source(&self, headers: &Headers, name: &str, inputs: &RangeInclusive<u64>) -> Option<u64> {
        let source = Source::parse(headers.get(name)?)?;
        (source.stream == self.stream && inputs.contains(&source.seq)).then_some(source.seq)
    }

    fn outcome(&mut self, seq: u64, data: &[u8]) {
        let Ok(told) = serde_json::from_slice::<OutcomeEvent>(data) else {
            return;
        };
        let fate = match told.outcome {
            // Its outputs say so.
            OutcomeKind::Passed => return,
            OutcomeKind::Dropped => Fate::Dropped(told.reason),
            OutcomeKind::Rejected => Fate::Rejected(told.reason),
            OutcomeKind::DeadLettered => Fate::Fails(told.reason),
        };
        self.found.insert(seq, fate);
    }

    /// A letter alone does not say whether its input was refused or has failed; the
    /// outcome does, where somebody was told.
    fn letter(&mut self, seq: u64, headers: &Headers) {
        let reason = headers.get(dead_letter::REASON).unwrap_or_default();
        let once = headers.get(dead_letter::ATTEMPTS) == Some("1");
        let fate = match once {
            true => Fate::Rejected(reason.to_owned()),
            false => Fate::Fails(reason.to_owned()),
        };
        // Letters are read last. Where an input was handled again, what it became counts.
        let outputs = self.outputs.range((seq, 0)..=(seq, u64::MAX));
        if outputs.count() == 0 {
            self.found.entry(seq).or_insert(fate);
        }
    }
}
