//! The configuration at one moment: which stores and namespaces there are, where a
//! channel lives, and which gates are deployed.
//!
//! A pure structure; whoever follows `CONFIG` and `FUNCTIONS` fills it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use protocol::class::Classes;
use protocol::lane::Lane;
use protocol::name::{Channel, FunctionName, StoreName, Tenant};
use protocol::position::Epoch;
use protocol::spec::{NamespaceSpec, Path, PresenceSpec, StoreSpec, Trigger, key};
use serde::Deserialize;

/// What store keys start with.
const STORE_PREFIX: &str = "store.";

/// The configuration at one moment.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    stores: HashMap<StoreName, StoreSpec>,
    namespaces: HashMap<String, NamespaceSpec>,
    /// The gates that are deployed, paused ones included.
    gates: HashMap<FunctionName, Deployed>,
}

/// What an edge must know of a function; the rest of its spec is its workers'.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Deployed {
    store: StoreName,
    trigger: Trigger,
    #[serde(default)]
    start_seq: u64,
}

/// Where a channel lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its store.
    pub store: StoreName,
    /// The store's epoch.
    pub epoch: Epoch,
    /// Its lane.
    pub lane: Lane,
    /// The gate that its events pass first.
    pub gate: Option<FunctionName>,
    /// How its events may be delivered.
    pub classes: Classes,
    /// The header that holds an ephemeral event's key, if they are conflated.
    pub conflate: Option<String>,
    /// How long deliveries wait for more.
    pub batch: Duration,
    /// Most bytes that a tenant may have stored in the namespace.
    pub quota_bytes: Option<u64>,
    /// Whether it tells who is on it, and up to how many.
    pub presence: Option<PresenceSpec>,
}

impl Place {
    /// Where a channel of a namespace lives of which nothing else is said.
    pub fn plain(store: StoreName, epoch: Epoch, lane: Lane) -> Self {
        Self {
            store,
            epoch,
            lane,
            gate: None,
            classes: Classes::default(),
            conflate: None,
            batch: Duration::ZERO,
            quota_bytes: None,
            presence: None,
        }
    }
}

/// What is told of a writer on its own channel, if anything: it is the only member there.
fn told_of_writers(spec: PresenceSpec) -> Option<PresenceSpec> {
    spec.sessions.then_some(PresenceSpec {
        list_max: 1,
        lifecycle: true,
        sessions: true,
    })
}

impl Directory {
    /// A store's spec.
    pub fn store(&self, name: &StoreName) -> Option<&StoreSpec> {
        self.stores.get(name)
    }

    /// Every store that is configured.
    pub fn store_names(&self) -> Vec<StoreName> {
        self.stores.keys().cloned().collect()
    }

    /// Whether any store is configured.
    pub fn has_stores(&self) -> bool {
        !self.stores.is_empty()
    }

    /// Where a channel lives; `None` if its namespace, or that one's store, is not
    /// configured.
    ///
    /// An outcome channel names the namespace whose outcomes it carries, and lives in
    /// that one's store: a gate writes outcomes where it writes its outputs, in one
    /// commit, and the channel has one home and so one order, whichever stores a
    /// writer publishes to. So does one that tells when another is occupied.
    pub fn place(&self, tenant: &Tenant, channel: &Channel) -> Option<Place> {
        let told_of = channel.lifecycle_of();
        let told_of = told_of.as_ref().map(Channel::namespace);
        let namespace = told_of.or(channel.outcomes_of());
        let namespace = namespace.unwrap_or_else(|| channel.namespace());
        let spec = self.namespaces.get(namespace)?;
        let gate = match &spec.path {
            Path::Function(gate) if !channel.is_reserved() => Some(gate.clone()),
            _ => None,
        };
        let classes = if channel.is_reserved() {
            Classes::DURABLE
        } else {
            spec.classes
        };
        let conflate = spec.conflate.clone();
        let batch = Duration::from_millis(spec.batch_ms.into());
        let quota_bytes = spec.quota_bytes;
        let presence = match channel.is_session() {
            true => spec.presence.and_then(told_of_writers),
            false => spec.presence.filter(|_| !channel.is_reserved()),
        };
        let spec = self.stores.get(&spec.store)?;
        let lane = Lane::of(tenant, channel, spec.lanes);
        Some(Place {
            store: spec.name.clone(),
            epoch: spec.epoch.clone(),
            lane,
            gate,
            classes,
            conflate,
            batch,
            quota_bytes,
            presence,
        })
    }

