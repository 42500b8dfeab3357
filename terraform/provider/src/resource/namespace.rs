//! `eddyline_namespace`. Owns its schema.

use bus::BusError;
use control::{Action, ControlError, Expected, NamespaceDraft, Thing, Wanted, alone};
use protocol::class::Classes;
use protocol::name::{FunctionName, Namespace, StoreName};
use protocol::spec::{NamespaceSpec, PresenceSetting};

use crate::connection::{Connection, unasked};
use crate::diagnostic::{Diagnostic, Diagnostics, note};
use crate::fields::{Fields, fill, value_of};
use crate::resource::lifecycle::{Done, PROTECTION, Resource, named, protected};
use crate::schema::plan::Proposal;
use crate::schema::{Attribute, Kind, Schema};
use crate::value::{Object, Value};

/// The resource.
pub struct Namespaces(Schema);

impl Default for Namespaces {
    /// With its schema.
    fn default() -> Self {
        Self(Schema {
            description: "A namespace: the first token of channels, which store they live in, and \
                          which function their events pass first.",
            attributes: attributes(),
        })
    }
}

fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::required(
            "name",
            Kind::Text,
            "Its name: the first token of its channels.",
        )
        .replaces(),
        Attribute::default(
            "store",
            Kind::Text,
            "main",
            "The store that its channels live in, for good.",
        )
        .replaces(),
        Attribute::optional(
            "gate",
            Kind::Text,
            "The function that its events pass first, for good; without one they are stored as \
             they come. Refer to the function's name, so that it is there before and gone after.",
        )
        .replaces(),
        Attribute::default(
            "classes",
            Kind::Set(Box::new(Kind::Text)),
            value_of(&Classes::default()),
            "How its events may be delivered: `durable`, `ephemeral`, or both.",
        ),
        Attribute::optional(
            "conflate",
            Kind::Text,
            "The header by which ephemeral events that wait are replaced by newer ones.",
        ),
        Attribute::default(
            "batch_ms",
            Kind::Number,
            0u64,
            "How long deliveries wait for more, milliseconds.",
        ),
        Attribute::optional(
            "quota_bytes",
            Kind::Number,
            "Most bytes that one tenant may have stored in it; without, its share of the store.",
        ),
        Attribute::default(
            "presence",
            Kind::Text,
            "off",
            "Whether its channels tell who is on them: `off`, `on`, or up to how many members \
             are named, and `,lifecycle` behind it for events of occupied and vacated channels.",
        ),
        Attribute::default(
            PROTECTION,
            Kind::Bool,
            true,
            "Whether it is kept from being removed: edges refuse what is published to a namespace \
             that is not there. What is stored stays for as long as its store keeps it.",
        ),
        Attribute::changing("revision", Kind::Number, "Its revision in `CONFIG`."),
        Attribute::changing("written_by", Kind::Text, "Who wrote it last."),
    ]
}

/// What is wanted, as far as it is known.
fn draft(value: &Value) -> Result<Option<NamespaceDraft>, Diagnostics> {
    let mut fields = Fields::of(value);
    let name = fields.read::<Namespace>("name");
    let store = fields.read::<StoreName>("store");
    let gate = fields.read::<Option<FunctionName>>("gate");
    let classes = fields.read::<Classes>("classes");
    let conflate = fields.read::<Option<String>>("conflate");
    let batch_ms = fields.read::<u32>("batch_ms");
    let quota_bytes = fields.read::<Option<u64>>("quota_bytes");
    let presence = fields.read::<PresenceSetting>("presence");
    // What says nothing is kept as nothing, and would be said anew by every plan.
    if conflate == Some(Some(String::new())) {
        fields.refuse(Diagnostic::refused("conflate", "is empty: leave it out"));
    }
    if quota_bytes == Some(Some(0)) {
        let problem = "0 is no quota: leave it out for a share of the store";
        fields.refuse(Diagnostic::refused("quota_bytes", problem));
    }
    let made = || {
        Some(NamespaceDraft {
            // What is not said is to be as it is where nobody says anything.
            classes: Some(classes?),
            conflate: Some(conflate?.unwrap_or_default()),
            batch_ms: Some(batch_ms?),
            quota_bytes: Some(quota_bytes?.unwrap_or_default()),
            presence: Some(presence?),
            ..NamespaceDraft::new(name?, store?, gate?)
        })
    };
    let made = made();
    fields.end(made)
}

/// What there is. What is written in another way than it is kept stays as it was.
fn state(spec: &NamespaceSpec, revision: u64, prior: &Value) -> Object {
    let presence = spec
        .presence
        .map_or(PresenceSetting::Off, PresenceSetting::On);
    let said = prior.get("presence").as_text();
    let said = said.filter(|word| word.parse() == Ok(presence));
    let optional = |value: Option<Value>| value.unwrap_or(Value::Null);
    let all = [
        ("name", value_of(&spec.name)),
        ("store", value_of(&spec.store)),
        ("gate", optional(spec.gate().map(value_of))),
        ("classes", value_of(&spec.classes)),
        (
            "conflate",
            optional(spec.conflate.as_deref().map(Value::text)),
        ),
        ("batch_ms", u64::from(spec.batch_ms).into()),
        ("quota_bytes", optional(spec.quota_bytes.map(Value::from))),
        (
            "presence",
            said.map_or_else(|| value_of(&presence), Value::text),
        ),
        (
            PROTECTION,
            match prior.get(PROTECTION) {
                Value::Null => true.into(),
                said => said.clone(),
            },
        ),
        ("revision", revision.into()),
        (
            "written_by",
            optional(
                spec.written
                    .as_ref()
                    .map(|written| Value::text(&written.by)),
            ),
        ),
    ];
    all.map(|(name, value)| (name.to_owned(), value)).into()
}

