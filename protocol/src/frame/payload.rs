//! An event's data inside a frame.
//!
//! In JSON, data of content type `application/json` stands inline and is carried
//! as the text that the client wrote; any other data is a base64 string. In
//! MessagePack data is always a byte string.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::value::RawValue;

/// Data as it stands in a frame, before the content type is applied.
#[derive(Debug, Clone)]
pub enum Payload {
    /// JSON text: what a JSON frame carries. Inline data or a base64 string.
    Text(Box<RawValue>),
    /// The bytes themselves: what a MessagePack frame carries.
    Bytes(Bytes),
}

impl Payload {
    /// The data's bytes.
    ///
    /// # Errors
    /// `None` when the content type is not JSON and a JSON frame carries anything
    /// but a base64 string, or when it is JSON and the bytes are not.
    pub fn into_bytes(self, is_json: bool) -> Option<Bytes> {
        match self {
            Self::Text(raw) if is_json => Some(Bytes::from(String::from(Box::<str>::from(raw)))),
            Self::Text(raw) => {
                let text: std::borrow::Cow<'_, str> = serde_json::from_str(raw.get()).ok()?;
                STANDARD.decode(text.as_bytes()).ok().map(Bytes::from)
            }
            Self::Bytes(bytes) if is_json => serde_json::from_slice::<&RawValue>(&bytes)
                .is_ok()
                .then_some(bytes),
            Self::Bytes(bytes) => Some(bytes),
        }
    }

    /// Stored data as a JSON frame carries it. Stored JSON that is not valid (it
    /// cannot come through an edge) is carried as a base64 string.
    pub fn for_json(data: &Bytes, is_json: bool) -> Self {
        if is_json
            && let Ok(text) = std::str::from_utf8(data)
            && let Ok(raw) = RawValue::from_string(text.to_owned())
        {
            return Self::Text(raw);
        }
        let quoted = format!("\"{}\"", STANDARD.encode(data));
        Self::Text(RawValue::from_string(quoted).expect("base64 in quotes is a JSON string"))
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.get() == b.get(),
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            _ => false,
        }
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self, serializer.is_human_readable()) {
            (Self::Text(raw), true) => raw.serialize(serializer),
            (Self::Bytes(bytes), false) => serializer.serialize_bytes(bytes),
            _ => Err(ser::Error::custom(
                "the payload was prepared for the other encoding",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Box::<RawValue>::deserialize(deserializer).map(Self::Text);
        }
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }
            fn visit_bytes<E: serde::de::Error>(self, v: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(v))
            }
            fn visit_byte_buf<E: serde::de::Error>(self, v: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes::from(v))
            }
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Bytes, E> {
                Err(E::custom("data must be a byte string in MessagePack"))
            }
        }
        deserializer
            .deserialize_bytes(Visitor)
            .map(Self::Bytes)
            .map_err(D::Error::custom)
    }
}
