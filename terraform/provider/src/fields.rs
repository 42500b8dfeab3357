//! Attributes as the project's own types: each is read by the rules that its type has
//! everywhere, and a refusal is about the attribute.
//!
//! Owns what was found wrong so far.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::value::json::{from_json, to_json};
use crate::value::{Object, Value};

/// Reads an object.
pub struct Fields<'a> {
    value: &'a Value,
    problems: Diagnostics,
}

impl<'a> Fields<'a> {
    /// Of an object.
    pub fn of(value: &'a Value) -> Self {
        Self {
            value,
            problems: Vec::new(),
        }
    }

    /// An attribute; `None` if it is not known yet, or not accepted.
    pub fn read<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let value = self.value.get(name);
        if !value.is_known() {
            return None;
        }
        match serde_json::from_value(to_json(value)) {
            Ok(read) => Some(read),
            Err(error) => {
                let problem = Diagnostic::refused(name, &error.to_string());
                self.problems.push(problem);
                None
            }
        }
    }

    /// A map in which something has no value: it would be there in a plan, and in nothing
    /// that is kept.
    pub fn refuse_nulls(&mut self, name: &'static str) {
        let all = self.value.get(name).object().into_iter().flatten();
        let mut empty = all.filter(|(_, value)| value.is_null());
        if let Some((key, _)) = empty.next() {
            let problem = format!("{key} has no value: leave it out");
            self.problems.push(Diagnostic::refused(name, &problem));
        }
    }

    /// Something is wrong beside.
    pub fn refuse(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// What was made of the attributes; `None`: not everything is known yet.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn end<T>(self, made: Option<T>) -> Result<Option<T>, Diagnostics> {
        match self.problems.is_empty() {
            true => Ok(made),
            false => Err(self.problems),
        }
    }
}

/// One of our own types as a value. What its JSON leaves out is not said.
pub fn value_of<T: Serialize>(own: &T) -> Value {
    let json = serde_json::to_value(own);
    json.map_or(Value::Null, |json| from_json(&json))
}

/// Attributes that are planned, and those that were not known by what has come of them.
pub fn fill(planned: &Object, found: &Object) -> Object {
    let all = planned.iter().map(|(name, value)| {
        let value = match value {
            Value::Unknown => found.get(name).cloned().unwrap_or(Value::Null),
            value => value.clone(),
        };
        (name.clone(), value)
    });
    all.collect()
}
