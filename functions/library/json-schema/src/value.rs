//! Rules that look at one value alone.
//!
//! A value, owned by the schema. Must not know other schemas.

use std::collections::BTreeSet;

use json_tree::{Decimal, Node};
use regex::Regex;

use crate::pattern;

/// The types of JSON Schema, each a bit.
const TYPES: [(&str, u8); 7] = [
    ("null", 1),
    ("boolean", 2),
    ("number", 4),
    ("integer", 8),
    ("string", 16),
    ("array", 32),
    ("object", 64),
];

/// A rule for one value. What is of another type than the rule is about, obeys it.
#[derive(Debug)]
pub enum ValueRule {
    /// `type`: a sum of bits.
    Type(u8),
    /// `enum` and `const`: canonical texts.
    OneOf(BTreeSet<String>),
    /// `minimum`.
    AtLeast(Decimal),
    /// `maximum`.
    AtMost(Decimal),
    /// `exclusiveMinimum`.
    Over(Decimal),
    /// `exclusiveMaximum`.
    Under(Decimal),
    /// `multipleOf`, with its coefficient.
    MultipleOf(Decimal, u64),
    /// `maxLength`, in characters.
    Longest(u64),
    /// `minLength`, in characters.
    Shortest(u64),
    /// `pattern`.
    Pattern(Regex),
    /// `minItems` or `minProperties`.
    Fewest(Many, u64),
    /// `maxItems` or `maxProperties`.
    Most(Many, u64),
    /// `uniqueItems`.
    Unique,
    /// `required`.
    Required(Vec<String>),
    /// `dependentRequired`.
    Dependent(Vec<(String, Vec<String>)>),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Many {
    /// The items of an array.
    Items,
    /// The members of an object.
    Members,
}

/// Reads a rule, if the keyword is one of a rule for one value.
///
/// # Errors
/// What is wrong with the keyword's value.
pub fn read(keyword: &str, value: &Node<'_>) -> Result<Option<ValueRule>, String> {
    Ok(Some(match keyword {
        "type" => ValueRule::Type(types(value)?),
        "enum" => ValueRule::OneOf(list(value)?.iter().map(Node::canonical).collect()),
        "const" => ValueRule::OneOf([value.canonical()].into()),
        "minimum" => ValueRule::AtLeast(number(value)?),
        "maximum" => ValueRule::AtMost(number(value)?),
        "exclusiveMinimum" => ValueRule::Over(number(value)?),
        "exclusiveMaximum" => ValueRule::Under(number(value)?),
        "multipleOf" => {
            let divisor = number(value)?;
            if !divisor.is_positive() {
                return Err("must be over 0".into());
            }
            let coefficient = divisor.coefficient().ok_or("has too many digits")?;
            ValueRule::MultipleOf(divisor, coefficient)
        }
        "maxLength" => ValueRule::Longest(count(value)?),
        "minLength" => ValueRule::Shortest(count(value)?),
        "pattern" => ValueRule::Pattern(pattern::read(value.text().ok_or("must be a string")?)?),
        "minItems" => ValueRule::Fewest(Many::Items, count(value)?),
        "maxItems" => ValueRule::Most(Many::Items, count(value)?),
        "minProperties" => ValueRule::Fewest(Many::Members, count(value)?),
        "maxProperties" => ValueRule::Most(Many::Members, count(value)?),
        "uniqueItems" => match value {
            Node::Bool(true) => ValueRule::Unique,
            // Nothing is asked for.
            Node::Bool(false) => ValueRule::Required(Vec::new()),
            _ => return Err("must be true or false".into()),
        },
        "required" => ValueRule::Required(names(value)?),
        "dependentRequired" => match value {
            Node::Object(members) => ValueRule::Dependent(
                members
                    .iter()
                    .map(|(name, others)| Ok((name.clone().into_owned(), names(others)?)))
                    .collect::<Result<_, String>>()?,
            ),
            _ => return Err("must be an object".into()),
        },
        _ => return Ok(None),
    }))
}

/// The value of a keyword that counts something.
///
/// # Errors
/// It is not a whole number from 0 on.
pub fn count(value: &Node<'_>) -> Result<u64, String> {
    let count = value.decimal().and_then(|number| number.count());
    count.ok_or_else(|| "must be a whole number from 0 on".to_owned())
}

fn number(value: &Node<'_>) -> Result<Decimal, String> {
    value.decimal().ok_or_else(|| "must be a number".to_owned())
}

fn list<'a, 'b>(value: &'b Node<'a>) -> Result<&'b [Node<'a>], String> {
    match value {
        Node::List(items) => Ok(items),
        _ => Err("must be an array".into()),
    }
}

