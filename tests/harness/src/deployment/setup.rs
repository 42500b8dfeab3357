//! What a store holds before a test begins: namespaces and functions.
//! Owns nothing.

use bus::Bus;
use control::{Deployer, FunctionDraft, NamespaceDraft};
use protocol::name::{ChannelPattern, FunctionName, Namespace, StoreName};
use protocol::spec::{FunctionLimits, FunctionSpec};

use crate::environment;

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
}

impl FunctionChoice {
    /// Its name, which is that of its package.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "document-gate",
            Self::Stats => "document-stats",
            Self::Probe => "probe",
        }
    }

    /// What a reactive function handles; nothing for a gate.
    fn on(self) -> Vec<ChannelPattern> {
        match self {
            Self::Gate | Self::Probe => Vec::new(),
            Self::Stats => vec![pattern("doc.>")],
        }
    }

    /// Statistics gather, as in `eddyline dev`; nobody may wait for a gate.
    fn linger_ms(self) -> u64 {
        match self {
            Self::Stats => 50,
            Self::Gate | Self::Probe => 0,
        }
    }

    fn emits(self) -> Vec<ChannelPattern> {
        match self {
            Self::Gate => Vec::new(),
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
    let deployer = Deployer::new(bus, WHO);
    let direct = DIRECT.map(|name| (name, None));
    let gated = GATED.map(|(name, gate)| (name, Some(function(gate.name()))));
    for (name, gate) in direct.into_iter().chain(gated) {
        let draft = NamespaceDraft {
            name: namespace(name),
            store: store.clone(),
            gate,
        };
        let applied = deployer.apply_namespace(draft).await;
        applied.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Deploys functions from the modules that `make functions` has built.
pub(super) async fn functions(
    bus: &Bus,
    store: &StoreName,
    choices: &[FunctionChoice],
    limits: &FunctionLimits,
) -> Vec<FunctionSpec> {
    let deployer = Deployer::new(bus, WHO);
    let mut specs = Vec::with_capacity(choices.len());
    for choice in choices {
        let draft = FunctionDraft {
            emits: choice.emits(),
            limits: limits.clone(),
            linger_ms: choice.linger_ms(),
            ..FunctionDraft::new(function(choice.name()), store.clone(), choice.on())
        };
        let module = environment::module(choice.name());
        let deployed = deployer.deploy(draft, vec![module]).await;
        let deployed = deployed.unwrap_or_else(|error| panic!("{}: {error}", choice.name()));
        specs.push(deployed.spec);
    }
    specs
}
