//! Specs: what `CONFIG` and `FUNCTIONS` hold, as JSON.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::checkpoint::Digest;
use crate::filter::HeaderFilter;
use crate::header::{self, Headers};
use crate::lane::{LANES_MAX, Lane};
use crate::name::{Channel, ChannelPattern, FunctionName, StoreName};
use crate::position::Epoch;

mod canary;
mod cron;
mod namespace;
mod presence;
mod schedule;
mod stage;

pub use canary::{
    Canary, EVENTS_MIN_DEFAULT, FOR_MS_DEFAULT, Judgement, LONGEST_TIMES, PERMILLE, PERMILLE_MAX,
    Verdict,
};
pub use namespace::{NamespaceSpec, Path};
pub use presence::{
    PRESENCE_LIST_DEFAULT, PRESENCE_LIST_MAX, PresenceError, PresenceSetting, PresenceSpec,
};
pub use schedule::{
    Due, EVERY_S_MAX, EVERY_S_MIN, LATE_S_MAX, MADE_UP_MAX, MISSED_S_MAX, Missed, Schedule,
};
pub use stage::{STAGES_MAX, Stage};

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

/// Who wrote a spec, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Who, as they called themselves.
    pub by: String,
    /// When, by their clock, microseconds since 1970.
    pub at_us: u64,
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

/// Most bytes of a function's settings, names and values together: its spec is one
/// message of NATS, and every worker holds it.
pub const CONFIG_BYTES_MAX: usize = 256 << 10;
/// Most patterns of one list: each event is held against all of them.
pub const PATTERNS_MAX: usize = 64;

const _: () = {
    assert!((EMITS_PER_EVENT_MAX as usize) < crate::bus::BATCH_EVENTS_MAX);
    assert!(OUTPUT_BYTES_MIN < OUTPUT_BYTES_MAX && MEMORY_BYTES_MIN < MEMORY_BYTES_MAX);
};

/// A deployed function. Key: its name, in `FUNCTIONS`; the versions before it are kept
/// under [`key::version`].
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
    /// Headers that an event must have for a reactive function to handle it.
    #[serde(default, skip_serializing_if = "HeaderFilter::is_empty")]
    pub headers: HeaderFilter,
    /// Channels that it may emit to besides the input's own.
    #[serde(default)]
    pub emits: Vec<ChannelPattern>,
    /// Settings handed to the guest at its start.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// Its limits.
    #[serde(default)]
    pub limits: FunctionLimits,
    /// The stages that follow on its own, if it is a pipeline: what a stage emits to the
    /// event's own channel is what the next one is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Stage>,
    /// How long outputs may wait for more that are stored with them, milliseconds.
    /// Each commit costs the server the same however much it holds, so a function
    /// whose outputs nobody waits for should let them gather.
    #[serde(default)]
    pub linger_ms: u64,
    /// First sequence to handle where a lane has no checkpoint.
    #[serde(default)]
    pub start_seq: u64,
    /// Counts its deployments, from 1; 0: deployed before they were counted.
    #[serde(default)]
    pub version: u64,
    /// The earlier version that this one repeats, if it is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
    /// Counts its beginnings: a checkpoint of another incarnation is not gone on from.
    #[serde(default)]
    pub incarnation: u64,
    /// Whether it may be part of a loop of functions, which the limit of hops ends.
    #[serde(default)]
    pub loops: bool,
    /// Who paused it, and when: its inputs wait. `None`: it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Written>,
    /// Who deployed this version, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<Written>,
    /// A later version that is on trial beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
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
    /// The ticks of a schedule of its own, in EVENTS, which the owner of their lane stores.
    Schedule(Schedule),
}

/// Limits of a function; every one is always on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FunctionLimits {
    /// Longest run of the guest on one batch, milliseconds of processor time; of a guest
    /// of the world `simple`: on one event.
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
    /// How long an instance of the guest is used.
    pub isolation: Isolation,
}

/// How long an instance of a guest is used: what it remembers in memory goes with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// For as long as it goes well: the fastest.
    #[default]
    Warm,
    /// For one call with whatever events are ready.
    FreshPerBatch,
    /// For one event: nothing of an event is left when another is handled.
    FreshPerEvent,
}