impl Namespaces {
    /// Plans with NATS: what would be refused, and what is there already.
    async fn judge(
        &self,
        on: &Connection,
        prior: &Value,
        draft: NamespaceDraft,
    ) -> Result<Diagnostics, Diagnostics> {
        let deployer = match on.deployer().await {
            Ok(deployer) => deployer,
            Err(why) => {
                let judged = alone::namespace(draft);
                judged.map_err(|error| vec![error.into()])?;
                return Ok(vec![unasked(&why)]);
            }
        };
        let wanted = Wanted {
            namespaces: vec![draft],
            ..Wanted::default()
        };
        let plan = deployer.plan_beside(wanted, &on.pending()).await;
        let plan = plan.map_err(|error| vec![Diagnostic::from(error)])?;
        let mut told = Diagnostics::new();
        for step in &plan.steps {
            let Thing::Namespace(spec) = &step.thing else {
                continue;
            };
            if prior.is_null() && matches!(step.action, Action::Change(_)) {
                let what = step.what();
                return Err(vec![ControlError::Exists { what }.into()]);
            }
            told.extend(step.notes.iter().map(|text| note(text)));
            on.expect_namespace(spec.clone());
        }
        Ok(told)
    }

    async fn put(&self, on: &Connection, expected: Expected, planned: &Object) -> Done {
        let draft = draft(&Value::Map(planned.clone()))?;
        let draft = draft.ok_or_else(|| vec![Diagnostic::error("not everything is known", "")])?;
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        let applied = deployer.expecting(expected).apply_namespace(draft).await;
        let applied = applied.map_err(|error| vec![Diagnostic::from(error)])?;
        let found = state(&applied.spec, applied.revision, &Value::Null);
        Ok((
            fill(planned, &found),
            applied.notes.iter().map(|text| note(text)).collect(),
        ))
    }
}

#[tonic::async_trait]
impl Resource for Namespaces {
    fn name(&self) -> &'static str {
        "eddyline_namespace"
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let filled = crate::schema::plan::propose(&self.0, &Value::Null, config);
        match draft(&Value::Map(filled.planned)) {
            Err(problems) => problems,
            Ok(None) => Vec::new(),
            Ok(Some(draft)) => match alone::namespace(draft) {
                Ok(()) => Vec::new(),
                Err(error) => vec![error.into()],
            },
        }
    }

    async fn plan(&self, on: &Connection, prior: &Value, proposal: &mut Proposal) -> Diagnostics {
        if !proposal.replaces.is_empty() {
            if let Some(name) = Fields::of(prior).read::<Namespace>("name") {
                on.leave_namespace(name);
            }
            // It is asked for anew, as one that is to be made.
            return protected(prior).into_iter().collect();
        }
        if !proposal.changes {
            return Vec::new();
        }
        let judged = match draft(&Value::Map(proposal.planned.clone())) {
            Err(problems) => Err(problems),
            Ok(None) => Ok(Vec::new()),
            Ok(Some(draft)) => self.judge(on, prior, draft).await,
        };
        judged.unwrap_or_else(|problems| problems)
    }

    async fn read(&self, on: &Connection, prior: &Value) -> Result<Option<Object>, Diagnostics> {
        let Some(name) = Fields::of(prior).read::<Namespace>("name") else {
            return Ok(None);
        };
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        match deployer.landscape().await {
            Ok(land) => {
                let unreadable = land.readable(&protocol::spec::key::namespace(&name));
                unreadable.map_err(|error| vec![error.into()])?;
                let entry = land.namespaces.get(&name);
                Ok(entry.map(|entry| state(&entry.spec, entry.revision, prior)))
            }
            Err(BusError::NotFound) => Ok(None),
            Err(error) => Err(vec![error.into()]),
        }
    }

    async fn create(&self, on: &Connection, planned: &Object) -> Done {
        self.put(on, Expected::New, planned).await
    }

    async fn update(&self, on: &Connection, prior: &Value, planned: &Object) -> Done {
        let seen = prior.get("revision").as_u64();
        let expected = seen.map_or(Expected::Whatever, Expected::Revision);
        self.put(on, expected, planned).await
    }

    async fn remove(&self, on: &Connection, prior: &Value) -> Result<(), Diagnostics> {
        let Some(name) = Fields::of(prior).read::<Namespace>("name") else {
            return Ok(());
        };
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        let seen = prior.get("revision").as_u64();
        let expected = seen.map_or(Expected::Whatever, Expected::Revision);
        match deployer.expecting(expected).remove_namespace(&name).await {
            Ok(_) | Err(ControlError::Missing { .. }) => Ok(()),
            Err(error) => Err(vec![error.into()]),
        }
    }

    fn import(&self, id: &str) -> Result<Object, Diagnostic> {
        let name = Namespace::parse(id);
        name.map_err(|error| Diagnostic::error(error.to_string(), "The id is its name."))?;
        Ok(named(id))
    }
}
