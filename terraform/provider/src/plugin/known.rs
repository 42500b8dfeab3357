//! What a run knows of, and values as they cross the wire. Owns the way to NATS.

use crate::call;
use crate::call::Call;
use crate::connection::Connection;
use crate::data;
use crate::data::Source;
use crate::diagnostic::Diagnostic;
use crate::resource;
use crate::resource::Resource;
use crate::schema::{Schema, conform};
use crate::value::{Value, msgpack};
use crate::wire::provider::DynamicValue;

/// What there is, and the way to NATS.
pub(crate) struct Known {
    pub connection: Connection,
    pub resources: Vec<Box<dyn Resource>>,
    pub sources: Vec<Box<dyn Source>>,
    pub calls: Vec<Call>,
}

impl Known {
    /// Everything, not configured yet.
    pub fn new() -> Self {
        Self {
            connection: Connection::default(),
            resources: resource::all(),
            sources: data::all(),
            calls: call::all(),
        }
    }

    pub fn resource(&self, name: &str) -> Result<&dyn Resource, Diagnostic> {
        let mut all = self.resources.iter();
        let found = all.find(|resource| resource.name() == name);
        found
            .map(|found| &**found)
            .ok_or_else(|| Diagnostic::error(format!("there is no resource {name}"), ""))
    }

    pub fn source(&self, name: &str) -> Result<&dyn Source, Diagnostic> {
        let mut all = self.sources.iter();
        let found = all.find(|source| source.name() == name);
        found
            .map(|found| &**found)
            .ok_or_else(|| Diagnostic::error(format!("there is no data source {name}"), ""))
    }
}

/// A value that fits a schema, as it came.
pub fn decode(schema: &Schema, value: Option<&DynamicValue>) -> Result<Value, Diagnostic> {
    let bytes = value.map_or(&[][..], |value| &value.msgpack);
    let value = msgpack::decode(bytes);
    let value = value.map_err(|error| Diagnostic::error(error.to_string(), ""))?;
    Ok(conform::object(&schema.attributes, value))
}

/// A value that fits a schema, to be sent.
pub fn encode(schema: &Schema, value: Value) -> DynamicValue {
    let value = conform::object(&schema.attributes, value);
    DynamicValue {
        msgpack: msgpack::encode(&value),
        json: Vec::new(),
    }
}
