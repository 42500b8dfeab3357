//! `data "eddyline_store"`. Owns its schema.

use protocol::name::StoreName;

use crate::connection::Connection;
use crate::data::source::Source;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fields::{Fields, value_of};
use crate::resource::store::settings;
use crate::schema::{Attribute, Kind, Schema};
use crate::value::{Object, Value};

/// The data source.
pub struct Store(Schema);

impl Default for Store {
    /// With its schema.
    fn default() -> Self {
        let mut attributes = vec![Attribute::required("name", Kind::Text, "Its name.")];
        attributes.push(Attribute::made(
            "epoch",
            Kind::Text,
            "Which life of it this is.",
        ));
        attributes.extend(
            settings().map(|(name, description)| Attribute::made(name, Kind::Number, description)),
        );
        Self(Schema {
            description: "A store as it is.",
            attributes,
        })
    }
}

#[tonic::async_trait]
impl Source for Store {
    fn name(&self) -> &'static str {
        "eddyline_store"
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let mut fields = Fields::of(config);
        let name = fields.read::<StoreName>("name");
        fields.end(name).err().unwrap_or_default()
    }

    async fn read(&self, on: &Connection, config: &Value) -> Result<Object, Diagnostics> {
        let mut fields = Fields::of(config);
        let name = fields.read::<StoreName>("name");
        let Some(name) = fields.end(name)? else {
            return Ok(Object::new());
        };
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        let found = deployer.store(&name).await;
        let found = found.map_err(|error| vec![Diagnostic::from(error)])?;
        let found = found.ok_or_else(|| {
            let detail = "Make it with the resource eddyline_store.";
            vec![Diagnostic::error(format!("there is no store {name}"), detail).at("name")]
        })?;
        let Value::Map(mut all) = value_of(&found.settings) else {
            return Ok(Object::new());
        };
        all.insert("epoch".to_owned(), value_of(&found.spec.epoch));
        Ok(all)
    }
}
