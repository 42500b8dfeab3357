//! Runs a function natively, so that its tests need no host and no Wasm.
//!
//! [`Runner`] owns the worker; what the function asks of its host is recorded
//! per thread. Events go through the same packing as in production, and replies
//! through the same rules, as far as a guest can know them: grants and limits
//! belong to a deployment, and only the real host enforces them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::{Batch, EventRef};
use crate::emitter::{NOTHING, append, position};
use crate::log::Level;
use crate::{Config, Outcome, Slot, Worker};

mod memory;
mod reply;

pub use memory::Memory;
pub use reply::{Handled, Output, Refused, unpack};

/// An event to hand to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is documented at crate::Event")]
pub struct Input {
    pub seq: u64,
    pub time_us: u64,
    pub attempt: u32,
    pub tenant: String,
    pub channel: String,
    pub id: String,
    pub publisher: String,
    pub content_type: String,
    pub headers: Vec<(String, String)>,
    pub data: Vec<u8>,
}

impl Input {
    /// A first attempt at a JSON event of the user `alice` of the tenant `acme`,
    /// with sequence 1.
    #[must_use]
    pub fn json(channel: &str, data: impl Into<Vec<u8>>) -> Self {
        Self {
            seq: 1,
            time_us: 1_700_000_000_000_000,
            attempt: 1,
            tenant: "acme".into(),
            channel: channel.into(),
            id: "acme/alice/writer/1".into(),
            publisher: "alice".into(),
            content_type: "application/json".into(),
            headers: Vec::new(),
            data: data.into(),
        }
    }
}

/// What a function asked of its host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Log lines.
    pub lines: Vec<(Level, String)>,
    /// Counters, summed up.
    pub counters: BTreeMap<String, u64>,
    /// The last value of each gauge.
    pub gauges: BTreeMap<String, f64>,
    /// The observations of each histogram.
    pub observations: BTreeMap<String, Vec<f64>>,
    /// What functions remember of channels.
    pub memory: Memory,
    /// What the wall clock shows, in microseconds; `None` while not granted.
    pub wall_us: Option<u64>,
}

thread_local! {
    static RECORD: RefCell<Record> = RefCell::default();
}

/// Looks at, or changes, what this thread's functions asked of their host.
pub fn record<T>(look: impl FnOnce(&mut Record) -> T) -> T {
    RECORD.with_borrow_mut(look)
}

/// A function under test.
#[derive(Debug)]
pub struct Runner<W>(Slot<W>);

impl<W: Worker> Runner<W> {
    /// Starts the function with a configuration, and a fresh record of what it
    /// asks of its host.
    ///
    /// # Errors
    ///
    /// What the function says of its configuration.
    pub fn new(config: &[(&str, &str)]) -> Result<Self, String> {
        record(|host| *host = Record::default());
        let config: Config = config.iter().copied().collect();
        let slot = Slot::new();
        slot.init(
            config
                .iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        )?;
        Ok(Self(slot))
    }

    /// Handles events as one batch.
    ///
    /// # Panics
    ///
    /// When the host would refuse the reply; the message says why.
    #[must_use]
    pub fn run(&self, inputs: &[Input]) -> Vec<Handled> {
        let reply = self.0.handle(&pack(inputs));
        match unpack(inputs, &reply) {
            Ok(handled) => handled,
            Err(refused) => panic!("{refused}"),
        }
    }

    /// Handles one event: its outcome, and what was emitted.
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    pub fn run_one(&self, input: Input) -> (Outcome, Vec<Output>) {
        let handled = self
            .run(&[input])
            .pop()
            .expect("a reply has an outcome for each event");
        (handled.outcome, handled.outputs)
    }
}

/// Packs events as the host does.
#[must_use]
pub fn pack(inputs: &[Input]) -> Batch {
    let mut arena = Vec::new();
    let events = inputs
        .iter()
        .map(|input| EventRef {
            seq: input.seq,
            time_us: input.time_us,
            attempt: input.attempt,
            tenant: append(&mut arena, input.tenant.as_bytes()),
            channel: append(&mut arena, input.channel.as_bytes()),
            id: append(&mut arena, input.id.as_bytes()),
            publisher: append(&mut arena, input.publisher.as_bytes()),
            content_type: append(&mut arena, input.content_type.as_bytes()),
            headers: match input.headers.as_slice() {
                [] => NOTHING,
                headers => {
                    let packed = pack_headers(headers);
                    append(&mut arena, &packed)
                }
            },
            data: append(&mut arena, &input.data),
        })
        .collect();
    Batch { events, arena }
}

fn pack_headers(headers: &[(String, String)]) -> Vec<u8> {
    let mut packed = position(headers.len()).to_le_bytes().to_vec();
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        packed.extend_from_slice(&position(text.len()).to_le_bytes());
        packed.extend_from_slice(text.as_bytes());
    }
    packed
}
