//! One event and its outcome as they cross into a guest of the world `simple`: the Rust
//! side of `functions/wit/events.wit`, and the check of what comes back.
//!
//! Owns nothing. Must not know how a call is made, or what becomes of an outcome.

use protocol::envelope::is_json;
use protocol::spec::FunctionSpec;
use wasmtime::component::{ComponentType, Lift, Lower};

use super::emission::{Checker, Emits, Raw};
use super::fault::ReplyFault;
use super::pack::Item;
use super::reply::{Handled, cut_reason};

/// Data.
#[derive(Debug, ComponentType, Lower, Lift)]
#[component(variant)]
pub enum Payload {
    /// Text.
    #[component(name = "text")]
    Text(String),
    /// Anything.
    #[component(name = "bytes")]
    Bytes(Vec<u8>),
}

/// The event.
#[derive(Debug, ComponentType, Lower)]
#[component(record)]
pub struct EventRecord {
    /// Tenant.
    pub tenant: String,
    /// Channel.
    pub channel: String,
    /// Event id.
    pub id: String,
    /// Sequence in the input stream.
    pub seq: u64,
    /// Store time, milliseconds since 1970.
    #[component(name = "time-ms")]
    pub time_ms: f64,
    /// From 1.
    pub attempt: u32,
    /// User who published.
    pub publisher: String,
    /// The publisher's headers.
    pub headers: Vec<(String, String)>,
    /// Content type, if one was named.
    #[component(name = "content-type")]
    pub content_type: Option<String>,
    /// The data.
    pub data: Payload,
}

/// One emission.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub struct Emission {
    /// Where to.
    pub channel: Option<String>,
    /// Content type.
    #[component(name = "content-type")]
    pub content_type: Option<String>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The data.
    pub data: Payload,
}

/// A wish to be called again.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub struct Later {
    /// Milliseconds.
    #[component(name = "delay-ms")]
    pub delay_ms: Option<u32>,
    /// Why.
    pub reason: String,
}

/// What is to happen with the event.
#[derive(Debug, ComponentType, Lift)]
#[component(variant)]
pub enum Outcome {
    /// Done.
    #[component(name = "ack")]
    Ack(Vec<Emission>),
    /// Filtered out.
    #[component(name = "drop")]
    Drop(String),
    /// Poison.
    #[component(name = "reject")]
    Reject(String),
    /// Not now.
    #[component(name = "retry")]
    Retry(Later),
    /// The function cannot go on.
    #[component(name = "halt")]
    Halt(String),
}

/// The event as the guest sees it.
pub fn record(item: &Item) -> EventRecord {
    let event = &*item.event;
    let publisher = event.envelope.publisher.as_ref();
    EventRecord {
        tenant: event.tenant.to_string(),
        channel: event.channel.to_string(),
        id: event.envelope.id.clone(),
        seq: event.seq(),
        time_ms: milliseconds(event.stored.time_us),
        attempt: item.attempt,
        publisher: publisher.map_or(String::new(), |publisher| publisher.user.to_string()),
        headers: event.envelope.user.clone(),
        content_type: event.envelope.content_type.clone(),
        data: payload(
            event.envelope.content_type.as_deref(),
            &event.stored.payload,
        ),
    }
}

/// Exact to the microsecond until the year 2255.
#[allow(
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 stay below 2^53 for two centuries"
)]
fn milliseconds(time_us: u64) -> f64 {
    time_us as f64 / 1_000.0
}

fn payload(content_type: Option<&str>, data: &[u8]) -> Payload {
    let is_text = is_json(content_type)
        || content_type.is_some_and(|text| {
            text.get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("text/"))
        });
    match std::str::from_utf8(data) {
        Ok(text) if is_text => Payload::Text(text.to_owned()),
        _ => Payload::Bytes(data.to_owned()),
    }
}

/// Checks the outcome of an event, and says how many bytes it causes.
///
/// # Errors
/// [`ReplyFault`] names the first rule that is broken; nothing of it may be used.
pub fn check(
    outcome: Outcome,
    item: &Item,
    spec: &FunctionSpec,
    event_bytes_max: usize,
) -> Result<(Handled, usize), ReplyFault> {
    let cut = |reason: String| cut_reason(reason.as_bytes());
    let handled = match outcome {
        Outcome::Ack(emissions) => return ack(emissions, item, spec, event_bytes_max),
        Outcome::Drop(reason) => Handled::Drop(cut(reason)),
        Outcome::Reject(reason) => Handled::Reject(cut(reason)),
        Outcome::Retry(later) => Handled::Retry {
            delay_ms: later.delay_ms.unwrap_or(0),
            reason: cut(later.reason),
        },
        Outcome::Halt(reason) => Handled::Halt(cut(reason)),
    };
    Ok((handled, 0))
}

fn ack(
    emissions: Vec<Emission>,
    item: &Item,
    spec: &FunctionSpec,
    event_bytes_max: usize,
) -> Result<(Handled, usize), ReplyFault> {
    let mut checker = Checker::new(spec, event_bytes_max);
    checker.check_count(emissions.len())?;
    let mut emits = Emits::with_capacity(emissions.len());
    for (index, emission) in emissions.into_iter().enumerate() {
        let data = match emission.data {
            Payload::Text(text) => text.into_bytes(),
            Payload::Bytes(bytes) => bytes,
        };
        let headers = emission.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        let size = headers
            .clone()
            .map(|(name, value)| name.len() + value.len());
        checker.check_bytes(data.len(), size.sum())?;
        let raw = Raw {
            channel: emission.channel.as_deref().unwrap_or_default().as_bytes(),
            content_type: emission
                .content_type
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
            data: data.into(),
        };
        emits.push(checker.read(index, raw, headers, &item.event)?);
    }
    Ok((Handled::Ack(emits.into()), checker.bytes()))
}
