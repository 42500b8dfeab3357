//! One rule: by what a table is looked up, and where the entry goes.
//!
//! A value, owned by the gate. Must not know tables.

use std::borrow::Cow;
use std::fmt;

use json_tree::Node;
use sdk::Event;
use serde::Deserialize;

/// A rule, as the settings have it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSetting {
    /// The table.
    pub table: String,
    /// By what: `user`, `tenant`, `token.N` or a JSON pointer.
    pub by: String,
    /// Where the entry goes; among the members of the document if there is no place.
    #[serde(default)]
    pub into: Option<String>,
    /// Whether it takes the place of what is there.
    #[serde(default)]
    pub overwrite: bool,
    /// Whether an event without an entry is rejected.
    #[serde(default)]
    pub required: bool,
}

/// By what a table is looked up.
#[derive(Debug, PartialEq, Eq)]
pub enum By {
    /// The user who published the event.
    User,
    /// The tenant.
    Tenant,
    /// A token of the channel, from 0.
    Token(usize),
    /// A field, by JSON pointer.
    Field(String),
}

impl By {
    /// Reads it.
    ///
    /// # Errors
    /// It is none of the forms.
    pub fn read(text: &str) -> Result<Self, String> {
        let token = text
            .strip_prefix("token.")
            .and_then(|n| n.parse::<usize>().ok());
        match (text, token.and_then(|n| n.checked_sub(1))) {
            ("user", _) => Ok(Self::User),
            ("tenant", _) => Ok(Self::Tenant),
            (_, Some(at)) => Ok(Self::Token(at)),
            _ if text.starts_with('/') => Ok(Self::Field(text.to_owned())),
            _ => Err(format!(
                "by: {text:?} is not user, tenant, token.<from 1> or a JSON pointer"
            )),
        }
    }

    /// What to look up; nothing if the event has no such thing.
    pub fn key<'a>(&self, event: &Event<'a>, document: &'a Node<'_>) -> Option<&'a str> {
        match self {
            Self::User => Some(event.publisher()),
            Self::Tenant => Some(event.tenant()),
            Self::Token(at) => event.channel().split('.').nth(*at),
            Self::Field(pointer) => document.pointer(pointer)?.scalar(),
        }
    }
}

/// As publishers are told.
impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Tenant => f.write_str("tenant"),
            Self::Token(at) => write!(f, "channel (token {})", at + 1),
            Self::Field(pointer) => write!(f, "field {pointer:?}"),
        }
    }
}

/// Where an entry goes: names of members, from the outside.
#[derive(Debug, PartialEq, Eq)]
pub struct Target(Vec<String>);

impl Target {
    /// Reads a place.
    ///
    /// # Errors
    /// It is no JSON pointer to a member.
    pub fn read(pointer: Option<&str>) -> Result<Self, String> {
        let Some(pointer) = pointer else {
            return Ok(Self(Vec::new()));
        };
        let steps = pointer.strip_prefix('/');
        let steps = steps.ok_or_else(|| format!("into: {pointer:?} is no JSON pointer"))?;
        let step = |step: &str| step.replace("~1", "/").replace("~0", "~");
        Ok(Self(steps.split('/').map(step).collect()))
    }

    /// Whether the members of an entry go among those of the document.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts an entry where it goes: how many members were set, and how many were there
    /// already and stay.
    pub fn put<'a>(
        &self,
        document: &mut Node<'a>,
        entry: &Node<'static>,
        overwrite: bool,
    ) -> (u64, u64) {
        let Some((last, above)) = self.0.split_last() else {
            let Node::Object(members) = entry else {
                return (0, 0);
            };
            let sets = members
                .iter()
                .map(|(name, node)| set(document, name, node, overwrite));
            return sets.fold((0, 0), |(set, kept), was| {
                (set + u64::from(was), kept + u64::from(!was))
            });
        };
        let mut node = document;
        for name in above {
            match inside(node, name) {
                Some(inner) => node = inner,
                // Something that is no object is there, and stays.
                None => return (0, 1),
            }
        }
        let was = set(node, last, entry, overwrite);
        (u64::from(was), u64::from(!was))
    }
}

/// The member of that name, made as an object if it is not there; nothing if the node
/// is no object.
fn inside<'n, 'a>(node: &'n mut Node<'a>, name: &str) -> Option<&'n mut Node<'a>> {
    let Node::Object(members) = node else {
        return None;
    };
    let at = members.iter().position(|(other, _)| other == name);
    let at = at.unwrap_or_else(|| {
        members.push((Cow::Owned(name.to_owned()), Node::Object(Vec::new())));
        members.len() - 1
    });
    members.get_mut(at).map(|(_, node)| node)
}

fn set(node: &mut Node<'_>, name: &str, entry: &Node<'static>, overwrite: bool) -> bool {
    let Node::Object(members) = node else {
        return false;
    };
    match members.iter_mut().find(|(other, _)| other == name) {
        Some((_, member)) if overwrite => *member = entry.clone(),
        Some(_) => return false,
        None => members.push((Cow::Owned(name.to_owned()), entry.clone())),
    }
    true
}
