//! Which parts of a document a setting means.
//!
//! A value. Must not know what is done with them.

use std::collections::BTreeSet;

use crate::edit::Place;
use crate::node::{index, unescape};

/// What a step of a pointer is written as that fits every member and every item.
const ANY: &str = "*";

/// Fields, each given as a JSON pointer (`/user/email`; the step `*` fits every member
/// and every item) or as a member's name, which fits wherever a member is called so,
/// in whatever case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pointers: Vec<Vec<String>>,
    names: BTreeSet<String>,
}

impl Fields {
    /// Reads the fields of a setting.
    ///
    /// # Errors
    /// A text that says which of them is wrong.
    pub fn new(fields: &[String]) -> Result<Self, String> {
        let mut read = Self::default();
        for field in fields {
            if let Some(steps) = field.strip_prefix('/') {
                let steps = steps.split('/').map(|step| unescape(step).into_owned());
                read.pointers.push(steps.collect());
            } else if field.is_empty() {
                return Err("a field is empty".into());
            } else {
                read.names.insert(field.to_lowercase());
            }
        }
        Ok(read)
    }

    /// Whether it names no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pointers.is_empty() && self.names.is_empty()
    }

    /// Whether the node at this place is one of them.
    #[must_use]
    pub fn contain(&self, place: &Place<'_>) -> bool {
        let named = match place {
            Place::Member(_, name) if !self.names.is_empty() => {
                self.names.contains(&name.to_lowercase())
            }
            _ => false,
        };
        named || self.pointers.iter().any(|steps| fits(steps, place))
    }
}

fn fits(steps: &[String], place: &Place<'_>) -> bool {
    let Some((last, above)) = steps.split_last() else {
        return matches!(place, Place::Root);
    };
    match place {
        Place::Root => false,
        Place::Member(outer, name) => (last == ANY || last == name) && fits(above, outer),
        Place::Item(outer, at) => (last == ANY || index(last) == Some(*at)) && fits(above, outer),
    }
}

#[cfg(test)]
mod tests;
