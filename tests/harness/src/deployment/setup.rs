//! What a store holds before a test begins: namespaces and functions.
//! Owns nothing.

use std::collections::BTreeMap;

use bus::Bus;
use control::{Deployer, FunctionDraft, NamespaceDraft};
use protocol::name::{ChannelPattern, FunctionName, Namespace, StoreName};
use protocol::spec::{FunctionLimits, FunctionSpec, Trigger};
use serde_json::{Value, json};

use crate::{environment, wait};

/// The tenant of every client.
pub(super) const TENANT: &str = "acme";
/// Where the ticks of [`FunctionChoice::Ticker`] go, and what it emits.
pub const TICKS: &str = "stats.tick";
/// Who deploys, as it is written beside what is deployed.
const WHO: &str = "harness";
/// Namespaces without a gate.
const DIRECT: [&str; 2] = ["chat", "stats"];
/// Namespaces with one.
const GATED: [(&str, FunctionChoice); 2] = [
    ("doc", FunctionChoice::Gate),
    ("lab", FunctionChoice::Probe),
];

/// The namespaces behind a gate.
pub(super) fn namespaces_of(gate: &FunctionName) -> impl Iterator<Item = &'static str> {
    let gated = GATED.into_iter();
    gated.filter_map(|(name, choice)| (choice.name() == gate.as_str()).then_some(name))
}

/// The functions of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionChoice {
    /// `document-gate`, gate of the namespace `doc`.
    Gate,
    /// `document-stats`, reactive on `doc.>`, emits to `stats.>`.
    Stats,
    /// `probe`, gate of the namespace `lab`: does what each event tells it to.
    Probe,
    /// `probe` as `ticker`, called every second: it counts its ticks in its memory and
    /// emits the count beside them, on [`TICKS`].
    Ticker,
}

impl FunctionChoice {
    /// Its name, which is that of its package but for the ticker's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "document-gate",
            Self::Stats => "document-stats",
            Self::Probe => "probe",
            Self::Ticker => "ticker",
        }
    }

    fn module(self) -> &'static str {
        match self {
            Self::Ticker => Self::Probe.name(),
            choice => choice.name(),
        }
    }

    fn trigger(self) -> Trigger {
        match self {
            Self::Gate | Self::Probe => Trigger::Gate,
            Self::Stats => Trigger::Reactive(vec![pattern("doc.>")]),
            Self::Ticker => schedule(json!({"every": "1s", "tenant": TENANT, "channel": TICKS})),
        }
    }

    fn config(self) -> BTreeMap<String, String> {
        let order = ("order".to_owned(), r#"{"do":"remember"}"#.to_owned());
        (self == Self::Ticker)
            .then_some(order)
            .into_iter()
            .collect()
    }

    /// Statistics gather, as in `eddyline dev`; nobody may wait for a gate.
    fn linger_ms(self) -> u64 {
        match self {
            Self::Stats => 50,
            Self::Gate | Self::Probe | Self::Ticker => 0,
        }
    }

    fn emits(self) -> Vec<ChannelPattern> {
        match self {
            Self::Gate | Self::Ticker => Vec::new(),
            Self::Stats => vec![pattern("stats.>")],
            Self::Probe => vec![pattern("chat.>")],
        }
    }
}

fn namespace(text: &str) -> Namespace {
    Namespace::parse(text).expect("a valid name")
}

fn pattern(text: &str) -> ChannelPattern {
    ChannelPattern::parse(text).expect("a valid pattern")
}

fn function(text: &str) -> FunctionName {
    FunctionName::parse(text).expect("a valid name")
}

/// Makes every namespace that tests publish to: `chat` and `stats` directly, `doc` and
/// `lab` behind their gates, whether or not those are deployed.
pub(super) async fn namespaces(bus: &Bus, store: &StoreName) {
    let deployer = Deployer::new(bus, WHO).compiled(environment::compiled());
    let direct = DIRECT.map(|name| (name, None));
    let gated = GATED.map(|(name, gate)| (name, Some(function(gate.name()))));
    for (name, gate) in direct.into_iter().chain(gated) {
        let draft = NamespaceDraft::new(namespace(name), store.clone(), gate);
        let applied = deployer.apply_namespace(draft).await;
        applied.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn schedule(json: Value) -> Trigger {
    Trigger::Schedule(serde_json::from_value(json).expect("a valid schedule"))
}

fn draft(choice: FunctionChoice, store: &StoreName, limits: &FunctionLimits) -> FunctionDraft {
    FunctionDraft {
        emits: choice.emits(),
        limits: limits.clone(),
        linger_ms: choice.linger_ms(),
        trigger: choice.trigger(),
        config: choice.config(),
        ..FunctionDraft::new(function(choice.name()), store.clone(), Vec::new())
    }
}

/// Deploys the ticker with times that are years away: what it has made is handled, and no
/// more comes.
pub(super) async fn end_ticks(bus: &Bus, store: &StoreName) {
    let choice = FunctionChoice::Ticker;
    let rare = json!({"cron": "0 0 29 2 *", "tenant": TENANT, "channel": TICKS});
    let draft = FunctionDraft {
        trigger: schedule(rare),
        ..draft(choice, store, &FunctionLimits::default())
    };
    let deployer = Deployer::new(bus, WHO);
    let deployed = deployer
        .deploy(draft, vec![environment::module(choice.module())])
        .await;
    let deployed = deployed.unwrap_or_else(|error| panic!("ticker: {error}"));
    let (spec, revision) = (deployed.spec, deployed.revision);
    let rollout = deployer.rollout(&spec, revision, wait::DEADLINE).await;
    let rollout = rollout.expect("the workers report");
    assert!(rollout.is_done(), "{rollout:?}");
}

/// Deploys functions from the modules that `make functions` has built.
pub(super) async fn functions(
    bus: &Bus,
    store: &StoreName,
    choices: &[FunctionChoice],
    limits: &FunctionLimits,
) -> Vec<FunctionSpec> {
    let deployer = Deployer::new(bus, WHO).compiled(environment::compiled());
    let mut specs = Vec::with_capacity(choices.len());
    for choice in choices {
        let module = environment::module(choice.module());
        let draft = draft(*choice, store, limits);
        let deployed = deployer.deploy(draft, vec![module]).await;
        let deployed = deployed.unwrap_or_else(|error| panic!("{}: {error}", choice.name()));
        specs.push(deployed.spec);
    }
    specs
}
