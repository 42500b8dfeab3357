//! One event's way through a store, as `GET /v1/trace/{id}` tells it. JSON.
//!
//! It says where and when, and what became of the event; it has nothing of its data.

use serde::{Deserialize, Serialize};

use crate::name::StoreName;
use crate::position::Epoch;

/// What is known of one event's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The id that was asked for.
    pub id: String,
    /// The channel that was searched.
    pub channel: String,
    /// The channel's store.
    pub store: StoreName,
    /// That store's epoch.
    pub epoch: Epoch,
    /// Whether the event was found.
    pub found: bool,
    /// What was looked at to find it.
    pub searched: Searched,
    /// Its way, from the edge to the mirror: what is stored comes before what was made of
    /// it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
    /// Outputs on channels that the asker may not trace.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hidden: u64,
    /// The way goes on beyond what one answer shows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Why nothing is said of the mirror, if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
}

/// The part of a channel in which an id was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searched {
    /// The stream.
    pub stream: String,
    /// First sequence that was looked at; to be asked for as `before` to go on below.
    pub from: u64,
    /// Last one.
    pub to: u64,
    /// The channel has older events, which were not looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// The first sequence that the stream still keeps: what was stored before it cannot
    /// be found.
    pub kept_from: u64,
    /// When that one was stored, microseconds since 1970; 0: the stream is empty.
    pub kept_since: u64,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hop", rename_all = "snake_case")]
pub enum Hop {
    /// An edge node took it from its publisher.
    Accepted {
        /// When, by the node's clock, microseconds since 1970.
        time: u64,
        /// The node's name, where the event says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edge: Option<String>,
        /// Who published it, `{user}/{client}`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        publisher: Option<String>,
    },
    /// A stream has stored it, or what a function made of it.
    Stored {
        /// The stream.
        stream: String,
        /// Its sequence there.
        seq: u64,
        /// When, microseconds since 1970.
        time: u64,
        /// Its channel.
        channel: String,
        /// Its id.
        id: String,
        /// The function that made it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        function: Option<String>,
        /// It is a dead letter's input again: where the first one stood.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redrive_of: Option<String>,
    },
    /// A function has handled it, or has to.
    Handled {
        /// The function.
        function: String,
        /// Where its input stands, `{stream}@{epoch}:{seq}`.
        input: String,
        /// What became of that.
        outcome: Handling,
        /// Why, where somebody said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How often it was tried, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempts: Option<u32>,
        /// The version that did, where it is still kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
        /// Digest of its (first) module.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        /// Sequence in EVENTS of the checkpoint with which that was committed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<u64>,
        /// When it was, microseconds since 1970; of one that waits for another attempt,
        /// when that is due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time: Option<u64>,
    },
    /// It is kept as a dead letter.
    DeadLetter {
        /// The stream.
        stream: String,
        /// Its sequence there.
        seq: u64,
        /// When it was stored, microseconds since 1970.
        time: u64,
        /// The function that could not handle it.
        function: String,
        /// Why.
        reason: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The mirror has it.
    Mirrored {
        /// The stream of what is mirrored.
        stream: String,
        /// Its sequence there.
        seq: u64,
        /// The partition in Kafka.
        partition: i32,
        /// The offset there.
        offset: i64,
        /// The record's own time, microseconds since 1970: when the stream stored it, cut
        /// to milliseconds.
        time: u64,
    },
    /// The mirror does not show it.
    NotMirrored {
        /// The stream of what was asked for.
        stream: String,
        /// Its sequence there.
        seq: u64,
        /// Why.
        reason: String,
    },
}

/// What became of an input of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// Events were made of it.
    Passed,
    /// It was handled, and nothing is stored of it.
    Done,
    /// The gate filtered it.
    Dropped,
    /// The function refused it.
    Rejected,
    /// The function failed on it until its attempts or its time were used up.
    DeadLettered,
    /// It is not handled yet, or is tried again.
    Waiting,
    /// What would tell is no longer kept.
    Unknown,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_says_only_what_is_known() {
        let trace = Trace {
            id: "acme/ann/c/1".into(),
            channel: "doc.a".into(),
            store: StoreName::parse("main").unwrap(),
            epoch: Epoch::parse("0a").unwrap(),
            found: false,
            searched: Searched {
                stream: "INGRESS-main".into(),
                from: 1,
                to: 9,
                more: false,
                kept_from: 1,
                kept_since: 5,
            },
            hops: Vec::new(),
            hidden: 0,
            cut: false,
            mirror: None,
        };
        let json = serde_json::to_string(&trace).unwrap();
        let told = r#"{"id":"acme/ann/c/1","channel":"doc.a","store":"main","epoch":"0a","found":false,"searched":{"stream":"INGRESS-main","from":1,"to":9,"kept_from":1,"kept_since":5}}"#;
        assert_eq!(json, told);
        assert_eq!(serde_json::from_str::<Trace>(&json).unwrap(), trace);
        let hop = Hop::Accepted {
            time: 5,
            edge: None,
            publisher: None,
        };
        let json = serde_json::to_string(&hop).unwrap();
        assert_eq!(json, r#"{"hop":"accepted","time":5}"#);
        assert_eq!(serde_json::from_str::<Hop>(&json).unwrap(), hop);
    }
}
