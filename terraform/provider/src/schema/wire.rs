//! A schema as it crosses the wire. Owns nothing.

use serde_json::{Value as Json, json};

use super::{Attribute, Kind, Schema, Usage};
use crate::wire::provider as wire;

/// The version of every state so far.
pub const STATE_VERSION: i64 = 0;

impl Schema {
    /// As it crosses the wire.
    pub fn wire(&self) -> wire::Schema {
        wire::Schema {
            version: STATE_VERSION,
            block: Some(wire::schema::Block {
                version: STATE_VERSION,
                attributes: self.attributes.iter().map(attribute).collect(),
                description: self.description.into(),
            }),
        }
    }
}

fn attribute(of: &Attribute) -> wire::schema::Attribute {
    let nested = |attributes: &[Attribute], mode: wire::schema::nested::Mode| {
        Some(wire::schema::Nested {
            attributes: attributes.iter().map(attribute).collect(),
            nesting: mode.into(),
        })
    };
    use wire::schema::nested::Mode;
    // One has a type or attributes of its own, and never both.
    let (r#type, nested_type) = match &of.kind {
        Kind::Object(attributes) => (Vec::new(), nested(attributes, Mode::Single)),
        Kind::Objects(attributes) => (Vec::new(), nested(attributes, Mode::List)),
        kind => (type_of(kind), None),
    };
    let usage = &of.usage;
    wire::schema::Attribute {
        name: of.name.into(),
        r#type,
        nested_type,
        description: of.description.into(),
        required: matches!(usage, Usage::Required),
        optional: matches!(
            usage,
            Usage::Optional | Usage::Default(_) | Usage::WriteOnly
        ),
        // What has a default is filled in by us.
        computed: of.is_computed() || matches!(usage, Usage::Default(_)),
        sensitive: of.sensitive,
        write_only: matches!(usage, Usage::WriteOnly),
    }
}

/// A type as Terraform writes it down.
pub fn type_of(kind: &Kind) -> Vec<u8> {
    described(kind).to_string().into_bytes()
}

fn described(kind: &Kind) -> Json {
    let object = |attributes: &[Attribute]| {
        let all = attributes.iter();
        let all: serde_json::Map<_, _> = all
            .map(|one| (one.name.to_owned(), described(&one.kind)))
            .collect();
        json!(["object", all])
    };
    match kind {
        Kind::Text => "string".into(),
        Kind::Number => "number".into(),
        Kind::Bool => "bool".into(),
        Kind::List(of) => json!(["list", described(of)]),
        Kind::Set(of) => json!(["set", described(of)]),
        Kind::Map(of) => json!(["map", described(of)]),
        Kind::Object(attributes) => object(attributes),
        Kind::Objects(attributes) => json!(["list", object(attributes)]),
    }
}
