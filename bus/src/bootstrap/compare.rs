//! What exists against what is configured. Pure: JSON in, differences out.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// Settings on which nothing rests: a stream that has others works, and says so when a
/// limit is reached. Where they differ, a person may want it so.
const FREE: [&str; 1] = ["max_consumers"];

/// One setting that is not as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The stream.
    pub stream: String,
    /// The setting.
    pub field: String,
    /// What is configured.
    pub configured: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: configured {}, found {}",
            self.stream, self.field, self.configured, self.found
        )
    }
}

/// Every configured setting that is not as found, but for those on which nothing rests. A
/// missing one counts as its zero.
pub(super) fn compare(
    stream: &str,
    configured: &Map<String, Value>,
    found: &Map<String, Value>,
) -> Vec<Difference> {
    differences(stream, configured, found, |field| !FREE.contains(&field))
}

/// What is not as configured of the settings on which nothing rests: not refused, but said.
pub(super) fn remarks(
    stream: &str,
    configured: &Map<String, Value>,
    found: &Map<String, Value>,
) -> Vec<Difference> {
    differences(stream, configured, found, |field| FREE.contains(&field))
}

fn differences(
    stream: &str,
    configured: &Map<String, Value>,
    found: &Map<String, Value>,
    which: impl Fn(&str) -> bool,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (field, wanted) in configured.iter().filter(|(field, _)| which(field)) {
        let there = found
            .get(field)
            .cloned()
            .unwrap_or_else(|| zero_like(wanted));
        if !covers(&there, wanted) {
            differences.push(Difference {
                stream: stream.into(),
                field: field.clone(),
                configured: show(field, wanted),
                found: show(field, &there),
            });
        }
    }
    differences
}

/// Equality, but that the server may add fields to an object.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(field, value)| found.get(field).is_some_and(|there| covers(there, value))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| covers(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

fn zero_like(value: &Value) -> Value {
    match value {
        Value::Bool(_) => false.into(),
        Value::Number(_) => 0.into(),
        _ => Value::Null,
    }
}

/// Durations are nanoseconds on the wire, which nobody wants to read.
fn show(field: &str, value: &Value) -> String {
    match (field, value.as_u64()) {
        ("max_age" | "duplicate_window", Some(nanos)) => {
            format!("{:?}", Duration::from_nanos(nanos))
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::object;
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_name_setting_and_both_values() {
        let configured = object(json!({
            "max_age": 5_000_000_000u64, "deny_delete": true, "republish": { "src": "a" },
            "max_consumers": 10_240,
        }));
        let found = object(
            json!({ "max_age": 7_000_000_000u64, "republish": { "src": "a", "headers_only": false } }),
        );
        let told = |differences: Vec<Difference>| -> Vec<String> {
            differences.iter().map(Difference::to_string).collect()
        };
        assert_eq!(
            told(remarks("EVENTS-main", &configured, &found)),
            ["EVENTS-main max_consumers: configured 10240, found 0"]
        );
        assert_eq!(
            told(compare("EVENTS-main", &configured, &found)),
            [
                "EVENTS-main deny_delete: configured true, found false",
                "EVENTS-main max_age: configured 5s, found 7s"
            ]
        );
    }
}
