//! A schema in the form in which it is applied: parts that name one another by number.
//!
//! Owned by the gate. Must not know the text that it was read from.

use std::collections::BTreeMap;

use regex::Regex;

use crate::value::ValueRule;

/// Which part of a schema.
pub type Id = usize;

/// A schema, with all that is inside it. The first part is the whole.
#[derive(Debug, Default)]
pub struct Schema {
    /// Its parts.
    pub parts: Vec<Part>,
    /// Whether a rule asks for what others have looked at (`unevaluated...`).
    pub remembers: bool,
}

/// One schema among those of a document.
#[derive(Debug, Default)]
pub struct Part {
    /// Where it stands: a JSON pointer.
    pub place: String,
    /// Its rules by keyword, those last that ask for what others have looked at.
    pub rules: Vec<(String, Rule)>,
}

/// One rule.
#[derive(Debug)]
pub enum Rule {
    /// Nothing obeys it: the schema `false`.
    Never,
    /// It looks at the value alone.
    Value(ValueRule),
    /// It looks at the items of an array.
    List(ListRule),
    /// It looks at the members of an object.
    Object(ObjectRule),
    /// It holds other schemas against the same value.
    Same(SameRule),
}

/// A rule for the items of an array.
#[derive(Debug)]
pub enum ListRule {
    /// `prefixItems`: one for each of the first.
    First(Vec<Id>),
    /// `items`: all from this one on.
    Rest(usize, Id),
    /// `contains`: as many as this.
    Contains {
        /// What they obey.
        id: Id,
        /// At least so many do.
        min: u64,
        /// At most so many do.
        max: u64,
    },
    /// `unevaluatedItems`.
    Unevaluated(Id),
}

/// A rule for the members of an object.
#[derive(Debug)]
pub enum ObjectRule {
    /// `properties`.
    Named(BTreeMap<String, Id>),
    /// `patternProperties`.
    Patterns(Vec<(Regex, Id)>),
    /// `additionalProperties`: those that neither a name nor a pattern fits.
    Additional {
        /// The names of `properties`.
        names: Vec<String>,
        /// The patterns of `patternProperties`.
        patterns: Vec<Regex>,
        /// What the others obey.
        id: Id,
    },
    /// `propertyNames`.
    Names(Id),
    /// `unevaluatedProperties`.
    Unevaluated(Id),
}

/// A rule that holds other schemas against the same value.
#[derive(Debug)]
pub enum SameRule {
    /// `allOf` and `$ref`.
    All(Vec<Id>),
    /// `anyOf`.
    Any(Vec<Id>),
    /// `oneOf`.
    One(Vec<Id>),
    /// `not`.
    Not(Id),
    /// `if`, `then`, `else`.
    If(Id, Option<Id>, Option<Id>),
    /// `dependentSchemas`.
    Dependent(Vec<(String, Id)>),
}

impl SameRule {
    /// The schemas that it holds against the value.
    #[must_use]
    pub fn ids(&self) -> Vec<Id> {
        match self {
            Self::All(ids) | Self::Any(ids) | Self::One(ids) => ids.clone(),
            Self::Not(id) => vec![*id],
            Self::If(id, then, otherwise) => [Some(*id), *then, *otherwise]
                .into_iter()
                .flatten()
                .collect(),
            Self::Dependent(dependents) => dependents.iter().map(|(_, id)| *id).collect(),
        }
    }
}
