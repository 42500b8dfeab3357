//! A stream's settings, read from the JSON that the bootstrap writes. Pure.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::BusError;

/// What the server takes where nothing is said.
const DUPLICATE_WINDOW_DEFAULT: Duration = Duration::from_secs(120);
/// The code of a configuration that the server does not take.
const INVALID_CONFIG: u64 = 10_052;

/// What the model follows of a stream's settings.
#[derive(Debug, Clone)]
pub(super) struct StreamConfig {
    pub subjects: Vec<String>,
    /// Zero: for ever.
    pub max_age: Duration,
    pub max_bytes: Option<u64>,
    /// What is full takes the oldest away, instead of refusing what is new.
    pub drops_oldest: bool,
    /// Messages kept of each subject.
    pub history: Option<usize>,
    pub duplicate_window: Duration,
    pub atomic: bool,
    /// Several servers take a message in another order of checks than one.
    pub replicated: bool,
    /// From where to where, both ending with `>`.
    pub republish: Option<(String, String)>,
    /// Streams that it copies, and the filter of each.
    pub sources: Vec<(String, String)>,
    /// As it was given, and as it is told.
    pub json: Map<String, Value>,
}

impl StreamConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`BusError::Api`] for a kind of stream that the model does not know.
    pub(super) fn read(json: &Map<String, Value>) -> Result<Self, BusError> {
        let text = |field| json.get(field).and_then(Value::as_str);
        if text("retention") != Some("limits") {
            let description = "retention is not limits, the model knows no other".into();
            return Err(BusError::from_api(INVALID_CONFIG, description));
        }
        let nanos = |field| number(json, field).map(Duration::from_nanos);
        let max_age = nanos("max_age").unwrap_or_default();
        let shortest = |window: Duration| match max_age.is_zero() {
            true => window,
            false => window.min(max_age),
        };
        Ok(Self {
            subjects: texts(json.get("subjects")),
            max_age,
            max_bytes: number(json, "max_bytes").filter(|bytes| *bytes > 0),
            drops_oldest: text("discard") != Some("new"),
            history: number(json, "max_msgs_per_subject")
                .filter(|count| *count > 0)
                .and_then(|count| usize::try_from(count).ok()),
            duplicate_window: nanos("duplicate_window")
                .unwrap_or_else(|| shortest(DUPLICATE_WINDOW_DEFAULT)),
            atomic: json.get("allow_atomic") == Some(&Value::Bool(true)),
            replicated: number(json, "num_replicas").is_some_and(|count| count > 1),
            republish: json.get("republish").and_then(|rule| {
                let text = |field| Some(rule.get(field)?.as_str()?.to_owned());
                Some((text("src")?, text("dest")?))
            }),
            sources: sources(json.get("sources")),
            json: json.clone(),
        })
    }
}

fn number(json: &Map<String, Value>, field: &str) -> Option<u64> {
    json.get(field).and_then(Value::as_u64)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice);
    let list = list.unwrap_or_default().iter();
    list.filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

fn sources(value: Option<&Value>) -> Vec<(String, String)> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice);
    let list = list.unwrap_or_default().iter();
    list.filter_map(|source| {
        let name = source.get("name")?.as_str()?;
        let filter = source.get("filter_subject").and_then(Value::as_str);
        Some((name.to_owned(), filter.unwrap_or(">").to_owned()))
    })
    .collect()
}
