//! Names of channels with gaps that an event fills.
//!
//! A value, owned by whoever read it. Must not know which channels a function was granted.

use std::fmt;

use json_tree::Node;
use protocol::name::{Channel, User};
use sdk::Event;

/// A name of a channel with gaps.
#[derive(Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Gap(Gap),
}

/// What fills a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Gap {
    Tenant,
    /// The user as one token: what no token may have in it is written in hexadecimal.
    User,
    Channel,
    /// A token of the channel, from 0.
    Token(usize),
    /// A field, by JSON pointer.
    Field(String),
}

impl Template {
    /// Reads a template: `{tenant}`, `{user}`, `{channel}`, `{token.N}` and
    /// `{/json/pointer}` are gaps.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (gap, after) = after.split_once('}').ok_or("`}` is missing")?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Gap(Gap::read(gap)?));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Self(parts);
        // With a letter in each gap it is a channel, or it never is.
        let example = template.join(|_| Ok("x".into()))?;
        Channel::for_client(&example).map_err(|error| error.to_string())?;
        Ok(template)
    }

    /// The channel for an event.
    ///
    /// # Errors
    /// Which gap cannot be filled, or why the name is none.
    pub fn fill(&self, event: &Event<'_>, document: Option<&Node<'_>>) -> Result<Channel, String> {
        let name = self.join(|gap| gap.fill(event, document))?;
        Channel::for_client(&name).map_err(|error| error.to_string())
    }

    fn join(&self, fill: impl Fn(&Gap) -> Result<String, String>) -> Result<String, String> {
        self.0.iter().try_fold(String::new(), |mut name, part| {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Gap(gap) => name.push_str(&fill(gap)?),
            }
            Ok(name)
        })
    }
}

impl Gap {
    fn read(text: &str) -> Result<Self, String> {
        let token = text
            .strip_prefix("token.")
            .and_then(|n| n.parse::<usize>().ok());
        match (text, token.and_then(|n| n.checked_sub(1))) {
            ("tenant", _) => Ok(Self::Tenant),
            ("user", _) => Ok(Self::User),
            ("channel", _) => Ok(Self::Channel),
            (_, Some(at)) => Ok(Self::Token(at)),
            _ if text.starts_with('/') => Ok(Self::Field(text.to_owned())),
            _ => Err(format!(
                "{{{text}}} is not tenant, user, channel, token.<from 1> or a JSON pointer"
            )),
        }
    }

    fn fill(&self, event: &Event<'_>, document: Option<&Node<'_>>) -> Result<String, String> {
        let text = match self {
            Self::Channel => return Ok(event.channel().to_owned()),
            Self::User => {
                let user = User::parse(event.publisher()).map_err(|error| error.to_string())?;
                return Ok(user.token());
            }
            Self::Tenant => Some(event.tenant()),
            Self::Token(at) => event.channel().split('.').nth(*at),
            Self::Field(pointer) => document
                .and_then(|document| document.pointer(pointer))
                .and_then(Node::scalar),
        };
        let text = text.ok_or_else(|| format!("{self} is not there"))?;
        // A point would make two tokens of it, and so lead to another channel than the
        // one that was meant.
        if text.is_empty() || text.contains('.') {
            return Err(format!("{self} is not one token of a channel"));
        }
        Ok(text.to_owned())
    }
}

/// As publishers are told.
impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("the tenant"),
            Self::User => f.write_str("the user"),
            Self::Channel => f.write_str("the channel"),
            Self::Token(at) => write!(f, "token {} of the channel", at + 1),
            Self::Field(pointer) => write!(f, "the field {pointer:?}"),
        }
    }
}
