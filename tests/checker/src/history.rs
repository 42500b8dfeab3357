//! A whole history: all records of one run, by kind, and their form as lines of JSON.
//!
//! State: owned by the caller.
//! Must not know: how it is judged (that is `check/`).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::record::{
    Acked, Delivered, Function, MirrorGap, Mirrored, MirroredStream, Refused, Sent, Stored,
    StreamState, Subscription,
};

/// Everything that was recorded of one run. Order matters within `sent` and `delivered` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// What publishers sent.
    pub sent: Vec<Sent>,
    /// Acknowledgements that publishers received.
    pub acked: Vec<Acked>,
    /// Refusals that publishers received.
    pub refused: Vec<Refused>,
    /// What the streams hold.
    pub stored: Vec<Stored>,
    /// How much of each stream was read back.
    pub streams: Vec<StreamState>,
    /// What subscribers received.
    pub delivered: Vec<Delivered>,
    /// What subscribers were owed.
    pub subscriptions: Vec<Subscription>,
    /// What Kafka holds.
    pub mirrored: Vec<Mirrored>,
    /// Losses that the mirror announced.
    pub mirror_gaps: Vec<MirrorGap>,
    /// Streams whose mirror was waited for.
    pub mirrored_streams: Vec<MirroredStream>,
    /// Deployed functions.
    pub functions: Vec<Function>,
}

/// A line that is no record.
#[derive(Debug, Error)]
#[error("line {line} is no record (permanent)")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

macro_rules! records {
    ($($name:ident => $field:ident),+ $(,)?) => {
        /// Any record; each kind converts into it.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Record {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)+
        }

        $(impl From<$name> for Record {
            fn from(record: $name) -> Self {
                Self::$name(record)
            }
        })+

        impl History {
            /// Appends a record to the list of its kind.
            pub fn push(&mut self, record: impl Into<Record>) {
                match record.into() {
                    $(Record::$name(record) => self.$field.push(record),)+
                }
            }

            /// Appends every record of another history, in its order.
            pub fn append(&mut self, other: Self) {
                $(self.$field.extend(other.$field);)+
            }

            /// One JSON object per line, to keep a failing history beside a test's report.
            pub fn to_lines(&self) -> String {
                let mut text = String::new();
                $(for record in &self.$field {
                    let record = Record::$name(record.clone());
                    let line = serde_json::to_string(&record)
                        .expect("records hold strings and integers, which JSON can always hold");
                    text.push_str(&line);
                    text.push('\n');
                })+
                text
            }
        }
    };
}

records! {
    Sent => sent,
    Acked => acked,
    Refused => refused,
    Stored => stored,
    StreamState => streams,
    Delivered => delivered,
    Subscription => subscriptions,
    Mirrored => mirrored,
    MirrorGap => mirror_gaps,
    MirroredStream => mirrored_streams,
    Function => functions,
}

impl History {
    /// Reads what [`History::to_lines`] wrote; empty lines are skipped.
    ///
    /// # Errors
    /// [`LineError`] names the first line that is no record.
    pub fn from_lines(text: &str) -> Result<Self, LineError> {
        let mut history = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let record: Record = serde_json::from_str(line).map_err(|source| LineError {
                line: number + 1,
                source,
            })?;
            history.push(record);
        }
        Ok(history)
    }
}