    /// The namespaces that tell who is on their channels.
    pub fn presence(&self) -> HashMap<String, PresenceSpec> {
        let namespaces = self.namespaces.iter();
        let with = namespaces.filter_map(|(name, spec)| Some((name.clone(), spec.presence?)));
        with.collect()
    }

    /// The namespaces that are told of the writers of every tenant.
    pub fn told_of_writers(&self) -> Vec<String> {
        let namespaces = self.namespaces.iter();
        let told = namespaces.filter(|(_, spec)| spec.presence.is_some_and(|spec| spec.sessions));
        told.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a function is deployed as a gate of a store.
    pub fn has_gate(&self, gate: &FunctionName, store: &StoreName) -> bool {
        self.gates
            .get(gate)
            .is_some_and(|gate| gate.store == *store)
    }

    /// The gates of a store, with the first sequence that each handles.
    pub fn gates_of(&self, store: &StoreName) -> BTreeMap<FunctionName, u64> {
        let gates = self.gates.iter().filter(|(_, gate)| gate.store == *store);
        gates
            .map(|(name, gate)| (name.clone(), gate.start_seq))
            .collect()
    }

    /// Takes a change of a function in; false if it changes nothing. A spec that cannot
    /// be read leaves what was known: the workers go on with the one before too.
    pub fn apply_function(&mut self, key: &str, value: Option<&[u8]>) -> bool {
        let Ok(name) = FunctionName::parse(key) else {
            return false;
        };
        let gate = match value.map(serde_json::from_slice::<Deployed>) {
            None => None,
            Some(Ok(spec)) => matches!(spec.trigger, Trigger::Gate).then_some(spec),
            Some(Err(error)) => {
                tracing::warn!(key, %error, "function spec is not readable");
                return false;
            }
        };
        match gate {
            Some(gate) => self.gates.insert(name, gate.clone()) != Some(gate),
            None => self.gates.remove(&name).is_some(),
        }
    }

    /// Takes a change in; false if it is not about stores or namespaces. A value that
    /// cannot be read leaves what was known: half a configuration is worse than an
    /// old one.
    pub fn apply(&mut self, key: &str, value: Option<&[u8]>) -> bool {
        if let Some(name) = key.strip_prefix(key::NAMESPACE_PREFIX) {
            match value.map(serde_json::from_slice::<NamespaceSpec>) {
                None => drop(self.namespaces.remove(name)),
                Some(Ok(spec)) => drop(self.namespaces.insert(name.into(), spec)),
                Some(Err(error)) => {
                    tracing::warn!(key, %error, "namespace spec is not readable")
                }
            }
        } else if let Some(name) = key.strip_prefix(STORE_PREFIX) {
            let Ok(name) = StoreName::parse(name) else {
                return false;
            };
            let spec = value.map(serde_json::from_slice::<StoreSpec>);
            match spec {
                None => drop(self.stores.remove(&name)),
                Some(Ok(spec)) if spec.check().is_ok() => drop(self.stores.insert(name, spec)),
                Some(_) => tracing::warn!(key, "store spec is not readable"),
            }
        } else {
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(directory: &mut Directory, key: &str, value: Option<&str>) -> bool {
        directory.apply(key, value.map(str::as_bytes))
    }

    const SPECS: [(&str, &str); 5] = [
        ("store.main", r#"{"name":"main","lanes":4,"epoch":"aa"}"#),
        ("store.side", r#"{"name":"side","lanes":4,"epoch":"bb"}"#),
        (
            "namespace.doc",
            r#"{"name":"doc","store":"main","path":{"function":"gate"}}"#,
        ),
        (
            "namespace.far",
            r#"{"name":"far","store":"side","path":{"function":"gate"}}"#,
        ),
        (
            "namespace.lost",
            r#"{"name":"lost","store":"gone","path":"direct"}"#,
        ),
    ];

    fn directory() -> Directory {
        let mut directory = Directory::default();
        for (key, value) in SPECS {
            assert!(apply(&mut directory, key, Some(value)));
        }
        directory
    }

    fn place(directory: &Directory, text: &str) -> Option<Place> {
        let tenant = Tenant::parse("acme").unwrap();
        directory.place(&tenant, &Channel::parse(text).unwrap())
    }

    #[test]
    fn channels_are_placed_by_their_namespace() {
        let mut directory = directory();
        assert!(place(&directory, "doc.1").unwrap().gate.is_some());
        assert_eq!(
            (place(&directory, "chat.1"), place(&directory, "lost.1")),
            (None, None)
        );
        assert!(
            apply(&mut directory, "namespace.doc", Some("{")),
            "an unreadable spec leaves the old one"
        );
        assert!(place(&directory, "doc.1").is_some());
        apply(&mut directory, "namespace.doc", None);
        assert_eq!(place(&directory, "doc.1"), None);
        assert!(!apply(&mut directory, "mirror.x", None));
    }

    #[test]
    fn gates_are_known_by_name_and_store_whatever_else_their_spec_says() {
        let mut directory = directory();
        let gate = FunctionName::parse("gate").unwrap();
        let has = |directory: &Directory, store: &str| {
            directory.has_gate(&gate, &StoreName::parse(store).unwrap())
        };
        assert!(!has(&directory, "main"));
        let mut function = |value: Option<&str>| {
            directory.apply_function("gate", value.map(str::as_bytes));
            (has(&directory, "main"), has(&directory, "side"))
        };
        let main = r#"{"store":"main","trigger":"gate","paused":true}"#;
        assert_eq!(function(Some(main)), (true, false));
        assert_eq!(function(Some("{")), (true, false), "what was known stays");
        let side = r#"{"store":"side","trigger":"gate"}"#;
        assert_eq!(function(Some(side)), (false, true));
        let reactive = r#"{"store":"side","trigger":{"reactive":["doc.>"]}}"#;
        assert_eq!(function(Some(reactive)), (false, false));
        function(Some(main));
        assert_eq!(function(None), (false, false));
    }

    #[test]
    fn presence_is_of_a_namespaces_own_channels() {
        let mut directory = directory();
        let spec = r#"{"name":"doc","store":"main","path":"direct","presence":{"list_max":7}}"#;
        apply(&mut directory, "namespace.doc", Some(spec));
        let told = |text: &str| place(&directory, text).unwrap().presence;
        assert_eq!(told("doc.1").map(|spec| spec.list_max), Some(7));
        assert_eq!(told("_outcome.ann.c1.doc"), None);
        assert_eq!(told("far.1"), None);
        assert_eq!(told("_lifecycle.doc.1"), None, "but it has a home");
        assert_eq!(directory.presence().len(), 1);
    }

    #[test]
    fn outcomes_live_where_their_namespace_does() {
        let directory = directory();
        let home = |text: &str| place(&directory, text).map(|place| place.store.to_string());
        assert_eq!(home("_outcome.ann.c1.doc").as_deref(), Some("main"));
        assert_eq!(home("_outcome.ann.c1.far").as_deref(), Some("side"));
        assert!(
            place(&directory, "_outcome.ann.c1.far")
                .unwrap()
                .gate
                .is_none()
        );
        assert_eq!(home("_outcome.ann.c1"), None);
        assert_eq!(home("_outcome.ann.c1.gone"), None);
    }
}
