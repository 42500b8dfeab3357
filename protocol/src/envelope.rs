//! What Eddyline says about an event beside its bytes: the `eddy-*` headers, typed.
//! The payload itself is the client's data, byte for byte, and never in here.

use std::borrow::Cow;

use crate::header::{self, Headers};
use crate::id::Publisher;
use crate::name::FunctionName;
use crate::position::Source;

/// The content type of an event that names none.
pub const JSON: &str = "application/json";
/// Longest content type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 128;
/// Most functions that an event may pass before it becomes a dead letter.
pub const HOPS_MAX: u8 = 8;

/// The typed headers of a stored event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Event id or output id.
    pub id: String,
    /// Who published the event, or the input that an output was made from.
    pub publisher: Option<Publisher>,
    /// Of a function's output: the publisher's counter. What a client published has it in
    /// its id.
    pub n: Option<u64>,
    /// When an edge accepted it, microseconds since 1970.
    pub time: Option<u64>,
    /// Content type of the payload; `None` is JSON.
    pub content_type: Option<String>,
    /// Where the input of a function's output stands.
    pub source: Option<Source>,
    /// The function that made it.
    pub function: Option<FunctionName>,
    /// Of raw input: the gate that it is for.
    pub gate: Option<FunctionName>,
    /// Of raw input: its publisher wants a receipt.
    pub receipt: bool,
    /// Functions passed.
    pub hops: u8,
    /// The publisher's clock, carried on.
    pub clock: Option<String>,
    /// W3C trace context, carried on.
    pub traceparent: Option<String>,
    /// The user's headers, names without the prefix.
    pub user: Vec<(String, String)>,
}

/// Why headers are not those of an event of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {header} is missing or not readable")]
pub struct EnvelopeError {
    /// Which header.
    pub header: &'static str,
}

impl Envelope {
    /// The content type, JSON where none is given.
    pub fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or(JSON)
    }

    /// The counter that the publisher gave the event, or the one that this was made from.
    pub fn counter(&self) -> Option<u64> {
        let published = self.publisher.is_some() && self.function.is_none();
        match self.n {
            None if published => self.id.rsplit('/').next()?.parse().ok(),
            n => n,
        }
    }

    /// The headers to store with the event.
    pub fn to_headers(&self) -> Headers {
        let mut headers = Headers::new();
        headers.push(header::ID, self.id.clone());
        if let Some(publisher) = &self.publisher {
            headers.push(header::PUBLISHER, publisher.to_string());
        }
        if let Some(n) = self.n {
            headers.push(header::N, n.to_string());
        }
        if let Some(time) = self.time {
            headers.push(header::TIME, time.to_string());
        }
        if let Some(content_type) = &self.content_type {
            headers.push(header::TYPE, content_type.clone());
        }
        if let Some(source) = &self.source {
            headers.push(header::SOURCE, source.to_string());
        }
        if let Some(function) = &self.function {
            headers.push(header::FUNCTION, function.as_str());
        }
        if let Some(gate) = &self.gate {
            headers.push(header::GATE, gate.as_str());
        }
        if self.receipt {
            headers.push(header::RECEIPT, "1");
        }
        if self.hops > 0 {
            headers.push(header::HOPS, self.hops.to_string());
        }
        if let Some(clock) = &self.clock {
            headers.push(header::CLOCK, clock.clone());
        }
        if let Some(trace) = &self.traceparent {
            headers.push(header::TRACEPARENT, trace.clone());
        }
        for (name, value) in &self.user {
            // Checked when the event was accepted; a header that no longer passes is not ours.
            let _ = headers.push_user(name, value);
        }
        headers
    }

    /// Reads the headers of a stored event.
    ///
    /// # Errors
    /// [`EnvelopeError`] names the first header that is missing or not readable;
    /// such a message was not written by Eddyline.
    pub fn from_headers(headers: &Headers) -> Result<Self, EnvelopeError> {
        let bad = |header| EnvelopeError { header };
        let number = |name: &'static str| match headers.get(name) {
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| bad(name)),
            None => Ok(None),
        };
        let publisher = headers
            .get(header::PUBLISHER)
            .map(|text| Publisher::parse(text).map_err(|_| bad(header::PUBLISHER)));
        let source = headers
            .get(header::SOURCE)
            .map(|text| Source::parse(text).ok_or(bad(header::SOURCE)));
        let function = headers
            .get(header::FUNCTION)
            .map(|text| FunctionName::parse(text).map_err(|_| bad(header::FUNCTION)));
        let gate = headers
            .get(header::GATE)
            .map(|text| FunctionName::parse(text).map_err(|_| bad(header::GATE)));
        Ok(Self {
            id: headers.get(header::ID).ok_or(bad(header::ID))?.to_owned(),
            publisher: publisher.transpose()?,
            n: number(header::N)?,
            time: number(header::TIME)?,
            content_type: headers.get(header::TYPE).map(str::to_owned),
            source: source.transpose()?,
            function: function.transpose()?,
            gate: gate.transpose()?,
            receipt: headers.get(header::RECEIPT).is_some(),
            hops: number(header::HOPS)?
                .unwrap_or(0)
                .try_into()
                .map_err(|_| bad(header::HOPS))?,
            clock: headers.get(header::CLOCK).map(str::to_owned),
            traceparent: headers.get(header::TRACEPARENT).map(str::to_owned),
            user: headers
                .user()
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
        })
    }
}

