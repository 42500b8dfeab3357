//! What is redacted, and how.
//!
//! Owned by the gate. Must not know events.

use std::borrow::Cow;
use std::collections::BTreeMap;

use json_tree::{Fields, Node, Place, Then};
use settings::Settings;

use crate::find::{self, KINDS, Kind};
use crate::token::Hasher;

/// The settings.
pub const KEYS: &[&str] = &[
    "remove",
    "mask",
    "hash",
    "hash_key",
    "mask_text",
    "patterns",
    "pattern_action",
    "other_data",
];
/// What masked fields hold, unless it is set.
const MASK: &str = "***";

/// How often something was redacted, by the name of its counter.
pub type Counts = BTreeMap<&'static str, u64>;

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is taken out.
    Remove,
    /// A text stands in its place.
    Mask,
    /// A keyed hash stands in its place.
    Hash,
}

/// What is redacted.
pub struct Rules {
    fields: [(Action, Fields); 3],
    kinds: Vec<Kind>,
    mask: String,
    hasher: Option<Hasher>,
    /// Whether what is found in texts gets its hash too.
    hash_found: bool,
}

impl Rules {
    /// Reads the settings.
    ///
    /// # Errors
    /// The text to return from `init`; it names the key.
    pub fn read(settings: &Settings<'_>) -> Result<Self, String> {
        let fields = |key: &str| {
            let fields: Vec<String> = settings.json(key)?;
            Fields::new(&fields).map_err(|error| Settings::wrong(key, error))
        };
        let hasher = settings.get("hash_key").map(Hasher::new).transpose();
        let action = settings.get("pattern_action").unwrap_or("mask");
        if !["mask", "hash"].contains(&action) {
            return Err(Settings::wrong("pattern_action", "not one of mask, hash"));
        }
        let rules = Self {
            fields: [
                (Action::Remove, fields("remove")?),
                (Action::Hash, fields("hash")?),
                (Action::Mask, fields("mask")?),
            ],
            kinds: kinds(settings)?,
            mask: settings.get("mask_text").unwrap_or(MASK).to_owned(),
            hasher: hasher.map_err(|error| Settings::wrong("hash_key", error))?,
            hash_found: action == "hash",
        };
        let hashes = rules.hash_found || !rules.fields[1].1.is_empty();
        if hashes && rules.hasher.is_none() {
            return Err(Settings::wrong("hash_key", "is not set"));
        }
        Ok(rules)
    }

    /// What becomes of the field at this place, if it is one; the first of remove, hash
    /// and mask that names it.
    pub fn field(&self, place: &Place<'_>) -> Option<Action> {
        let named = self.fields.iter().find(|(_, fields)| fields.contain(place));
        named.map(|(action, _)| *action)
    }

    /// Redacts a field, whatever is in it.
    pub fn apply(&self, action: Action, node: &mut Node<'_>) -> Then {
        let text = match (action, &self.hasher) {
            (Action::Remove, _) => return Then::Remove,
            (Action::Hash, Some(hasher)) => match &*node {
                Node::Text(text) => hasher.token(text),
                other => hasher.token(&other.canonical()),
            },
            // Without a key there is no hash; the settings do not allow it.
            (Action::Hash, None) | (Action::Mask, _) => self.mask.clone(),
        };
        *node = Node::Text(Cow::Owned(text));
        Then::Leave
    }

    /// The text with what was found in it replaced, if anything was.
    pub fn redact_text(&self, text: &str, counts: &mut Counts) -> Option<String> {
        let found = find::find(text, &self.kinds);
        if found.is_empty() {
            return None;
        }
        let mut redacted = String::with_capacity(text.len());
        let mut end = 0;
        for (kind, range) in found {
            redacted.push_str(&text[end..range.start]);
            let name = kind.name();
            match self.hasher.as_ref().filter(|_| self.hash_found) {
                Some(hasher) => {
                    let token = hasher.token(&text[range.clone()]);
                    redacted.push_str(&format!("[{name}:{token}]"));
                }
                None => redacted.push_str(&format!("[{name}]")),
            }
            *counts.entry(kind.counter()).or_default() += 1;
            end = range.end;
        }
        redacted.push_str(&text[end..]);
        Some(redacted)
    }
}

fn kinds(settings: &Settings<'_>) -> Result<Vec<Kind>, String> {
    const KEY: &str = "patterns";
    if settings.get(KEY).is_none() {
        return Ok(KINDS.to_vec());
    }
    let names: Vec<String> = settings.json(KEY)?;
    let kind = |name: &String| {
        let known = KINDS.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| {
            let known = KINDS.map(Kind::name).join(", ");
            Settings::wrong(KEY, format!("{name:?} is not one of {known}"))
        })
    };
    names.iter().map(kind).collect()
}
