//! Edits of a text, and how two that were made at once are put one behind the other.
//!
//! Values. Must not know revisions, nor who made an edit. Lengths are in code points.

use std::iter::Peekable;
use std::vec;

use json_tree::Node;

/// Most parts of an edit that somebody sends: one of a person has a few, one of a program
/// that replaces throughout a page some hundreds.
pub const PARTS_MAX: usize = 1_000;
/// Longest stretch that a part may keep or delete: more than any text has.
const STRETCH_MAX: usize = 1 << 20;

/// One part of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// So many characters stay.
    Retain(usize),
    /// This text comes in.
    Insert(String),
    /// So many characters go.
    Delete(usize),
}

/// An edit of a whole text, from its beginning. What its parts do not reach stays.
///
/// There is one form of each: parts of a kind are joined, what is inserted comes before
/// what is deleted at the same place, and nothing is kept at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operation(Vec<Part>);

/// Whose text comes first, when two insert at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Ours.
    Before,
    /// The other's.
    Behind,
}

impl Operation {
    /// Reads `[5,"abc",-3]`: keep 5, insert `abc`, delete 3.
    ///
    /// # Errors
    /// What is wrong with it, for its publisher.
    pub fn read(node: &Node<'_>) -> Result<Self, String> {
        let Node::List(items) = node else {
            return Err("must be an array".into());
        };
        if items.len() > PARTS_MAX {
            return Err(format!("over {PARTS_MAX} parts"));
        }
        let wrong = |at| format!("part {at}: neither a text nor a whole number of characters");
        Self::of(items).map_err(|at| wrong(at + 1))
    }

    /// Reads what has been written here: an edit that was transformed may have more parts.
    pub fn read_kept(node: &Node<'_>) -> Option<Self> {
        match node {
            Node::List(items) => Self::of(items).ok(),
            _ => None,
        }
    }

    /// Reads parts; or says which of them is none.
    fn of(items: &[Node<'_>]) -> Result<Self, usize> {
        let mut operation = Self::default();
        for (at, item) in items.iter().enumerate() {
            operation.push(part(item).ok_or(at)?);
        }
        Ok(operation.trimmed())
    }

    /// Writes it as [`read`](Self::read) takes it.
    pub fn node(&self) -> Node<'static> {
        let items = self.0.iter().map(|part| match part {
            Part::Retain(count) => Node::Number(count.to_string().into()),
            Part::Insert(text) => Node::Text(text.clone().into()),
            Part::Delete(count) => Node::Number(format!("-{count}").into()),
        });
        Node::List(items.collect())
    }

    /// Characters of the text before that it reaches over.
    pub fn reach(&self) -> usize {
        let reach = self.0.iter().map(|part| match part {
            Part::Retain(count) | Part::Delete(count) => *count,
            Part::Insert(_) => 0,
        });
        reach.sum()
    }

    /// How long the text was before, if it has `after` characters now; nothing if it
    /// cannot be.
    pub fn length_before(&self, after: usize) -> Option<usize> {
        self.0.iter().try_fold(after, |length, part| match part {
            Part::Retain(_) => Some(length),
            Part::Insert(text) => length.checked_sub(count(text)),
            Part::Delete(count) => Some(length + count),
        })
    }

    /// The text with the edit in it; nothing if the text is too short for it.
    pub fn apply(&self, text: &str) -> Option<String> {
        let (mut edited, mut rest) = (String::with_capacity(text.len()), text);
        for part in &self.0 {
            match part {
                Part::Insert(text) => edited.push_str(text),
                Part::Retain(count) => {
                    let (kept, left) = split(rest, *count)?;
                    edited.push_str(kept);
                    rest = left;
                }
                Part::Delete(count) => rest = split(rest, *count)?.1,
            }
        }
        edited.push_str(rest);
        Some(edited)
    }

