//! A gate for the channels of documents: lets well-formed edits pass, in one
//! canonical form, and rejects everything else with a reason for its publisher.
//!
//! An edit is a JSON object with `txn` (the transaction's number), `update` (a
//! CRDT update in base64) and optionally `sent` (microseconds, by the writer's
//! clock). Other fields are left out of what is stored, and so is white space.
//!
//! Owns a buffer for decoding and nothing else. Must not know the CRDT: whether
//! an update makes sense is for those who hold the document.
//!
//! Configuration: `update_bytes_max`, the largest update in bytes, before
//! base64; 65,536 unless set.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sdk::{Config, Emitter, Event, Outcome, Worker};
use serde::{Deserialize, Serialize};

/// Largest update in bytes. A keystroke is tens of bytes and a pasted page a few
/// thousand; what is larger is a document, which belongs in a snapshot.
pub const UPDATE_BYTES_MAX: usize = 64 * 1024;

/// The content type of edits.
const JSON: &str = "application/json";

/// An edit. The order of the fields is the order in which they are stored.
#[derive(Serialize, Deserialize)]
struct Edit<'a> {
    txn: u64,
    #[serde(borrow)]
    update: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<u64>,
}

/// The gate.
pub struct DocumentGate {
    update_bytes_max: usize,
    /// Reused by every event: decoding is only done to see that it can be.
    decoded: Vec<u8>,
}

impl Worker for DocumentGate {
    fn init(config: &Config) -> Result<Self, String> {
        Ok(Self {
            update_bytes_max: config.parse_or("update_bytes_max", UPDATE_BYTES_MAX)?,
            decoded: Vec::new(),
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let edit = match self.read(event) {
            Ok(edit) => edit,
            Err(reason) => return Outcome::reject(reason),
        };
        let emission = out.emit().content_type(JSON).inherit_headers();
        match emission.write(|writer| serde_json::to_writer(writer, &edit)) {
            Ok(()) => Outcome::Ack,
            Err(error) => Outcome::reject(format!("edit cannot be written: {error}")),
        }
    }
}

impl DocumentGate {
    fn read<'a>(&mut self, event: &Event<'a>) -> Result<Edit<'a>, Cow<'static, str>> {
        if !event.is_json() {
            return Err(format!("content type must be {JSON}").into());
        }
        let data = event.data();
        let edit: Edit<'a> = serde_json::from_slice(data).map_err(|error| fault(&error))?;
        // The decoder would take an array for a record.
        if data.trim_ascii_start().first() != Some(&b'{') {
            return Err("malformed edit: must be an object".into());
        }
        self.check_update(&edit.update)?;
        Ok(edit)
    }

    fn check_update(&mut self, update: &str) -> Result<(), Cow<'static, str>> {
        if update.is_empty() {
            return Err("field `update` is empty".into());
        }
        // Four characters hold at most three bytes, and the last may hold one.
        if update.len() / 4 * 3 > self.update_bytes_max.saturating_add(2) {
            return Err(self.too_large());
        }
        self.decoded.clear();
        STANDARD
            .decode_vec(update, &mut self.decoded)
            .map_err(|error| format!("field `update` is not base64: {error}"))?;
        if self.decoded.len() > self.update_bytes_max {
            return Err(self.too_large());
        }
        Ok(())
    }

    fn too_large(&self) -> Cow<'static, str> {
        format!("field `update` is over {} bytes", self.update_bytes_max).into()
    }
}

fn fault(error: &serde_json::Error) -> Cow<'static, str> {
    if error.is_data() {
        format!("malformed edit: {error}").into()
    } else {
        format!("not json: {error}").into()
    }
}

sdk::export!(DocumentGate);

#[cfg(test)]
mod tests;
