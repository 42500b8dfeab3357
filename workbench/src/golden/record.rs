//! One recorded event and what it became, as JSON. The event has the fields of what
//! `sub`, `replay` and `function dev` print, so that a recording is a golden file
//! without outcomes. Plain values.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::bus::Stored;
use protocol::envelope::{Envelope, is_json};
use protocol::name::{Channel, Tenant};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Content type of a recorded text that names none, as `pub` sends it.
const TEXT: &str = "text/plain; charset=utf-8";
/// The tenant of an event that names none.
pub const TENANT: &str = "demo";
/// That of other recorded bytes.
const BYTES: &str = "application/octet-stream";

/// A recorded event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its channel.
    pub channel: String,
    /// Its sequence; unless given, its place in the file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Store time, microseconds since 1970; unless given, a second for each sequence
    /// after a fixed moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
    /// Its id; made of tenant, user and sequence unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its tenant; `demo` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Who published it; `dev` unless given.
    #[serde(default, alias = "publisher", skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Which attempt this is; the first unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The function that made it, if one did; not looked at.
    #[serde(default, skip_serializing)]
    pub function: Option<IgnoredAny>,
    /// Content type; JSON for `data`, plain text for `text`, bytes for `base64` unless
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The publisher's headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The data as JSON, byte for byte.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub data: Option<Box<RawValue>>,
    /// The data as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The data as anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// What it became; nothing yet in a recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub becomes: Option<Becomes>,
}

/// What an event became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Becomes {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, where the function or the host says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For a retry: the function's wish, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u32>,
    /// What was emitted, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
}

/// The outcome of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Done.
    Ack,
    /// Filtered out.
    Drop,
    /// Poison.
    Reject,
    /// Not now.
    Retry,
    /// The function cannot go on.
    Halt,
    /// The call failed: a trap, a limit, a reply that is refused.
    Fault,
}

/// One emission. JSON is compared by what it says, not by how it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Where to.
    pub channel: String,
    /// Content type; JSON unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The data as JSON.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub data: Option<Value>,
    /// The data as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The data as anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// Bytes as they are recorded: JSON or text where their content type says so and they
/// hold to it, else base64.
fn shown<J: serde::de::DeserializeOwned>(
    content_type: Option<&str>,
    bytes: &[u8],
) -> (Option<J>, Option<String>, Option<String>) {
    let json: Option<J> = match is_json(content_type) {
        true => serde_json::from_slice(bytes).ok(),
        false => None,
    };
    let is_text = content_type.is_some_and(|kind| kind.starts_with("text/"));
    match (json, std::str::from_utf8(bytes)) {
        (Some(json), _) => (Some(json), None, None),
        (None, Ok(text)) if is_text => (None, Some(text.to_owned()), None),
        _ => (None, None, Some(STANDARD.encode(bytes))),
    }
}

impl Record {
    /// A stored event as it is recorded.
    pub fn new(tenant: &Tenant, channel: &Channel, envelope: &Envelope, stored: &Stored) -> Self {
        let content_type = envelope.content_type.clone();
        let (data, text, base64) = shown(content_type.as_deref(), &stored.payload);
        let tenant = tenant.as_str();
        let user = envelope.publisher.as_ref();
        Self {
            channel: channel.to_string(),
            seq: Some(stored.seq),
            time: Some(stored.time_us),
            id: Some(envelope.id.clone()),
            tenant: (tenant != TENANT).then(|| tenant.to_owned()),
            user: user.map(|publisher| publisher.user.to_string()),
            attempt: None,
            function: None,
            content_type,
            headers: envelope.user.iter().cloned().collect(),
            data,
            text,
            base64,
            becomes: None,
        }
    }

    /// The data's bytes and content type.
    ///
    /// # Errors
    /// There is none, there are several, or it is not base64.
    pub fn bytes(&self) -> Result<(Vec<u8>, Option<&str>), String> {
        let (bytes, usual) = match (&self.data, &self.text, &self.base64) {
            (Some(json), None, None) => (json.get().as_bytes().to_vec(), None),
            (None, Some(text), None) => (text.as_bytes().to_vec(), Some(TEXT)),
            (None, None, Some(base64)) => {
                let bytes = STANDARD.decode(base64);
                (
                    bytes.map_err(|error| format!("base64: {error}"))?,
                    Some(BYTES),
                )
            }
            _ => return Err("one of data, text and base64 must be there".to_owned()),
        };
        Ok((bytes, self.content_type.as_deref().or(usual)))
    }
}

impl Output {
    /// An emission as it is recorded.
    pub fn new(
        channel: &str,
        content_type: Option<&str>,
        headers: &[(String, String)],
        bytes: &[u8],
    ) -> Self {
        let (data, text, base64) = shown(content_type, bytes);
        Self {
            channel: channel.to_owned(),
            content_type: content_type.map(str::to_owned),
            headers: headers.iter().cloned().collect(),
            data,
            text,
            base64,
        }
    }
}

/// A value that is there, also where it is `null`.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Result<Record, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn data_is_what_was_recorded() {
        let check = |json: &str, bytes: &[u8], content_type: Option<&str>| {
            let record = record(json).unwrap();
            let read = record.bytes();
            assert_eq!(read, Ok((bytes.to_vec(), content_type)), "{json}");
        };
        check(
            r#"{"channel":"a","data":{"n": 1.0}}"#,
            br#"{"n": 1.0}"#,
            None,
        );
        check(r#"{"channel":"a","data":null}"#, b"null", None);
        check(r#"{"channel":"a","text":"x"}"#, b"x", Some(TEXT));
        check(r#"{"channel":"a","base64":"/w=="}"#, b"\xff", Some(BYTES));
        let typed = r#"{"channel":"a","base64":"/w==","content_type":"image/png"}"#;
        check(typed, b"\xff", Some("image/png"));
        for wrong in [
            r#"{"channel":"a"}"#,
            r#"{"channel":"a","text":"x","data":1}"#,
            r#"{"channel":"a","base64":"!"}"#,
        ] {
            assert!(record(wrong).unwrap().bytes().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_other_commands_print_is_a_recording() {
        let printed = r#"{"channel":"chat.a","seq":7,"time":1,"id":"demo/dev/x/1",
            "user":"dev","function":"shout","content_type":"text/plain","text":"x"}"#;
        assert!(record(printed).is_ok());
        assert!(record(r#"{"channel":"a","text":"x","hedaers":{}}"#).is_err());
    }

    #[test]
    fn emissions_are_shown_as_what_they_are() {
        let shown = |kind, bytes: &[u8]| Output::new("a", kind, &[], bytes);
        let json = shown(None, br#"{"b":1,"a":2}"#);
        assert_eq!(json, shown(None, br#"{ "a": 2, "b": 1 }"#));
        assert_eq!(shown(Some("text/plain"), b"x").text.as_deref(), Some("x"));
        assert_eq!(shown(None, b"x").base64.as_deref(), Some("eA=="));
        assert_eq!(
            shown(Some("text/plain"), b"\xff").base64.as_deref(),
            Some("/w==")
        );
    }
}