    /// This edit as it must be once `other`, which was made of the same text, has been
    /// applied. With the two sides it holds: the text with this and then
    /// `other.transform(self)` is the text with `other` and then `self.transform(other)`.
    pub fn transform(&self, other: &Self, side: Side) -> Self {
        let mut transformed = Self::default();
        let mut ours = Parts::of(self);
        let mut theirs = Parts::of(other);
        loop {
            match (ours.peek(), theirs.peek()) {
                (None, _) => break,
                (Some(Part::Insert(text)), other)
                    if side == Side::Before || !matches!(other, Some(Part::Insert(_))) =>
                {
                    transformed.push(Part::Insert(text.clone()));
                    ours.next();
                }
                (_, Some(Part::Insert(text))) => {
                    transformed.push(Part::Retain(count(text)));
                    theirs.next();
                }
                (Some(part), None) => {
                    transformed.push(part.clone());
                    ours.next();
                }
                (Some(ours_kind), Some(theirs_kind)) => {
                    let made = match (ours_kind, theirs_kind) {
                        (Part::Retain(_), Part::Retain(_)) => Some(Part::Retain as fn(_) -> _),
                        (Part::Delete(_), Part::Retain(_)) => Some(Part::Delete as fn(_) -> _),
                        // What the other has deleted can neither be kept nor deleted.
                        _ => None,
                    };
                    let stretch = ours.stretch().min(theirs.stretch());
                    ours.skip(stretch);
                    theirs.skip(stretch);
                    if let Some(make) = made {
                        transformed.push(make(stretch));
                    }
                }
            }
        }
        transformed.trimmed()
    }

    /// Adds a part, in the one form that there is.
    fn push(&mut self, part: Part) {
        match (self.0.last_mut(), part) {
            (_, Part::Retain(0) | Part::Delete(0)) => {}
            (_, Part::Insert(text)) if text.is_empty() => {}
            (Some(Part::Retain(last)), Part::Retain(more))
            | (Some(Part::Delete(last)), Part::Delete(more)) => *last += more,
            (Some(Part::Insert(last)), Part::Insert(more)) => last.push_str(&more),
            (Some(Part::Delete(_)), Part::Insert(text)) => self.insert_before_last(text),
            (_, part) => self.0.push(part),
        }
    }

    fn insert_before_last(&mut self, text: String) {
        let at = self.0.len() - 1;
        match at.checked_sub(1).map(|before| &mut self.0[before]) {
            Some(Part::Insert(before)) => before.push_str(&text),
            _ => self.0.insert(at, Part::Insert(text)),
        }
    }

    fn trimmed(mut self) -> Self {
        if let Some(Part::Retain(_)) = self.0.last() {
            self.0.pop();
        }
        self
    }
}

/// The parts of an operation that are still to come, of which the first may be begun.
struct Parts(Peekable<vec::IntoIter<Part>>);

impl Parts {
    fn of(operation: &Operation) -> Self {
        Self(operation.0.clone().into_iter().peekable())
    }

    fn peek(&mut self) -> Option<&Part> {
        self.0.peek()
    }

    fn next(&mut self) {
        self.0.next();
    }

    /// Characters of the text before that the next part reaches over.
    fn stretch(&mut self) -> usize {
        match self.0.peek() {
            Some(Part::Retain(count) | Part::Delete(count)) => *count,
            Some(Part::Insert(_)) | None => 0,
        }
    }

    fn skip(&mut self, stretch: usize) {
        if let Some(Part::Retain(count) | Part::Delete(count)) = self.0.peek_mut() {
            *count -= stretch;
            if *count == 0 {
                self.0.next();
            }
        }
    }
}

fn part(item: &Node<'_>) -> Option<Part> {
    match item {
        Node::Text(text) => Some(Part::Insert(text.clone().into_owned())),
        Node::Number(number) => {
            let (make, digits): (fn(_) -> _, _) = match number.strip_prefix('-') {
                Some(digits) => (Part::Delete, digits),
                None => (Part::Retain, &**number),
            };
            let stretch = digits.parse().ok()?;
            (stretch <= STRETCH_MAX).then(|| make(stretch))
        }
        _ => None,
    }
}

fn count(text: &str) -> usize {
    text.chars().count()
}

/// A text behind so many characters; nothing if it has fewer.
fn split(text: &str, characters: usize) -> Option<(&str, &str)> {
    let mut places = text.char_indices().map(|(at, _)| at);
    match places.nth(characters) {
        Some(at) => Some(text.split_at(at)),
        None => (count(text) == characters).then_some((text, "")),
    }
}

#[cfg(test)]
mod tests;
