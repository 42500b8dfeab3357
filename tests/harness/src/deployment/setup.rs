//! What a store holds before a test begins: namespaces and functions.
//! Owns nothing.

use bus::Bus;
use bytes::Bytes;
use control::{FunctionDraft, Start, deploy};
use protocol::name::{ChannelPattern, FunctionName, Namespace, StoreName};
use protocol::spec::{FunctionLimits, FunctionSpec, NamespaceSpec, Path, Trigger, key};
use protocol::stream::Bucket;

use super::FunctionChoice;
use crate::environment;

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

impl FunctionChoice {
    /// Its name, which is that of its package.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "document-gate",
            Self::Stats => "document-stats",
            Self::Probe => "probe",
        }
    }

    fn trigger(self) -> Trigger {
        match self {
            Self::Gate => Trigger::Gate,
            Self::Stats => Trigger::Reactive(vec![pattern("doc.>")]),
            Self::Probe => Trigger::Gate,
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
    let direct = DIRECT.map(|name| (name, Path::Direct));
    let gated = GATED.map(|(name, gate)| (name, Path::Function(function(gate.name()))));
    let config = bus
        .kv(Bucket::Config)
        .await
        .expect("the bootstrap has made the bucket");
    for (name, path) in direct.into_iter().chain(gated) {
        let spec = NamespaceSpec {
            name: namespace(name),
            store: store.clone(),
            path,
            written: None,
        };
        let json = serde_json::to_vec(&spec).expect("a spec of plain names is JSON");
        let put = config
            .put(&key::namespace(&spec.name), Bytes::from(json))
            .await;
        put.expect("the bucket can be written");
    }
}

/// Deploys functions from the modules that `make functions` has built.
pub(super) async fn functions(
    bus: &Bus,
    store: &StoreName,
    choices: &[FunctionChoice],
    limits: &FunctionLimits,
) -> Vec<FunctionSpec> {
    let mut specs = Vec::with_capacity(choices.len());
    for choice in choices {
        let draft = FunctionDraft {
            name: function(choice.name()),
            store: store.clone(),
            trigger: choice.trigger(),
            emits: choice.emits(),
            config: Default::default(),
            limits: limits.clone(),
            linger_ms: choice.linger_ms(),
            start: Start::Earliest,
        };
        let deployed = deploy(bus, draft, environment::module(choice.name())).await;
        specs.push(deployed.unwrap_or_else(|error| panic!("{}: {error}", choice.name())));
    }
    specs
}
