//! An object whose fields know who wrote them last.
//!
//! A value; it is the state machine of the gate. Must not know events. Writes with
//! different stamps may come in any order: the same object comes out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use json_tree::{Decimal, Node};

/// Members of an object, in their order.
pub type Members<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

/// How late a write is. Of two with one version, that of the user whose name is greater
/// is the later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// The version.
    pub version: Decimal,
    /// Who wrote.
    pub user: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field<'a> {
    stamp: Stamp,
    /// Null: it was taken away, and the stamp stays so that no older write brings it back.
    value: Node<'a>,
}

/// The object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged<'a> {
    fields: BTreeMap<String, Field<'a>>,
    /// Of an object that is replaced as a whole: when that was last.
    whole: Option<Stamp>,
}

/// What came of a write.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Fields that it has changed.
    pub fresh: u64,
    /// Fields that had a later version already, or this one.
    pub stale: u64,
    /// Why the first of those stays, for the publisher.
    pub newer: Option<String>,
}

impl<'a> Merged<'a> {
    /// What was remembered; an empty object if that is none.
    pub fn read(text: &'a [u8]) -> Self {
        let mut merged = Self::default();
        let Ok(Node::Object(parts)) = json_tree::parse(text) else {
            return merged;
        };
        for (part, node) in parts {
            match (&*part, node) {
                ("whole", node) => merged.whole = field(node).map(|field| field.stamp),
                (_, Node::Object(fields)) => {
                    let fields = fields.into_iter();
                    let fields =
                        fields.filter_map(|(name, node)| Some((name.into_owned(), field(node)?)));
                    merged.fields = fields.collect();
                }
                _ => {}
            }
        }
        merged
    }

    /// What is to be remembered.
    pub fn write(&self) -> Vec<u8> {
        let stamped = |stamp: &Stamp, value: Node<'a>| {
            let version = Node::Number(stamp.version.to_string().into());
            let user = Node::Text(stamp.user.clone().into());
            Node::List(vec![version, user, value])
        };
        let fields = self.fields.iter().map(|(name, field)| {
            let node = stamped(&field.stamp, field.value.clone());
            (name.clone().into(), node)
        });
        let mut parts = vec![("fields".into(), Node::Object(fields.collect()))];
        if let Some(stamp) = &self.whole {
            parts.push(("whole".into(), stamped(stamp, Node::Null)));
        }
        bytes(&Node::Object(parts))
    }

    /// Fields, those that were taken away included.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Writes each field that has no later version.
    pub fn write_fields(&mut self, stamp: &Stamp, fields: Members<'a>) -> Written {
        let mut written = Written::default();
        for (name, value) in fields {
            let known = self.fields.get(&*name).map(|field| &field.stamp);
            let known = known.max(self.whole.as_ref());
            if let Some(known) = known.filter(|known| *known >= stamp) {
                written.stale += 1;
                let newer = || newer(&format!("the field {name:?}"), known);
                written.newer.get_or_insert_with(newer);
                continue;
            }
            written.fresh += 1;
            let stamp = stamp.clone();
            self.fields
                .insert(name.into_owned(), Field { stamp, value });
        }
        written
    }

    /// Puts an object in the place of this one, if no part of it has a later version.
    pub fn replace(&mut self, stamp: &Stamp, fields: Members<'a>) -> Written {
        if let Some(known) = self.last().filter(|known| *known >= stamp) {
            return Written {
                stale: 1,
                newer: Some(newer("the object", known)),
                ..Written::default()
            };
        }
        let field = |(name, value): (Cow<'a, str>, Node<'a>)| {
            let stamp = stamp.clone();
            (name.into_owned(), Field { stamp, value })
        };
        self.fields = fields.into_iter().map(field).collect();
        self.whole = Some(stamp.clone());
        Written {
            fresh: 1,
            ..Written::default()
        }
    }

    /// The object as everybody sees it: its members by name, and first, under the name
    /// for it, the latest version.
    pub fn show(&self, version: Option<&str>) -> Node<'a> {
        let first = version.zip(self.last()).map(|(name, stamp)| {
            let number = Node::Number(stamp.version.to_string().into());
            (name.to_owned().into(), number)
        });
        // What was replaced as a whole stays as it was said, nulls included.
        let there = |field: &Field<'_>| {
            field.value != Node::Null || self.whole.as_ref() == Some(&field.stamp)
        };
        let fields = self
            .fields
            .iter()
            .filter(|(name, field)| there(field) && version.is_none_or(|version| version != *name));
        let fields = fields.map(|(name, field)| (name.clone().into(), field.value.clone()));
        Node::Object(first.into_iter().chain(fields).collect())
    }

    fn last(&self) -> Option<&Stamp> {
        let fields = self.fields.values().map(|field| &field.stamp);
        fields.chain(self.whole.as_ref()).max()
    }
}

/// As publishers are told.
fn newer(what: &str, known: &Stamp) -> String {
    let Stamp { version, user } = known;
    format!("stale: {what} has the version {version} of {user}")
}

fn field(node: Node<'_>) -> Option<Field<'_>> {
    let Node::List(parts) = node else {
        return None;
    };
    let [version, user, value]: [Node<'_>; 3] = parts.try_into().ok()?;
    let stamp = Stamp {
        version: version.decimal()?,
        user: user.text()?.to_owned(),
    };
    Some(Field { stamp, value })
}

fn bytes(node: &Node<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    node.write(&mut bytes)
        .expect("writing into memory does not fail");
    bytes
}

#[cfg(test)]
mod tests;
