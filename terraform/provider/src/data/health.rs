//! `data "eddyline_health"`: what a `check` block asks. Owns its schema.

use std::collections::BTreeSet;

use control::{Deployer, Landscape};
use protocol::name::StoreName;

use crate::connection::Connection;
use crate::data::source::Source;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fields::Fields;
use crate::schema::{Attribute, Kind, Schema};
use crate::value::{Object, Value};

/// The data source.
pub struct Health(Schema);

impl Default for Health {
    /// With its schema.
    fn default() -> Self {
        let texts = Kind::texts;
        Self(Schema {
            description: "How a store does, for `check` blocks. What is wrong is a value here, \
                          and no error.",
            attributes: vec![
                Attribute::required("store", Kind::Text, "The store's name."),
                Attribute::made("healthy", Kind::Bool, "Whether nothing is wrong."),
                Attribute::made("problems", texts(), "What is wrong, in sentences."),
                Attribute::made("workers", texts(), "The workers that live, by name."),
                Attribute::made("functions", texts(), "The functions that are deployed."),
                Attribute::made("namespaces", texts(), "The namespaces that live in it."),
            ],
        })
    }
}

/// What is found out.
#[derive(Default)]
struct Found {
    problems: Vec<String>,
    workers: BTreeSet<String>,
    functions: BTreeSet<String>,
    namespaces: BTreeSet<String>,
}

impl Found {
    fn config(&mut self, land: &Landscape, store: &StoreName) {
        if !land.stores.contains_key(store) {
            self.problems.push(format!("there is no store {store}"));
        }
        for (key, problem) in &land.unreadable {
            self.problems
                .push(format!("{key} is not readable: {problem}"));
        }
        let namespaces = land.namespaces.values().map(|entry| &entry.spec);
        for spec in namespaces.filter(|spec| spec.store == *store) {
            self.namespaces.insert(spec.name.to_string());
            let gate = spec
                .gate()
                .filter(|gate| !land.functions.contains_key(*gate));
            self.problems.extend(gate.map(|gate| {
                let name = &spec.name;
                format!("{gate} is not deployed: events of {name} are refused until it is")
            }));
        }
        let functions = land.functions.values().map(|entry| &entry.spec);
        for spec in functions.filter(|spec| spec.store == *store) {
            self.functions.insert(spec.name.to_string());
            if spec.paused.is_some() {
                self.problems.push(format!("{} is paused", spec.name));
            }
        }
    }

    async fn workers(&mut self, deployer: &Deployer, store: &StoreName) -> Result<(), Diagnostic> {
        for report in deployer.reports(store).await? {
            let broken = report.broken.iter();
            let name = &report.name;
            self.problems.extend(
                broken
                    .map(|(function, reason)| format!("{name} does not run {function}: {reason}")),
            );
            self.workers.insert(report.name);
        }
        if self.workers.is_empty() && !self.functions.is_empty() {
            let problem = format!("no worker of the store {store} is there");
            self.problems.push(problem);
        }
        Ok(())
    }

    fn object(self, store: &StoreName) -> Object {
        let texts = |all: BTreeSet<String>| Value::List(all.into_iter().map(Value::Text).collect());
        let problems = self
            .problems
            .into_iter()
            .map(Value::Text)
            .collect::<Vec<_>>();
        let all = [
            ("store", Value::text(store.as_str())),
            ("healthy", problems.is_empty().into()),
            ("problems", Value::List(problems)),
            ("workers", texts(self.workers)),
            ("functions", texts(self.functions)),
            ("namespaces", texts(self.namespaces)),
        ];
        all.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

#[tonic::async_trait]
impl Source for Health {
    fn name(&self) -> &'static str {
        "eddyline_health"
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let mut fields = Fields::of(config);
        let store = fields.read::<StoreName>("store");
        fields.end(store).err().unwrap_or_default()
    }

    async fn read(&self, on: &Connection, config: &Value) -> Result<Object, Diagnostics> {
        let mut fields = Fields::of(config);
        let store = fields.read::<StoreName>("store");
        let Some(store) = fields.end(store)? else {
            return Ok(Object::new());
        };
        let mut found = Found::default();
        let asked = async {
            let deployer = on.deployer().await?;
            found.config(&deployer.landscape().await?, &store);
            found.workers(&deployer, &store).await
        };
        let asked: Result<(), Diagnostic> = asked.await;
        found
            .problems
            .extend(asked.err().map(|error| error.summary));
        Ok(found.object(&store))
    }
}