impl Trigger {
    /// The word for functions of this kind: a function that becomes another one begins
    /// anew.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Reactive(_) => "reactive",
            Self::Schedule(_) => "schedule",
        }
    }
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
            isolation: Isolation::Warm,
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
    /// The first version of a function with nothing else said of it.
    pub fn new(name: FunctionName, digest: Digest, store: StoreName, trigger: Trigger) -> Self {
        Self {
            name,
            digest,
            store,
            trigger,
            headers: HeaderFilter::default(),
            emits: Vec::new(),
            config: BTreeMap::new(),
            limits: FunctionLimits::default(),
            then: Vec::new(),
            linger_ms: 0,
            start_seq: 1,
            version: 1,
            repeats: None,
            incarnation: 0,
            loops: false,
            paused: None,
            deployed: None,
            canary: None,
        }
    }

    /// Whether it handles a message on a channel. Whose an input is stands on the input:
    /// a gate that went by what it knows of namespaces would pass over what was accepted
    /// before it heard of one.
    pub fn handles(&self, channel: &Channel, headers: &Headers) -> bool {
        if let Some(function) = channel.redriven_for() {
            return function == self.name.as_str();
        }
        match &self.trigger {
            Trigger::Gate => headers.get(header::GATE) == Some(self.name.as_str()),
            // Patterns never cover reserved channels.
            Trigger::Reactive(patterns) => {
                patterns.iter().any(|pattern| pattern.matches(channel))
                    && self.headers.matches(headers)
            }
            // Anybody may publish to the channel, and nobody but its lane makes a tick.
            Trigger::Schedule(_) => headers.get(header::TICK) == Some(self.name.as_str()),
        }
    }

    /// Its schedule, if it has one.
    pub fn schedule(&self) -> Option<&Schedule> {
        match &self.trigger {
            Trigger::Schedule(schedule) => Some(schedule),
            Trigger::Gate | Trigger::Reactive(_) => None,
        }
    }

    /// The lanes that it runs on, in a store of so many: all, or that of its ticks.
    pub fn lanes(&self, lanes: u16) -> Range<u16> {
        match self.schedule().map(|schedule| schedule.lane(lanes)) {
            Some(Lane(lane)) => lane..lane + 1,
            None => 0..lanes,
        }
    }

    /// Its modules, that of its first stage first.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        let further = self.then.iter().map(|stage| &stage.digest);
        std::iter::once(&self.digest).chain(further)
    }

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
        let configs = self.then.iter().map(|stage| &stage.config);
        let settings = configs.chain([&self.config]).flatten();
        let bytes = settings.map(|(name, value)| name.len() + value.len());
        let bytes: usize = bytes.sum();
        check(bytes <= CONFIG_BYTES_MAX, "config", || {
            format!("has {bytes} bytes, more than {CONFIG_BYTES_MAX}")
        })?;
        check(self.emits.len() <= PATTERNS_MAX, "emits", || {
            format!("has more than {PATTERNS_MAX} patterns")
        })?;
        if let Trigger::Reactive(on) = &self.trigger {
            check(on.len() <= PATTERNS_MAX, "trigger", || {
                format!("has more than {PATTERNS_MAX} patterns")
            })?;
        }
        let fails = |field| move |problem| SpecError { field, problem };
        stage::check(&self.then).map_err(fails("then"))?;
        self.headers.check().map_err(fails("headers"))?;
        let ticks = !self.headers.is_empty() && self.schedule().is_some();
        check(!ticks, "headers", || "a tick has none".into())?;
        let leaves_out = !self.headers.is_empty() && self.trigger == Trigger::Gate;
        check(!leaves_out, "headers", || {
            "a gate handles every event of its namespaces: what it left out would wait for ever"
                .into()
        })?;
        let empty = matches!(&self.trigger, Trigger::Reactive(patterns) if patterns.is_empty());
        check(!empty, "trigger", || "names nothing to handle".into())?;
        match &self.canary {
            Some(canary) => canary.check(self),
            None => Ok(()),
        }
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

/// Keys in `CONFIG` and `FUNCTIONS`.
pub mod key {
    use crate::name::{FunctionName, Namespace, StoreName};

    /// A store's spec.
    pub fn store(name: &StoreName) -> String {
        format!("{STORE_PREFIX}{name}")
    }

    /// What store keys start with.
    pub const STORE_PREFIX: &str = "store.";

    /// A namespace's spec.
    pub fn namespace(name: &Namespace) -> String {
        format!("{NAMESPACE_PREFIX}{name}")
    }

    /// A function's version that was replaced, in `FUNCTIONS`. The point keeps it apart
    /// from every name.
    pub fn version(name: &FunctionName, version: u64) -> String {
        format!("{name}.{version}")
    }

    /// The function and the version that [`version`] made this key of.
    pub fn parse_version(key: &str) -> Option<(FunctionName, u64)> {
        let (name, version) = key.split_once('.')?;
        Some((FunctionName::parse(name).ok()?, version.parse().ok()?))
    }

    /// How the last trial of a function ended, in `FUNCTIONS`.
    pub fn judged(name: &FunctionName) -> String {
        format!("{name}.{JUDGED}")
    }

    /// The function that [`judged`] made this key of.
    pub fn parse_judged(key: &str) -> Option<FunctionName> {
        let (name, what) = key.split_once('.')?;
        FunctionName::parse(name).ok().filter(|_| what == JUDGED)
    }

    /// What keys of judgements end with; no version's number does.
    pub const JUDGED: &str = "judged";

    /// What namespace keys start with.
    pub const NAMESPACE_PREFIX: &str = "namespace.";
}

#[cfg(test)]
mod tests;