fn names(value: &Node<'_>) -> Result<Vec<String>, String> {
    let name = |item: &Node<'_>| item.text().map(str::to_owned);
    let names: Option<_> = list(value)?.iter().map(name).collect();
    names.ok_or_else(|| "must be an array of strings".to_owned())
}

fn types(value: &Node<'_>) -> Result<u8, String> {
    let one = [value.clone()];
    let items = if value.text().is_some() {
        &one[..]
    } else {
        list(value)?
    };
    items.iter().try_fold(0, |sum, item| {
        let known = TYPES.iter().find(|(name, _)| item.text() == Some(name));
        let (_, bit) = known.ok_or("names no type of JSON Schema")?;
        Ok(sum | bit)
    })
}

fn type_of(node: &Node<'_>) -> u8 {
    match node {
        Node::Null => 1,
        Node::Bool(_) => 2,
        Node::Number(number) if Decimal::read(number).is_whole() => 4 | 8,
        Node::Number(_) => 4,
        Node::Text(_) => 16,
        Node::List(_) => 32,
        Node::Object(_) => 64,
    }
}

impl Many {
    /// How many there are, if it has any to count.
    fn of(self, node: &Node<'_>) -> Option<u64> {
        let count = match (self, node) {
            (Self::Items, Node::List(items)) => items.len(),
            (Self::Members, Node::Object(members)) => members.len(),
            _ => return None,
        };
        u64::try_from(count).ok()
    }

    fn word(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Members => "members",
        }
    }
}

impl ValueRule {
    /// Looks at a value.
    ///
    /// # Errors
    /// What it should be.
    pub fn check(&self, node: &Node<'_>) -> Result<(), String> {
        match self {
            Self::Type(types) => holds(type_of(node) & types != 0, || must_be(*types)),
            Self::OneOf(allowed) => holds(allowed.contains(&node.canonical()), || {
                "must be one of the allowed values".into()
            }),
            Self::Fewest(many, min) => holds(many.of(node).is_none_or(|n| n >= *min), || {
                format!("must have at least {min} {}", many.word())
            }),
            Self::Most(many, max) => holds(many.of(node).is_none_or(|n| n <= *max), || {
                format!("must have at most {max} {}", many.word())
            }),
            Self::Unique => check_unique(node),
            Self::Required(names) => check_required(node, names),
            Self::Dependent(dependents) => dependents
                .iter()
                .filter(|(name, _)| node.member(name).is_some())
                .try_for_each(|(_, names)| check_required(node, names)),
            _ => match node {
                Node::Number(number) => self.check_number(&Decimal::read(number)),
                Node::Text(text) => self.check_text(text),
                _ => Ok(()),
            },
        }
    }

    fn check_number(&self, number: &Decimal) -> Result<(), String> {
        match self {
            Self::AtLeast(min) => holds(number >= min, || format!("must be at least {min}")),
            Self::AtMost(max) => holds(number <= max, || format!("must be at most {max}")),
            Self::Over(min) => holds(number > min, || format!("must be over {min}")),
            Self::Under(max) => holds(number < max, || format!("must be under {max}")),
            Self::MultipleOf(divisor, coefficient) => {
                holds(number.is_multiple_of(divisor, *coefficient), || {
                    format!("must be a multiple of {divisor}")
                })
            }
            _ => Ok(()),
        }
    }

    fn check_text(&self, text: &str) -> Result<(), String> {
        let length = || u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        match self {
            Self::Shortest(min) => holds(length() >= *min, || {
                format!("must have at least {min} characters")
            }),
            Self::Longest(max) => holds(length() <= *max, || {
                format!("must have at most {max} characters")
            }),
            Self::Pattern(pattern) => holds(pattern.is_match(text), || {
                "must match the pattern".to_owned()
            }),
            _ => Ok(()),
        }
    }
}

fn holds(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

fn must_be(types: u8) -> String {
    let named = TYPES.iter().filter(|(_, bit)| types & bit != 0);
    let names: Vec<_> = named.map(|(name, _)| *name).collect();
    format!("must be {}", names.join(" or "))
}

fn check_unique(node: &Node<'_>) -> Result<(), String> {
    let Node::List(items) = node else {
        return Ok(());
    };
    let mut seen = BTreeSet::new();
    let twice = items.iter().position(|item| !seen.insert(item.canonical()));
    holds(twice.is_none(), || {
        format!("item {} is there already", twice.unwrap_or_default())
    })
}

fn check_required(node: &Node<'_>, names: &[String]) -> Result<(), String> {
    if !matches!(node, Node::Object(_)) {
        return Ok(());
    }
    let missing = names.iter().find(|name| node.member(name).is_none());
    missing.map_or(Ok(()), |name| Err(format!("must have the member {name:?}")))
}
