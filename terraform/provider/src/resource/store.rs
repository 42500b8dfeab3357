//! `eddyline_store`. Owns its schema.

use bus::bootstrap::{BootstrapError, Found, StoreSettings};
use control::ControlError;
use protocol::name::StoreName;
use protocol::position::Epoch;
use protocol::spec::StoreSpec;

use crate::connection::Connection;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fields::{Fields, fill, value_of};
use crate::resource::lifecycle::{Done, PROTECTION, Resource, named, protected};
use crate::schema::plan::{Proposal, propose};
use crate::schema::{Attribute, Kind, Schema};
use crate::value::{Object, Value};

/// The attribute that lets data go with a store.
const FORCE: &str = "force_destroy";
/// The attribute that lets data depend on one server.
const UNSAFE: &str = "unsafe_single_replica";
/// Fewest copies with which no single server can take data away.
const REPLICAS_SAFE: u64 = 3;
/// The settings that are written in milliseconds, and the others, as settings name them.
const SETTINGS: [(&str, &str); 11] = [
    (
        "lanes",
        "Lanes: the units in which functions share the work; for good.",
    ),
    ("replicas", "Copies of every stream and bucket, 1 to 5."),
    (
        "ingress_max_age_ms",
        "How long raw input is kept; at most as long as events.",
    ),
    ("events_max_age_ms", "How long events are kept."),
    ("rejected_max_age_ms", "How long dead letters are kept."),
    (
        "logs_max_age_ms",
        "How long the logs of functions are kept.",
    ),
    (
        "logs_max_bytes",
        "Most bytes of the logs of functions; the oldest lines make room for new ones.",
    ),
    (
        "max_bytes",
        "Most bytes of each other stream; new events are refused beyond.",
    ),
    (
        "duplicate_window_ingress_ms",
        "How long ids of raw input are remembered.",
    ),
    (
        "duplicate_window_events_ms",
        "How long ids of events are remembered.",
    ),
    (
        "lease_ttl_ms",
        "How long a lease lasts; the same for all stores of one NATS.",
    ),
];

/// The resource.
pub struct Store(Schema);

impl Default for Store {
    /// With its schema.
    fn default() -> Self {
        Self(Schema {
            description: "A store: the streams that hold events, and what belongs to them. The \
                          first store of a NATS makes the buckets that all of them share, which \
                          stay when it is removed.",
            attributes: attributes(),
        })
    }
}

/// The settings that a store has unless told otherwise.
fn usual() -> StoreSettings {
    StoreSettings {
        replicas: REPLICAS_SAFE as u8,
        ..StoreSettings::default()
    }
}

fn attributes() -> Vec<Attribute> {
    let usual = value_of(&usual());
    let mut all = vec![Attribute::required("name", Kind::Text, "Its name.").replaces()];
    all.extend(settings().map(|(name, description)| {
        let attribute =
            Attribute::default(name, Kind::Number, usual.get(name).clone(), description);
        match name {
            "lanes" => attribute.replaces(),
            _ => attribute,
        }
    }));
    all.extend([
        Attribute::default(
            UNSAFE,
            Kind::Bool,
            false,
            "Whether fewer than three copies are accepted: with one, data are lost with its server.",
        ),
        Attribute::default(
            FORCE,
            Kind::Bool,
            false,
            "Whether events may be lost with it when it is removed.",
        ),
        Attribute::default(
            PROTECTION,
            Kind::Bool,
            true,
            "Whether it is kept from being removed.",
        ),
        Attribute::made("epoch", Kind::Text, "Which life of the store this is."),
    ]);
    all
}

/// The attributes that are settings, with what they are for.
pub fn settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    SETTINGS.into_iter()
}

/// What is wanted, as far as it is known.
fn wanted(value: &Value) -> Result<Option<StoreSettings>, Diagnostics> {
    let mut fields = Fields::of(value);
    let name = fields.read::<StoreName>("name");
    for (name, _) in settings() {
        fields.read::<u64>(name);
    }
    let names = settings().map(|(name, _)| name);
    let said = names
        .chain(["name"])
        .map(|name| (name.to_owned(), value.get(name).clone()));
    let said = Value::Map(said.collect());
    let read = said.is_known().then_some(name).flatten();
    let made = read.and_then(|_| {
        let json = crate::value::json::to_json(&said);
        let read = serde_json::from_value::<StoreSettings>(json);
        read.map_err(|error| fields.refuse(Diagnostic::error(error.to_string(), "")))
            .ok()
    });
    fields.end(made)
}

/// What is wrong with it, by its own rules and by ours.
fn problem(value: &Value, settings: &StoreSettings) -> Option<Diagnostic> {
    if let Err(error) = settings.check() {
        return Some(error.into());
    }
    let few = u64::from(settings.replicas) < REPLICAS_SAFE && !value.get(UNSAFE).is_true();
    few.then(|| {
        let summary = format!(
            "replicas: {} are fewer than {REPLICAS_SAFE}",
            settings.replicas
        );
        let detail = format!(
            "With fewer copies, data are lost with a server. Where that is meant, as on one \
             machine, say so: {UNSAFE} = true."
        );
        Diagnostic::error(summary, detail).at("replicas")
    })
}

