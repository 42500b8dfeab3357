//! The tree, and how it is written.
//!
//! A value, owned by whoever parsed it; it borrows from the text where it can. Must not
//! know how text is parsed.

use std::borrow::Cow;
use std::io;

use crate::decimal::Decimal;

/// One JSON value. `==` compares what was written, in its order; [`canonical`](Self::canonical)
/// compares values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, in the characters in which it was written.
    Number(Cow<'a, str>),
    /// A string, without quotes and escapes.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Node<'a>>),
    /// An object: its members in their order, each name once.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The member of that name, of an object.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Node<'a>> {
        let Self::Object(members) = self else {
            return None;
        };
        members
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, node)| node)
    }

    /// The node at a JSON pointer (RFC 6901); `""` is this node.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Node<'a>> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer
            .strip_prefix('/')?
            .split('/')
            .try_fold(self, |node, step| {
                let step = unescape(step);
                match node {
                    Self::List(items) => items.get(index(&step)?),
                    _ => node.member(&step),
                }
            })
    }

    /// The string, of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The exact value, of a number.
    #[must_use]
    pub fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Number(number) => Some(Decimal::read(number)),
            _ => None,
        }
    }

    /// What a name in a table or a channel may be made of: the string, or the number or
    /// truth value as it was written.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Self::Number(text) | Self::Text(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The same tree without a loan.
    #[must_use]
    pub fn into_owned(self) -> Node<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Node::Null,
            Self::Bool(value) => Node::Bool(value),
            Self::Number(number) => Node::Number(own(number)),
            Self::Text(text) => Node::Text(own(text)),
            Self::List(items) => Node::List(items.into_iter().map(Node::into_owned).collect()),
            Self::Object(members) => Node::Object(
                members
                    .into_iter()
                    .map(|(name, node)| (own(name), node.into_owned()))
                    .collect(),
            ),
        }
    }

    /// Writes the node, without white space.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        match self {
            Self::Null => out.write_all(b"null"),
            Self::Bool(value) => out.write_all(if *value { b"true" } else { b"false" }),
            Self::Number(number) => out.write_all(number.as_bytes()),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    out.write_all(if at == 0 { b"[" } else { b"," })?;
                    item.write(out)?;
                }
                out.write_all(if items.is_empty() { b"[]" } else { b"]" })
            }
            Self::Object(members) => {
                for (at, (name, node)) in members.iter().enumerate() {
                    out.write_all(if at == 0 { b"{" } else { b"," })?;
                    write_text(name, out)?;
                    out.write_all(b":")?;
                    node.write(out)?;
                }
                out.write_all(if members.is_empty() { b"{}" } else { b"}" })
            }
        }
    }

    /// A text that two nodes share when, and only when, they are the same value:
    /// `1` and `1.0` are, and objects whose members come in another order.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.write_canonical(&mut text);
        text
    }

    fn write_canonical(&self, text: &mut String) {
        match self {
            Self::Null => text.push('n'),
            Self::Bool(value) => text.push(if *value { 't' } else { 'f' }),
            Self::Number(number) => text.push_str(&Decimal::read(number).to_string()),
            Self::Text(string) => write_canonical_text(string, text),
            Self::List(items) => {
                text.push('[');
                for item in items {
                    item.write_canonical(text);
                    text.push(',');
                }
                text.push(']');
            }
            Self::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                text.push('{');
                for (name, node) in sorted {
                    write_canonical_text(name, text);
                    node.write_canonical(text);
                    text.push(',');
                }
                text.push('}');
            }
        }
    }
}

/// The length first: no text can look like what follows it.
fn write_canonical_text(string: &str, text: &mut String) {
    text.push('"');
    text.push_str(&string.len().to_string());
    text.push(':');
    text.push_str(string);
}

fn write_text(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// One step of a pointer, without its escapes.
pub(crate) fn unescape(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        step.replace("~1", "/").replace("~0", "~").into()
    } else {
        step.into()
    }
}

/// The index that a step of a pointer names: digits, without a zero in front.
pub(crate) fn index(step: &str) -> Option<usize> {
    let digits = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (step.len() > 1 && step.starts_with('0')) {
        return None;
    }
    step.parse().ok()
}

#[cfg(test)]
mod tests;
