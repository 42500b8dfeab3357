//! Reads JSON, strictly by RFC 8259, and stricter in one thing: an object that has a
//! member twice is refused, as RFC 7493 wants it, because readers do not agree on which
//! of the two counts, and what was checked would not be what is read.
//!
//! Owns its place in the text. Must not know what a document means.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use crate::node::Node;

/// Most levels of arrays and objects in one another, as in `serde_json`: the reader and
/// all that walk through a tree use the stack, of which a guest has one mebibyte.
pub const DEPTH_MAX: usize = 128;
/// From how many members on a set finds a name faster than looking at each.
const SET_FROM: usize = 16;

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Where, in bytes from the start.
    pub at: usize,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.problem, self.at)
    }
}

impl std::error::Error for ParseError {}

/// Reads one JSON value, with white space around it and nothing else.
///
/// # Errors
/// [`ParseError`] names the place.
pub fn parse(data: &[u8]) -> Result<Node<'_>, ParseError> {
    let text = std::str::from_utf8(data).map_err(|error| ParseError {
        at: error.valid_up_to(),
        problem: "not utf-8".into(),
    })?;
    let mut reader = Reader { text, at: 0 };
    reader.skip_space();
    let node = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.error("something follows the value"));
    }
    Ok(node)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, problem: impl Into<String>) -> ParseError {
        ParseError {
            at: self.at,
            problem: problem.into(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, ParseError> {
        match self.peek() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => {
                Err(self.error(format!("over {DEPTH_MAX} levels")))
            }
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.list(depth + 1),
            Some(b'"') => Ok(Node::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Node::Null),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(_) => Err(self.error("no value begins like this")),
            None => Err(self.error("a value is missing")),
        }
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, ParseError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.error("no value begins like this"));
        }
        self.at += word.len();
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Node<'a>, ParseError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Node::List(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Node::List(items));
            }
            if !self.take(b',') {
                return Err(self.error("`,` or `]` is missing"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, ParseError> {
        self.at += 1;
        let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
        let mut names = BTreeSet::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Node::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.member(&members, &mut names)?;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.error("`:` is missing"));
            }
            self.skip_space();
            let node = self.value(depth)?;
            members.push((name, node));
            self.skip_space();
            if self.take(b'}') {
                return Ok(Node::Object(members));
            }
            if !self.take(b',') {
                return Err(self.error("`,` or `}` is missing"));
            }
        }
    }

    /// The name of the next member, which no member before it has.
    fn member(
        &mut self,
        members: &[(Cow<'a, str>, Node<'a>)],
        names: &mut BTreeSet<Cow<'a, str>>,
    ) -> Result<Cow<'a, str>, ParseError> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.error("the name of a member is missing"));
        }
        let name = self.string()?;
        let twice = if members.len() < SET_FROM {
            members.iter().any(|(other, _)| *other == name)
        } else {
            if names.is_empty() {
                names.extend(members.iter().map(|(other, _)| other.clone()));
            }
            !names.insert(name.clone())
        };
        if twice {
            self.at = start;
            return Err(self.error("a member comes twice"));
        }
        Ok(name)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
        let start = self.at;
        let mut plain = true;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    self.at += 2;
                }
                Some(0..0x20) => return Err(self.error("a control character in a string")),
                Some(_) => self.at += 1,
                None => {
                    self.at = start;
                    return Err(self.error("a string does not end"));
                }
            }
        }
        self.at += 1;
        if plain {
            return Ok(Cow::Borrowed(&self.text[start + 1..self.at - 1]));
        }
        let quoted = self.text.as_bytes().get(start..self.at).unwrap_or_default();
        serde_json::from_slice(quoted).map(Cow::Owned).map_err(|_| {
            self.at = start;
            self.error("a string with a wrong escape")
        })
    }

    fn digits(&mut self) -> Result<(), ParseError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error("a digit is missing"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Node<'a>, ParseError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Node::Number(Cow::Borrowed(&self.text[start..self.at])))
    }
}

#[cfg(test)]
mod tests;
