//! What a resource, a data source or the provider itself is made of: attributes with their
//! types, and who says what of them.
//!
//! Owns nothing. How a schema crosses the wire: [`wire`]; how a value is made to fit it:
//! [`conform`]; what follows from a configuration: [`plan`].

pub mod conform;
pub mod plan;
pub mod wire;

use crate::value::Value;

/// All attributes of something, in the order in which they are shown.
#[derive(Debug, Clone)]
pub struct Schema {
    /// What it is, for people.
    pub description: &'static str,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

/// One attribute.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Who says what it holds.
    pub usage: Usage,
    /// What it is for; in Markdown.
    pub description: &'static str,
    /// Whether another value needs another object.
    pub replaces: bool,
    /// Whether it is kept from being shown.
    pub sensitive: bool,
}

/// What an attribute holds.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// Values in an order.
    List(Box<Kind>),
    /// Values without one.
    Set(Box<Kind>),
    /// Values by name.
    Map(Box<Kind>),
    /// Attributes of its own.
    Object(Vec<Attribute>),
    /// Several of these, in an order.
    Objects(Vec<Attribute>),
}

/// Who says what an attribute holds.
#[derive(Debug, Clone)]
pub enum Usage {
    /// The configuration must.
    Required,
    /// The configuration may; if it does not, it holds nothing.
    Optional,
    /// The configuration may; if it does not, it holds this.
    Default(Value),
    /// The configuration may, but the value goes into no plan and no state.
    WriteOnly,
    /// The provider, when it is made, and it stays so.
    Made,
    /// The provider, with every change.
    Changing,
}

impl Attribute {
    fn new(name: &'static str, kind: Kind, usage: Usage, description: &'static str) -> Self {
        Self {
            name,
            kind,
            usage,
            description,
            replaces: false,
            sensitive: false,
        }
    }

    /// One that the configuration must say.
    pub fn required(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self::new(name, kind, Usage::Required, description)
    }

    /// One that the configuration may say.
    pub fn optional(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self::new(name, kind, Usage::Optional, description)
    }

    /// One that holds this if the configuration says nothing.
    pub fn default(
        name: &'static str,
        kind: Kind,
        value: impl Into<Value>,
        description: &'static str,
    ) -> Self {
        Self::new(name, kind, Usage::Default(value.into()), description)
    }

    /// One that is given and never kept.
    pub fn write_only(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self::new(name, kind, Usage::WriteOnly, description)
    }

    /// One that is known once it is made.
    pub fn made(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self::new(name, kind, Usage::Made, description)
    }

    /// One that is known anew after each change.
    pub fn changing(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self::new(name, kind, Usage::Changing, description)
    }

    /// The same; another value needs another object.
    #[must_use]
    pub fn replaces(self) -> Self {
        Self {
            replaces: true,
            ..self
        }
    }

    /// The same, never shown.
    #[must_use]
    pub fn sensitive(self) -> Self {
        Self {
            sensitive: true,
            ..self
        }
    }

    /// Whether the provider alone says what it holds.
    pub fn is_computed(&self) -> bool {
        matches!(self.usage, Usage::Made | Usage::Changing)
    }
}

impl Kind {
    /// Texts in an order.
    pub fn texts() -> Self {
        Self::List(Box::new(Self::Text))
    }

    /// The word for it, in Terraform's own language.
    pub fn word(&self) -> String {
        match self {
            Self::Text => "string".into(),
            Self::Number => "number".into(),
            Self::Bool => "bool".into(),
            Self::List(of) => format!("list({})", of.word()),
            Self::Set(of) => format!("set({})", of.word()),
            Self::Map(of) => format!("map({})", of.word()),
            Self::Object(_) => "object".into(),
            Self::Objects(_) => "list(object)".into(),
        }
    }
}
