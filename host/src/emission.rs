//! Checks one emission, whichever world it comes from: its size, its channel, its
//! headers.
//!
//! Owns the bytes counted so far in one reply. Must not know how a reply is packed.

use bytes::Bytes;
use protocol::envelope::stored_content_type;
use protocol::header::{Headers, TRACEPARENT, TRACESTATE};
use protocol::name::Channel;
use protocol::spec::FunctionSpec;
use smallvec::SmallVec;

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

/// What one event emits, in order. Nearly always one: a list of its own for each event
/// was a third of what the host does for it beside the guest.
pub type Emits = SmallVec<[Emit; 1]>;

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
            headers: checked(headers, event).ok_or(field("headers"))?,
            data: raw.data,
        })
    }

    fn channel(&self, index: usize, bytes: &[u8], event: &Event) -> Result<Channel, ReplyFault> {
        if bytes.is_empty() {
            let channel = event.channel.clone();
            return match channel.is_reserved() {
                false => Ok(channel),
                // What the system tells on a channel of its own is told by nobody else.
                true => Err(ReplyFault::Grant {
                    index,
                    channel: channel.to_string(),
                }),
            };
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

fn checked<'h>(
    headers: impl Iterator<Item = (&'h str, &'h str)>,
    event: &Event,
) -> Option<Vec<(String, String)>> {
    let mut checked = Headers::new();
    for (name, value) in headers {
        checked.push_user(name, value).ok()?;
    }
    carry_trace(&mut checked, &event.envelope.user);
    let owned = checked.user();
    Some(
        owned
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

/// An emission belongs to the trace of its input, as the publisher has attached it, unless
/// the guest has attached one itself. A state belongs to its parent: it is not carried
/// beside another one. A guest that has used up all headers of an event leaves no room.
fn carry_trace(headers: &mut Headers, input: &[(String, String)]) {
    for name in [TRACEPARENT, TRACESTATE] {
        if headers.user().any(|(own, _)| own == name) {
            return;
        }
        let Some((_, value)) = input.iter().find(|(of, _)| of == name) else {
            return;
        };
        if headers.push_user(name, value).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::header::USER_HEADERS_MAX;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn carried(own: &[(&str, &str)], input: &[(&str, &str)]) -> Vec<String> {
        let mut headers = Headers::new();
        for (name, value) in own {
            headers.push_user(name, value).unwrap();
        }
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let input: Vec<_> = input.iter().map(owned).collect();
        carry_trace(&mut headers, &input);
        let all = headers.user();
        all.map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn an_emission_belongs_to_the_trace_of_its_input() {
        let input = [
            ("tracestate", "a=1"),
            ("room", "blue"),
            ("traceparent", PARENT),
        ];
        let parent = format!("traceparent={PARENT}");
        assert_eq!(carried(&[], &input), [parent.as_str(), "tracestate=a=1"]);
        let own = [("room", "red")];
        let all = ["room=red", parent.as_str(), "tracestate=a=1"];
        assert_eq!(carried(&own, &input), all);
        assert_eq!(carried(&[], &input[1..]), [parent.as_str()]);
        assert_eq!(carried(&[], &input[..2]), Vec::<String>::new());
    }

    #[test]
    fn a_guest_may_begin_a_trace_of_its_own() {
        let input = [("traceparent", PARENT), ("tracestate", "a=1")];
        let own = [("traceparent", "00-1-2-01")];
        assert_eq!(carried(&own, &input), ["traceparent=00-1-2-01"]);
        let state = [("tracestate", "b=2")];
        let both = ["tracestate=b=2".to_owned(), format!("traceparent={PARENT}")];
        assert_eq!(carried(&state, &input), both);
    }

    #[test]
    fn a_trace_needs_room_among_the_headers() {
        let names: Vec<String> = (0..USER_HEADERS_MAX).map(|n| format!("n{n}")).collect();
        let own: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        let input = [("traceparent", PARENT)];
        assert_eq!(carried(&own, &input).len(), USER_HEADERS_MAX);
        assert_eq!(carried(&own[1..], &input).len(), USER_HEADERS_MAX);
        assert!(carried(&own[1..], &input)[USER_HEADERS_MAX - 1].starts_with("traceparent="));
    }
}
