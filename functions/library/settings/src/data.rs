//! The data of an event: JSON, or something else, for which there is a setting.
//!
//! Owns nothing. Must not know what a function looks for in it.

use std::str::FromStr;

use json_tree::Node;
use sdk::{Emitter, Event, Outcome};

use crate::keys::Settings;

/// The setting, of every function of the library.
const KEY: &str = "other_data";

/// What becomes of an event whose data is no JSON: its content type is another, or it
/// is not well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherData {
    /// It passes as it is.
    Pass,
    /// It is rejected.
    Reject,
    /// It is handled as one text if it is UTF-8, and rejected if it is not. Only
    /// functions that look into texts know this.
    Text,
}

impl FromStr for OtherData {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pass" => Ok(Self::Pass),
            "reject" => Ok(Self::Reject),
            "text" => Ok(Self::Text),
            _ => Err("not one of pass, reject, text"),
        }
    }
}

/// What an event's data is.
#[derive(Debug)]
pub enum Data<'a> {
    /// JSON.
    Json(Node<'a>),
    /// A text that is no JSON.
    Text(&'a str),
    /// Neither, or not wanted: the event's outcome.
    Settled(Outcome),
}

impl OtherData {
    /// Reads the setting `other_data` of a function that handles JSON alone.
    ///
    /// # Errors
    /// The text to return from `init`; it names the key.
    pub fn of_json(settings: &Settings<'_>, default: Self) -> Result<Self, String> {
        match Self::of_texts(settings, default)? {
            Self::Text => Err(Settings::wrong(KEY, "\"text\": not one of pass, reject")),
            other => Ok(other),
        }
    }

    /// Reads the setting `other_data` of a function that handles texts too.
    ///
    /// # Errors
    /// The text to return from `init`; it names the key.
    pub fn of_texts(settings: &Settings<'_>, default: Self) -> Result<Self, String> {
        settings.parse_or(KEY, default)
    }

    /// Reads the data of an event.
    pub fn read<'a>(self, event: &Event<'a>, out: &mut Emitter<'_>) -> Data<'a> {
        let reason = match json(event) {
            Ok(node) => return Data::Json(node),
            Err(reason) => reason,
        };
        match (self, std::str::from_utf8(event.data())) {
            (Self::Pass, _) => Data::Settled(out.pass()),
            (Self::Text, Ok(text)) => Data::Text(text),
            (Self::Text, Err(_)) => Data::Settled(Outcome::reject("neither json nor text")),
            (Self::Reject, _) => Data::Settled(Outcome::reject(reason)),
        }
    }
}

/// The data of an event as JSON.
///
/// # Errors
/// Why it is none, for its publisher.
pub fn json<'a>(event: &Event<'a>) -> Result<Node<'a>, String> {
    if !event.is_json() {
        return Err("content type must be application/json".into());
    }
    json_tree::parse(event.data()).map_err(|error| format!("not json: {error}"))
}

/// Emits a document in place of the event's data: to the event's own channel, with its
/// headers and content type.
pub fn store(node: &Node<'_>, out: &mut Emitter<'_>) -> Outcome {
    let emission = out.emit().inherit_headers();
    match emission.write(|writer| node.write(writer)) {
        Ok(()) => Outcome::Ack,
        Err(error) => Outcome::reject(format!("cannot be written: {error}")),
    }
}

#[cfg(test)]
mod tests;
