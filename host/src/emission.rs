//! Checks one emission, whichever world it comes from: its size, its channel, its
//! headers.
//!
//! Owns the bytes counted so far in one reply. Must not know how a reply is packed.

use bytes::Bytes;
use protocol::envelope::stored_content_type;
use protocol::header::Headers;
use protocol::name::Channel;
use protocol::spec::FunctionSpec;

use super::event::Event;
use super::fault::ReplyFault;

/// One checked emission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emit {
    /// Where to: the input's own channel, or one that was granted.
    pub channel: Channel,
    /// Content type as it is stored.
    pub content_type: Option<String>,
    /// Headers, names without the prefix, checked.
    pub headers: Vec<(String, String)>,
    /// The data; of a packed reply it shares the arena.
    pub data: Bytes,
}

/// An emission as the guest wrote it, but for its headers.
pub struct Raw<'a> {
    /// Empty: the input's.
    pub channel: &'a [u8],
    /// Empty: the input's.
    pub content_type: &'a [u8],
    /// The data.
    pub data: Bytes,
}

/// Checks the emissions of one reply.
pub struct Checker<'a> {
    spec: &'a FunctionSpec,
    event_bytes_max: usize,
    bytes: usize,
}

impl<'a> Checker<'a> {
    /// Nothing counted yet.
    pub fn new(spec: &'a FunctionSpec, event_bytes_max: usize) -> Self {
        Self {
            spec,
            event_bytes_max,
            bytes: 0,
        }
    }

    /// Bytes counted so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Checks how many emissions an event has.
    ///
    /// # Errors
    /// The limit.
    pub fn check_count(&self, found: usize) -> Result<(), ReplyFault> {
        let max = usize::try_from(self.spec.limits.emits_per_event).unwrap_or(usize::MAX);
        check_limit("emissions of one event", found, max)
    }

    /// Counts the bytes of an emission.
    ///
    /// # Errors
    /// The limit of one emission, or of all together.
    pub fn check_bytes(&mut self, data: usize, headers: usize) -> Result<(), ReplyFault> {
        check_limit("bytes of one emission", data, self.event_bytes_max)?;
        self.bytes += data + headers;
        check_limit(
            "bytes of one batch",
            self.bytes,
            self.spec.limits.output_bytes,
        )
    }

    /// Checks an emission whose size has been checked.
    ///
    /// # Errors
    /// The field that breaks the contract.
    pub fn read<'h>(
        &self,
        index: usize,
        raw: Raw<'_>,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
        event: &Event,
    ) -> Result<Emit, ReplyFault> {
        let field = |field| ReplyFault::Field { field, index };
        let content_type = content_type(raw.content_type, event);
        Ok(Emit {
            channel: self.channel(index, raw.channel, event)?,
            content_type: content_type.ok_or(field("content type"))?,
            headers: checked(headers).ok_or(field("headers"))?,
            data: raw.data,
        })
    }

    fn channel(&self, index: usize, bytes: &[u8], event: &Event) -> Result<Channel, ReplyFault> {
        if bytes.is_empty() {
            return Ok(event.channel.clone());
        }
        let invalid = ReplyFault::Field {
            field: "channel",
            index,
        };
        let text = std::str::from_utf8(bytes).map_err(|_| invalid.clone())?;
        let channel = Channel::for_client(text).map_err(|_| invalid)?;
        let granted = |channel| self.spec.emits.iter().any(|to| to.matches(channel));
        if channel == event.channel || granted(&channel) {
            return Ok(channel);
        }
        Err(ReplyFault::Grant {
            index,
            channel: channel.to_string(),
        })
    }
}

fn check_limit(field: &'static str, found: usize, max: usize) -> Result<(), ReplyFault> {
    if found <= max {
        return Ok(());
    }
    Err(ReplyFault::Limit { field, found, max })
}

fn content_type(bytes: &[u8], event: &Event) -> Option<Option<String>> {
    if bytes.is_empty() {
        return Some(event.envelope.content_type.clone());
    }
    let text = std::str::from_utf8(bytes).ok()?;
    Some(stored_content_type(Some(text)).ok()?.map(Into::into))
}

fn checked<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>) -> Option<Vec<(String, String)>> {
    let mut checked = Headers::new();
    for (name, value) in headers {
        checked.push_user(name, value).ok()?;
    }
    let owned = checked.user();
    Some(
        owned
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}
