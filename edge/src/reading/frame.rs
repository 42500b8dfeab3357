//! The frames of a session, taken apart: what they are called, what is inside, and how
//! far they bring their channel.
//!
//! Pure. What the session encoded once for all its clients stays as it is; only its
//! frame is taken off.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame without its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The command's id, of a reply.
    pub id: Option<u64>,
    /// Its key.
    pub name: String,
    /// What stands under it, JSON.
    pub body: Bytes,
}

/// How far a frame brings a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach<'a> {
    /// The channel.
    pub channel: Cow<'a, str>,
    /// The sequence.
    pub seq: u64,
}

/// What events, gaps and marks have of this.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    to: Option<u64>,
}

impl Frame {
    /// Takes a payload in JSON apart; `None` if it is no frame.
    pub fn of(payload: &Bytes) -> Option<Self> {
        let mut keys: BTreeMap<&str, &RawValue> = serde_json::from_slice(payload).ok()?;
        let id = keys.remove("id");
        let id = id.and_then(|id| id.get().parse().ok());
        let (name, body) = keys.pop_first()?;
        Some(Self {
            id,
            name: name.to_owned(),
            body: payload.slice_ref(body.get().as_bytes()),
        })
    }

    /// How far it brings its channel, if it is one that does.
    pub fn reach(&self) -> Option<Reach<'_>> {
        if !matches!(self.name.as_str(), "event" | "gap" | "passed" | "caught_up") {
            return None;
        }
        let head: Head<'_> = serde_json::from_slice(&self.body).ok()?;
        Some(Reach {
            channel: head.channel,
            seq: head.to.or(head.seq)?,
        })
    }

    /// Whether a client misses something without it.
    pub fn is_delivery(&self) -> bool {
        matches!(self.name.as_str(), "event" | "gap" | "passed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::of(&Bytes::from_static(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_frame_is_taken_off_and_nothing_is_changed() {
        let event = frame(r#"{"event":{"channel":"chat.a","seq":7,"prev":5,"data":{"to": 1}}}"#);
        assert_eq!((event.id, event.name.as_str()), (None, "event"));
        let inside = r#"{"channel":"chat.a","seq":7,"prev":5,"data":{"to": 1}}"#;
        assert_eq!(event.body, inside);
        let reply = frame(r#"{"id":3,"subscribe":{"channel":"chat.a","epoch":"9f","after":4}}"#);
        assert_eq!((reply.id, reply.name.as_str()), (Some(3), "subscribe"));
        assert_eq!(Frame::of(&Bytes::from_static(b"{")), None);
        assert_eq!(Frame::of(&Bytes::from_static(b"{\"id\":1}")), None);
    }

    #[test]
    fn deliveries_say_how_far_they_bring_their_channel() {
        let check = |text, seq| assert_eq!(frame(text).reach().map(|reach| reach.seq), seq);
        check(r#"{"event":{"channel":"a","seq":7}}"#, Some(7));
        check(r#"{"gap":{"channel":"a","from":3,"to":9}}"#, Some(9));
        check(r#"{"passed":{"channel":"a","prev":3,"seq":5}}"#, Some(5));
        check(r#"{"caught_up":{"channel":"a","seq":4}}"#, Some(4));
        check(r#"{"event":{"channel":"a"}}"#, None);
        check(r#"{"going_away":{"reconnect_after_ms":4}}"#, None);
    }
}
