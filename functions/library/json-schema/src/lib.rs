//! A gate that lets JSON pass when it obeys a JSON Schema (draft 2020-12), as it is,
//! and rejects everything else with the place in the data and the rule that it breaks.
//!
//! Owns the schemas, read once. Must not know what they are about.
//!
//! The page `README.md` beside this crate names the settings.

use std::fmt;

use json_tree::Node;
use protocol::name::{Channel, ChannelPattern};
use sdk::{Config, Emitter, Event, Outcome, Worker, metrics};
use settings::{Data, OtherData, Settings};

mod check;
mod compile;
mod pattern;
mod schema;
mod value;

use check::Broken;
use schema::Schema;

/// The setting with the schema of every channel that has none of its own.
const SCHEMA: &str = "schema";
/// What the settings with the schemas of some channels begin with.
const SCHEMAS: &str = "schema.";

/// The gate.
pub struct JsonSchema {
    /// For every channel that no pattern covers.
    usual: Option<Schema>,
    /// By pattern; a document obeys all that cover its channel.
    special: Vec<(ChannelPattern, Schema)>,
    other_data: OtherData,
}

impl Worker for JsonSchema {
    fn init(config: &Config) -> Result<Self, String> {
        let settings = Settings::new(config, &[SCHEMA, SCHEMAS, "other_data"])?;
        let usual = settings.get(SCHEMA).map(|text| read(SCHEMA, text));
        let special = settings.group(SCHEMAS).map(|(pattern, text)| {
            let key = format!("{SCHEMAS}{pattern}");
            let pattern = ChannelPattern::parse(pattern);
            let pattern = pattern.map_err(|error| Settings::wrong(&key, error))?;
            Ok((pattern, read(&key, text)?))
        });
        let gate = Self {
            usual: usual.transpose()?,
            special: special.collect::<Result<_, String>>()?,
            other_data: OtherData::of_json(&settings, OtherData::Reject)?,
        };
        if gate.usual.is_none() && gate.special.is_empty() {
            return Err(Settings::wrong(SCHEMA, "is not set"));
        }
        Ok(gate)
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let schemas = self.schemas(event.channel());
        // A channel without a schema is nobody's to judge.
        if schemas.is_empty() {
            return out.pass();
        }
        let node = match self.other_data.read(event, out) {
            Data::Json(node) => node,
            Data::Text(_) => return Outcome::reject("not json"),
            Data::Settled(outcome) => return outcome,
        };
        match schemas.iter().try_for_each(|schema| schema.check(&node)) {
            Ok(()) => out.pass(),
            Err(broken) => {
                metrics::count("rejected", 1);
                Outcome::reject(broken.to_string())
            }
        }
    }
}

impl JsonSchema {
    fn schemas(&self, channel: &str) -> Vec<&Schema> {
        let Ok(channel) = Channel::parse(channel) else {
            return self.usual.iter().collect();
        };
        let covering = self
            .special
            .iter()
            .filter(|(pattern, _)| pattern.matches(&channel));
        let covering: Vec<_> = covering.map(|(_, schema)| schema).collect();
        if covering.is_empty() {
            return self.usual.iter().collect();
        }
        covering
    }
}

/// What a publisher is told.
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken {
            place,
            rule,
            problem,
        } = self;
        write!(f, "{place:?} {problem} (rule {rule:?})")
    }
}

fn read(key: &str, text: &str) -> Result<Schema, String> {
    let node: Node<'_> = Settings::tree(key, text)?;
    compile::compile(&node).map_err(|error| Settings::wrong(key, error))
}

sdk::export!(JsonSchema);

#[cfg(test)]
mod tests;
