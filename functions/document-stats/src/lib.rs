//! A reactive function that derives statistics from document edits.
//!
//! For each edit on `doc.<rest>` it emits one small JSON event on
//! `stats.<rest>`: the edit's channel, sequence, transaction, size of its update
//! in bytes, and publisher. What is not an edit is dropped, with a line in the
//! log: it is nothing that handling it again would change.
//!
//! Owns nothing: it keeps no state between events. Must not know how edits are
//! checked; it trusts the gate for what an edit looks like inside.

use std::borrow::Cow;

use sdk::{Config, Emitter, Event, Outcome, Worker, log, metrics};
use serde::{Deserialize, Serialize};

/// The longest channel, in bytes, that the host accepts an emission on.
const CHANNEL_BYTES_MAX: usize = 200;

#[derive(Deserialize)]
struct Edit<'a> {
    txn: u64,
    #[serde(borrow)]
    update: Cow<'a, str>,
}

/// The order of the fields is the order in which they are emitted.
#[derive(Serialize)]
struct Statistics<'a> {
    channel: &'a str,
    seq: u64,
    txn: u64,
    update_bytes: usize,
    publisher: &'a str,
}

/// The function.
pub struct DocumentStats;

impl Worker for DocumentStats {
    fn init(_config: &Config) -> Result<Self, String> {
        Ok(Self)
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        derive(event, out).map_or_else(
            |reason| {
                log::warn(&format!(
                    "dropped {} of {}: {reason}",
                    event.seq(),
                    event.channel()
                ));
                metrics::count("malformed", 1);
                Outcome::drop(reason)
            },
            |()| Outcome::Ack,
        )
    }
}

fn derive(event: &Event<'_>, out: &mut Emitter<'_>) -> Result<(), String> {
    let channel = statistics_channel(event.channel())?;
    let edit: Edit<'_> =
        serde_json::from_slice(event.data()).map_err(|error| format!("not an edit: {error}"))?;
    let statistics = Statistics {
        channel: event.channel(),
        seq: event.seq(),
        txn: edit.txn,
        update_bytes: decoded_bytes(&edit.update).ok_or("field `update` is not base64")?,
        publisher: event.publisher(),
    };
    out.emit()
        .channel(&channel)
        .content_type("application/json")
        .write(|writer| serde_json::to_writer(writer, &statistics))
        .map_err(|error| format!("statistics cannot be written: {error}"))
}

/// Where the statistics of a channel go. The new name is longer, so that it can
/// pass the limit on channels, which would cost the whole batch.
fn statistics_channel(channel: &str) -> Result<String, String> {
    let (_, rest) = channel
        .split_once('.')
        .ok_or("channel has no name after `doc`")?;
    let statistics = format!("stats.{rest}");
    if statistics.len() > CHANNEL_BYTES_MAX {
        return Err(format!(
            "statistics channel is over {CHANNEL_BYTES_MAX} bytes"
        ));
    }
    Ok(statistics)
}

/// How many bytes a padded base64 text stands for, from its length alone: the
/// gate has already decoded it once.
fn decoded_bytes(text: &str) -> Option<usize> {
    let unpadded = text.trim_end_matches('=');
    let padding = text.len() - unpadded.len();
    let whole = text.len().is_multiple_of(4) && padding <= 2;
    whole.then(|| text.len() / 4 * 3 - padding)
}

sdk::export!(DocumentStats);

#[cfg(test)]
mod tests;
