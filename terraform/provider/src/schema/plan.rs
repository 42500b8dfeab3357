//! What follows from a configuration and what there was: the values that are planned,
//! whether anything changes, and what that replaces.
//!
//! Pure. The rule that Terraform enforces holds by construction: wherever the configuration
//! says something, that is what is planned.

use super::{Attribute, Kind, Schema, Usage};
use crate::value::{Object, Value};

/// What is planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// All attributes; unknown is what only applying tells.
    pub planned: Object,
    /// Whether there is anything to do.
    pub changes: bool,
    /// Attributes that need another object.
    pub replaces: Vec<&'static str>,
}

/// Plans an object that is made (`prior` is null) or that there is.
pub fn propose(schema: &Schema, prior: &Value, config: &Value) -> Proposal {
    let mut planned = Object::new();
    let (mut changes, mut replaces) = (prior.is_null(), Vec::new());
    for attribute in &schema.attributes {
        let (was, said) = (prior.get(attribute.name), config.get(attribute.name));
        let value = match attribute.is_computed() {
            true if prior.is_null() => Value::Unknown,
            true => was.clone(),
            false => filled(attribute, said),
        };
        if !attribute.is_computed() && value != *was {
            changes = true;
            if attribute.replaces && !prior.is_null() {
                replaces.push(attribute.name);
            }
        }
        planned.insert(attribute.name.to_owned(), value);
    }
    let mut proposal = Proposal {
        planned,
        changes,
        replaces,
    };
    if proposal.changes {
        proposal.forget_what_changes(schema);
    }
    proposal
}

impl Proposal {
    /// Something changes that the configuration does not say: what applying tells anew is
    /// not known.
    pub fn changed(&mut self, schema: &Schema) {
        if !self.changes {
            self.changes = true;
            self.forget_what_changes(schema);
        }
    }

    /// Some of what is planned is known already.
    pub fn know(&mut self, known: impl IntoIterator<Item = (&'static str, Value)>) {
        let known = known.into_iter();
        self.planned
            .extend(known.map(|(name, value)| (name.to_owned(), value)));
    }

    fn forget_what_changes(&mut self, schema: &Schema) {
        let changing = schema.attributes.iter();
        let changing = changing.filter(|attribute| matches!(attribute.usage, Usage::Changing));
        for attribute in changing {
            self.planned
                .insert(attribute.name.to_owned(), Value::Unknown);
        }
    }
}

/// What is planned of an attribute of which the configuration says this.
fn filled(attribute: &Attribute, said: &Value) -> Value {
    match (&attribute.usage, &attribute.kind, said) {
        (Usage::WriteOnly, ..) => Value::Null,
        (Usage::Default(value), _, Value::Null) => value.clone(),
        (_, Kind::Object(attributes), Value::Map(_)) => inner(attributes, said),
        (_, Kind::Objects(attributes), Value::List(all)) => {
            Value::List(all.iter().map(|one| inner(attributes, one)).collect())
        }
        _ => said.clone(),
    }
}

fn inner(attributes: &[Attribute], said: &Value) -> Value {
    if said.object().is_none() {
        return said.clone();
    }
    let all = attributes.iter().map(|attribute| {
        let value = filled(attribute, said.get(attribute.name));
        (attribute.name.to_owned(), value)
    });
    Value::Map(all.collect())
}

/// The defaults of all attributes of an object, as the value of one that is not said.
pub fn defaults(attributes: &[Attribute]) -> Value {
    inner(attributes, &Value::Map(Object::new()))
}

#[cfg(test)]
mod tests;
