//! How one event is shown, wherever it came from. Plain values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::envelope::is_json;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::output::harmless;

/// An event as it is printed.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    pub channel: &'a str,
    /// Its sequence; an ephemeral event has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Store time, or when an ephemeral event was accepted; microseconds since 1970.
    pub time: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'a str>,
    #[serde(flatten)]
    pub data: Data,
}

/// An event's data as it is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    clippy::enum_variant_names,
    reason = "the variants name the keys of the output"
)]
pub(super) enum Data {
    /// JSON, as it was written.
    Data(Box<RawValue>),
    /// Text.
    Text(String),
    /// Anything else.
    Base64(String),
}

impl Data {
    /// Reads data as what its content type says, as far as it holds.
    pub fn new(content_type: Option<&str>, bytes: &[u8]) -> Self {
        if is_json(content_type)
            && let Ok(json) = serde_json::from_slice(bytes)
        {
            return Self::Data(json);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if content_type.is_some_and(|text| text.starts_with("text/")) => {
                Self::Text(text.to_owned())
            }
            _ => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        match self {
            Self::Data(json) => harmless(json.get()),
            Self::Text(text) => harmless(text),
            Self::Base64(text) => format!("base64:{text}"),
        }
    }
}

impl Shown<'_> {
    /// One line for people.
    pub fn line(&self) -> String {
        let data = self.data.line();
        let by = self.user.or(self.function).map_or("-".into(), harmless);
        let seq = self.seq.map_or("~".to_owned(), |seq| seq.to_string());
        format!("{seq:>8}  {}  {by}  {data}", self.channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content_type: Option<&'static str>, bytes: &[u8]) -> Shown<'static> {
        Shown {
            channel: "chat.a",
            seq: Some(7),
            time: 1,
            id: "",
            user: Some("ann"),
            function: None,
            content_type,
            data: Data::new(content_type, bytes),
        }
    }

    #[test]
    fn data_is_shown_as_what_it_is() {
        let check = |content_type, bytes: &[u8], line: &str, json: &str| {
            let shown = shown(content_type, bytes);
            assert_eq!(shown.line(), format!("       7  chat.a  ann  {line}"));
            let text = serde_json::to_string(&shown).unwrap();
            assert!(text.ends_with(json), "{text}");
        };
        check(None, br#"{"a": 1}"#, r#"{"a": 1}"#, r#""data":{"a": 1}}"#);
        check(
            Some("text/plain"),
            b"a\x1b",
            "a\\u{1b}",
            r#""text":"a\u001b"}"#,
        );
        check(
            Some("image/png"),
            b"\xff",
            "base64:/w==",
            r#""base64":"/w=="}"#,
        );
        check(
            None,
            b"not json",
            "base64:bm90IGpzb24=",
            r#""base64":"bm90IGpzb24="}"#,
        );
    }
}