/// Whether data of this content type is JSON: none is given, or its media type is
/// `application/json` in any case (RFC 9110, 8.3.1), whatever parameters follow. The
/// one rule for edges, clients and the command line: who disagreed would read base64
/// where another wrote JSON.
pub fn is_json(content_type: Option<&str>) -> bool {
    content_type.is_none_or(|text| {
        let media_type = text.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case(JSON)
    })
}

/// A content type as it is stored: `None` for plain JSON.
///
/// # Errors
/// The text when it is too long, empty, not printable ASCII, or has blanks around it.
pub fn stored_content_type(text: Option<&str>) -> Result<Option<Cow<'_, str>>, String> {
    match text {
        None | Some(JSON) => Ok(None),
        Some(t)
            if (1..=CONTENT_TYPE_BYTES_MAX).contains(&t.len())
                && t.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
                && t.trim().len() == t.len() =>
        {
            Ok(Some(Cow::Borrowed(t)))
        }
        Some(t) => Err(t.chars().take(CONTENT_TYPE_BYTES_MAX).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_round_trip() {
        let envelope = Envelope {
            id: "acme/alice/c1/7".into(),
            publisher: Publisher::parse("alice/c1").ok(),
            n: Some(7),
            time: Some(1_700_000_000_000_000),
            content_type: Some("application/octet-stream".into()),
            source: Source::parse("INGRESS-main@00ff:9"),
            function: FunctionName::parse("gate").ok(),
            gate: FunctionName::parse("other-gate").ok(),
            receipt: true,
            hops: 1,
            clock: Some("{\"a\":1}".into()),
            traceparent: None,
            user: vec![("room".into(), "blue".into())],
        };
        assert_eq!(Envelope::from_headers(&envelope.to_headers()), Ok(envelope));
    }

    #[test]
    fn the_counter_is_of_the_event_that_was_published() {
        let published = Envelope {
            id: "acme/alice/c1/7".into(),
            publisher: Publisher::parse("alice/c1").ok(),
            ..Envelope::default()
        };
        assert_eq!(published.counter(), Some(7));
        let output = Envelope {
            id: "gate/INGRESS-main@00ff:9/0".into(),
            function: FunctionName::parse("gate").ok(),
            ..published.clone()
        };
        assert_eq!(output.counter(), None);
        let n = published.counter();
        assert_eq!(Envelope { n, ..output }.counter(), Some(7));
        let tick = Envelope {
            id: "hourly/tick/1764000000".into(),
            ..Envelope::default()
        };
        assert_eq!(tick.counter(), None);
    }

    #[test]
    fn json_is_json_with_any_parameters_and_in_any_case() {
        let yes = [
            None,
            Some("application/json"),
            Some("application/json; charset=utf-8"),
            Some("application/json;charset=utf-8"),
            Some("Application/JSON ; a=b"),
        ];
        let no = [
            "",
            "text/plain",
            "application/jsonx",
            "application/merge-patch+json",
            "text/plain; x=application/json",
        ];
        assert!(yes.into_iter().all(is_json));
        assert!(!no.into_iter().any(|text| is_json(Some(text))));
    }

    #[test]
    fn a_message_without_an_id_is_not_ours() {
        assert_eq!(
            Envelope::from_headers(&Headers::new()),
            Err(EnvelopeError { header: header::ID })
        );
    }
}
