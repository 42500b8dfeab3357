//! A value as Terraform has it: what is known, what is not said, and what is not known yet.
//!
//! Owns nothing. How it crosses the wire: [`msgpack`]; as JSON: [`json`].

pub mod json;
pub mod msgpack;

use std::collections::BTreeMap;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Not said.
    Null,
    /// Known when it is applied.
    Unknown,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// A list, or a set in its order.
    List(Vec<Value>),
    /// An object with all of its attributes, or a map.
    Map(Object),
}

/// An object's attributes, or a map's elements.
pub type Object = BTreeMap<String, Value>;

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Whether it, and everything in it, is known.
    pub fn is_known(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::List(all) => all.iter().all(Self::is_known),
            Self::Map(all) => all.values().all(Self::is_known),
            _ => true,
        }
    }

    /// Whether it is not said.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Its text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is true.
    pub fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }

    /// Its number, if it is a whole one that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Its attributes; none of what is no object.
    pub fn object(&self) -> Option<&Object> {
        match self {
            Self::Map(object) => Some(object),
            _ => None,
        }
    }

    /// An attribute of an object; not said if there is none.
    pub fn get(&self, name: &str) -> &Self {
        self.object()
            .and_then(|object| object.get(name))
            .unwrap_or(&Self::Null)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}
