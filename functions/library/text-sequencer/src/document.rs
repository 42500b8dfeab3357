//! A text, its revision, and the edits of late: what the gate remembers of a channel.
//!
//! The state machine of the gate: it takes an edit and says what is to be stored. Must
//! not know events; the memory it is given is the channel's.

use json_tree::Node;
use sdk::{State, StateError};

use crate::operation::{Operation, Side};

/// Most edits that are remembered; fewer where they are large. Of somebody who types ten
/// characters a second that is 20 seconds: who is behind for longer fetches anew.
pub const HISTORY_MAX: u64 = 200;
/// Largest text, bytes of UTF-8: beside it, a channel's memory of 128 KiB has room for an
/// edit that writes all of it, and for the usual ones.
pub const TEXT_BYTES_MAX: usize = 48 << 10;

/// Under what the text, the revisions and each edit are remembered.
const TEXT: &str = "text";
const REVISIONS: &str = "at";

/// What is remembered of a channel; without anything, an empty text of revision 0.
#[derive(Debug)]
pub struct Document<'a> {
    state: State<'a>,
    revision: u64,
    /// The first revision whose edit is remembered.
    first: u64,
    text: String,
}

impl<'a> Document<'a> {
    /// Reads what is remembered.
    pub fn read(state: State<'a>) -> Self {
        let at = state.parse::<String>(REVISIONS).unwrap_or_default();
        let at = at.split_once(' ');
        let at =
            at.and_then(|(revision, first)| Some((revision.parse().ok()?, first.parse().ok()?)));
        let (revision, first) = at.unwrap_or((0, 1));
        let text = state.get(TEXT).unwrap_or_default();
        Self {
            state,
            revision,
            first,
            text: String::from_utf8(text).unwrap_or_default(),
        }
    }

    /// How many edits have been made.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The text with its revision, for those who come later.
    pub fn snapshot(&self) -> Node<'static> {
        let revision = Node::Number(self.revision.to_string().into());
        let text = Node::Text(self.text.clone().into());
        Node::Object(vec![("revision".into(), revision), ("text".into(), text)])
    }

    /// Applies an edit that was made of the text of revision `base`: as it is behind all
    /// that has been made since.
    ///
    /// # Errors
    /// Why it cannot be, for its publisher. What is remembered may be changed by half
    /// then: whoever calls takes that back, as is done for what is rejected.
    pub fn apply(&mut self, base: u64, operation: Operation) -> Result<Operation, String> {
        let since = self.since(base)?;
        let now = self.text.chars().count();
        let length = since
            .iter()
            .rev()
            .try_fold(now, |after, edit| edit.length_before(after));
        if length.is_none_or(|length| operation.reach() > length) {
            let length = length.unwrap_or_default();
            return Err(format!(
                "it reaches over the end of the text, which has {length} characters in revision {base}"
            ));
        }
        // What came first stays first, where two insert at the same place.
        let behind = |operation: Operation, other| operation.transform(other, Side::Behind);
        let operation = since.iter().fold(operation, behind);
        let text = operation.apply(&self.text);
        self.text = text.ok_or("it does not fit the text")?;
        if self.text.len() > TEXT_BYTES_MAX {
            return Err(format!("the text would have over {TEXT_BYTES_MAX} bytes"));
        }
        self.revision += 1;
        let kept = self.keep(&operation);
        kept.map_err(|error| format!("the edit is too large: {error}"))?;
        Ok(operation)
    }

    /// The edits since a revision.
    fn since(&self, base: u64) -> Result<Vec<Operation>, String> {
        let revision = self.revision;
        if base > revision {
            return Err(format!("its base {base} is ahead of revision {revision}"));
        }
        let gone = || {
            format!(
                "its base {base} is older than the edits that are remembered (from {}): fetch \
                 the channel anew and make it of revision {revision}",
                self.first.saturating_sub(1)
            )
        };
        let edits = (base + 1..=revision).map(|revision| {
            let text = self.state.get(&key(revision))?;
            Operation::read_kept(&json_tree::parse(&text).ok()?)
        });
        edits.collect::<Option<_>>().ok_or_else(gone)
    }

    /// Remembers the text and its last edit, and forgets what there is no room for.
    fn keep(&mut self, operation: &Operation) -> Result<(), StateError> {
        while self.revision - self.first >= HISTORY_MAX {
            self.forget();
        }
        self.put(TEXT, |document| document.text.clone().into_bytes())?;
        let mut edit = Vec::new();
        let written = operation.node().write(&mut edit);
        written.expect("writing into memory does not fail");
        self.put(&key(self.revision), |_| edit.clone())?;
        self.put(REVISIONS, |document| {
            format!("{} {}", document.revision, document.first).into_bytes()
        })
    }

    fn put(&mut self, key: &str, value: impl Fn(&Self) -> Vec<u8>) -> Result<(), StateError> {
        loop {
            match self.state.put(key, value(self)) {
                Err(StateError::Full) if self.first < self.revision => self.forget(),
                put => return put,
            }
        }
    }

    fn forget(&mut self) {
        self.state.delete(&key(self.first));
        self.first += 1;
    }
}

fn key(revision: u64) -> String {
    format!("r{revision}")
}
