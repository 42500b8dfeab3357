//! Specs: what `CONFIG` and `FUNCTIONS` hold, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checkpoint::Digest;
use crate::lane::LANES_MAX;
use crate::name::{ChannelPattern, FunctionName, Namespace, StoreName};
use crate::position::Epoch;

/// A store as its bootstrap wrote it. Key `store.{name}` in `CONFIG`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSpec {
    /// Its name.
    pub name: StoreName,
    /// Its lanes, fixed.
    pub lanes: u16,
    /// Its epoch.
    pub epoch: Epoch,
}

/// A namespace. Key `namespace.{name}` in `CONFIG`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceSpec {
    /// Its name: the first token of its channels.
    pub name: Namespace,
    /// The store that its channels live in.
    pub store: StoreName,
    /// What an event passes on its way.
    pub path: Path,
}

/// What an event passes on its way. Fixed when a namespace is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// Straight into EVENTS.
    Direct,
    /// Into INGRESS, through this gate, into EVENTS.
    Function(FunctionName),
}

/// Longest linger of a function, milliseconds: what a drain or a takeover has to
/// repeat stays small.
pub const LINGER_MS_MAX: u64 = 1_000;

/// Longest run of a guest on one batch, milliseconds: what a drain waits for.
pub const DEADLINE_MS_MAX: u64 = 10_000;
/// Least linear memory of a guest, bytes: one page of WebAssembly.
pub const MEMORY_BYTES_MIN: usize = 64 << 10;
/// Most linear memory, bytes: what the pooling allocator reserves for each instance.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;
/// Most events that one input may cause: they fit one atomic batch, with the checkpoint
/// and the outcomes beside them.
pub const EMITS_PER_EVENT_MAX: u32 = 900;
/// Least and most bytes that one batch may cause.
pub const OUTPUT_BYTES_MIN: usize = 1 << 10;
/// See [`OUTPUT_BYTES_MIN`]: more would not fit the server's staging of a batch.
pub const OUTPUT_BYTES_MAX: usize = 32 << 20;

const _: () = {
    assert!((EMITS_PER_EVENT_MAX as usize) < crate::bus::BATCH_EVENTS_MAX);
    assert!(OUTPUT_BYTES_MIN < OUTPUT_BYTES_MAX && MEMORY_BYTES_MIN < MEMORY_BYTES_MAX);
};

/// A deployed function. Key: its name, in `FUNCTIONS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionSpec {
    /// Its name.
    pub name: FunctionName,
    /// Its module.
    pub digest: Digest,
    /// The store whose events it handles.
    pub store: StoreName,
    /// What it handles.
    pub trigger: Trigger,
    /// Channels that it may emit to besides the input's own.
    #[serde(default)]
    pub emits: Vec<ChannelPattern>,
    /// Settings handed to the guest at its start.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// Its limits.
    #[serde(default)]
    pub limits: FunctionLimits,
    /// How long outputs may wait for more that are stored with them, milliseconds.
    /// Each commit costs the server the same however much it holds, so a function
    /// whose outputs nobody waits for should let them gather.
    #[serde(default)]
    pub linger_ms: u64,
    /// First sequence to handle where a lane has no checkpoint.
    #[serde(default)]
    pub start_seq: u64,
}

/// What a function handles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Raw input in INGRESS of the namespaces whose spec names this function: which
    /// those are is said there and nowhere else, and stands on each input.
    Gate,
    /// Stored events on these channels, in EVENTS.
    Reactive(Vec<ChannelPattern>),
}

/// Limits of a function; every one is always on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FunctionLimits {
    /// Longest run of the guest on one batch, milliseconds.
    pub deadline_ms: u64,
    /// Most linear memory, bytes.
    pub memory_bytes: usize,
    /// Most events that one input may cause.
    pub emits_per_event: u32,
    /// Most bytes that one batch may cause.
    pub output_bytes: usize,
    /// Most attempts on one event before it becomes a dead letter.
    pub attempts: u32,
    /// Longest time between the first attempt and the last, milliseconds.
    pub retry_age_ms: u64,
}

impl Default for FunctionLimits {
    fn default() -> Self {
        Self {
            // Long enough for a full batch of JSON, short enough that one guest
            // never holds its thread for the 100 ms of an event's whole way.
            deadline_ms: 50,
            // What the pooling allocator reserves for each instance.
            memory_bytes: MEMORY_BYTES_MAX,
            emits_per_event: 64,
            // One batch must fit JetStream's staging of a batch in memory.
            output_bytes: 8 << 20,
            attempts: 10,
            retry_age_ms: 60_000,
        }
    }
}

/// Why a spec is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SpecError {
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl StoreSpec {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// [`SpecError`] names the field.
    pub fn check(&self) -> Result<(), SpecError> {
        check(1 <= self.lanes && self.lanes <= LANES_MAX, "lanes", || {
            format!("{} is not within 1 to {LANES_MAX}", self.lanes)
        })
    }
}

impl FunctionSpec {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// [`SpecError`] names the field.
    pub fn check(&self) -> Result<(), SpecError> {
        let limits = &self.limits;
        check(
            (1..=DEADLINE_MS_MAX).contains(&limits.deadline_ms),
            "limits.deadline_ms",
            || format!("must be 1 to {DEADLINE_MS_MAX}"),
        )?;
        check(
            (MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(&limits.memory_bytes),
            "limits.memory_bytes",
            || "must be 64 KiB to 64 MiB".into(),
        )?;
        check(
            (1..=EMITS_PER_EVENT_MAX).contains(&limits.emits_per_event),
            "limits.emits_per_event",
            || {
                format!(
                    "must be 1 to {EMITS_PER_EVENT_MAX}: one input's outputs fit one atomic batch"
                )
            },
        )?;
        check(
            (OUTPUT_BYTES_MIN..=OUTPUT_BYTES_MAX).contains(&limits.output_bytes),
            "limits.output_bytes",
            || "must be 1 KiB to 32 MiB".into(),
        )?;
        check(limits.attempts >= 1, "limits.attempts", || {
            "must be at least 1".into()
        })?;
        check(self.linger_ms <= LINGER_MS_MAX, "linger_ms", || {
            format!("must be at most {LINGER_MS_MAX}")
        })?;
        let empty = matches!(&self.trigger, Trigger::Reactive(patterns) if patterns.is_empty());
        check(!empty, "trigger", || "names nothing to handle".into())
    }
}

fn check(
    holds: bool,
    field: &'static str,
    problem: impl FnOnce() -> String,
) -> Result<(), SpecError> {
    if holds {
        Ok(())
    } else {
        Err(SpecError {
            field,
            problem: problem(),
        })
    }
}

/// Keys in `CONFIG`.
pub mod key {
    use crate::name::{Namespace, StoreName};

    /// A store's spec.
    pub fn store(name: &StoreName) -> String {
        format!("store.{name}")
    }

    /// A namespace's spec.
    pub fn namespace(name: &Namespace) -> String {
        format!("{NAMESPACE_PREFIX}{name}")
    }

    /// What namespace keys start with.
    pub const NAMESPACE_PREFIX: &str = "namespace.";
}