/// What there is. What a store does not keep is as it was.
fn state(found: &Found, prior: &Value) -> Object {
    let Value::Map(mut all) = value_of(&found.settings) else {
        return Object::new();
    };
    let replicas = u64::from(found.settings.replicas);
    let own = [
        (UNSAFE, Value::from(replicas < REPLICAS_SAFE)),
        (FORCE, false.into()),
        (PROTECTION, true.into()),
    ];
    for (name, usual) in own {
        let value = match prior.get(name) {
            Value::Null => usual,
            said => said.clone(),
        };
        all.insert(name.to_owned(), value);
    }
    all.insert("epoch".to_owned(), value_of(&found.spec.epoch));
    all
}

fn made(spec: StoreSpec, settings: StoreSettings, planned: &Object) -> Object {
    let found = Found { spec, settings };
    fill(planned, &state(&found, &Value::Map(planned.clone())))
}

fn known(value: &Value) -> Result<StoreSettings, Diagnostics> {
    let wanted = wanted(value)?;
    wanted.ok_or_else(|| vec![Diagnostic::error("not everything is known", "")])
}

#[tonic::async_trait]
impl Resource for Store {
    fn name(&self) -> &'static str {
        "eddyline_store"
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let filled = Value::Map(propose(&self.0, &Value::Null, config).planned);
        match wanted(&filled) {
            Err(problems) => problems,
            Ok(None) => Vec::new(),
            Ok(Some(settings)) => problem(&filled, &settings).into_iter().collect(),
        }
    }

    async fn plan(&self, on: &Connection, prior: &Value, proposal: &mut Proposal) -> Diagnostics {
        if !proposal.replaces.is_empty() {
            return protected(prior).into_iter().collect();
        }
        match wanted(&Value::Map(proposal.planned.clone())) {
            Err(problems) => problems,
            Ok(None) => Vec::new(),
            Ok(Some(settings)) => {
                on.expect_store(StoreSpec {
                    name: settings.name,
                    lanes: settings.lanes,
                    // Drawn when it is made; nobody is judged by it.
                    epoch: Epoch::from_random(0),
                });
                Vec::new()
            }
        }
    }

    async fn read(&self, on: &Connection, prior: &Value) -> Result<Option<Object>, Diagnostics> {
        let Some(name) = Fields::of(prior).read::<StoreName>("name") else {
            return Ok(None);
        };
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        let found = deployer.store(&name).await;
        let found = found.map_err(|error| vec![Diagnostic::from(error)])?;
        Ok(found.map(|found| state(&found, prior)))
    }

    async fn create(&self, on: &Connection, planned: &Object) -> Done {
        let settings = known(&Value::Map(planned.clone()))?;
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        match deployer.make_store(&settings).await {
            Ok(spec) => Ok((made(spec, settings, planned), Vec::new())),
            Err(ControlError::Store(error @ BootstrapError::Differs(_))) => {
                Err(vec![Diagnostic::from(error).at("name")])
            }
            Err(error) => Err(vec![error.into()]),
        }
    }

    async fn update(&self, on: &Connection, prior: &Value, planned: &Object) -> Done {
        let (seen, settings) = (known(prior)?, known(&Value::Map(planned.clone()))?);
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        let changed = deployer.change_store(&seen, &settings).await;
        let spec = changed.map_err(|error| vec![Diagnostic::from(error)])?;
        Ok((made(spec, settings, planned), Vec::new()))
    }

    async fn remove(&self, on: &Connection, prior: &Value) -> Result<(), Diagnostics> {
        let Some(name) = Fields::of(prior).read::<StoreName>("name") else {
            return Ok(());
        };
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        let removed = deployer
            .remove_store(&name, prior.get(FORCE).is_true())
            .await;
        removed.map_err(|error| vec![error.into()])
    }

    fn import(&self, id: &str) -> Result<Object, Diagnostic> {
        let name = StoreName::parse(id);
        name.map_err(|error| Diagnostic::error(error.to_string(), "The id is its name."))?;
        Ok(named(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_an_attribute() {
        let settings = value_of(&usual());
        let all = settings.object().unwrap().keys().map(String::as_str);
        let mut named: Vec<&str> = super::settings().map(|(name, _)| name).collect();
        named.push("name");
        named.sort_unstable();
        assert_eq!(all.collect::<Vec<_>>(), named);
    }

    #[test]
    fn what_is_found_is_what_was_wanted() {
        let found = Found {
            spec: StoreSpec {
                name: usual().name,
                lanes: usual().lanes,
                epoch: Epoch::from_random(7),
            },
            settings: usual(),
        };
        let state = Value::Map(state(&found, &Value::Null));
        assert_eq!(wanted(&state), Ok(Some(usual())));
        assert_eq!(problem(&state, &usual()), None);
        let few = StoreSettings {
            replicas: 2,
            ..usual()
        };
        let told = problem(&state, &few).unwrap();
        assert_eq!(told.attribute.as_deref(), Some("replicas"));
    }
}
