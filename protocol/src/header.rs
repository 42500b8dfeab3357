//! Header names, and the list that carries headers between parts. The same names
//! are used in NATS and in Kafka.
//!
//! Text of a user becomes a header only as `eddy-h-*`, through [`Headers::push_user`].

use std::borrow::Cow;

/// Event id, or output id of a function.
pub const ID: &str = "eddy-id";
/// Who published: `{user}/{client}`.
pub const PUBLISHER: &str = "eddy-publisher";
/// On a function's output: the counter of the event that was published, of the writer in
/// [`PUBLISHER`]. What a client published has it in its id.
pub const N: &str = "eddy-n";
/// When the edge accepted the event, microseconds since 1970.
pub const TIME: &str = "eddy-time";
/// Name of the edge node that accepted the event.
pub const EDGE: &str = "eddy-edge";
/// Content type of the payload; absent for `application/json`.
pub const TYPE: &str = "eddy-type";
/// The input position that an output was made from.
pub const SOURCE: &str = "eddy-source";
/// The function that made an output.
pub const FUNCTION: &str = "eddy-function";
/// On raw input: the gate of its namespace when the edge accepted it. The input is that
/// function's and nobody else's, whatever is deployed or configured later.
pub const GATE: &str = "eddy-gate";
/// On raw input: its publisher wants to be told when it has passed; the value is `1`.
pub const RECEIPT: &str = "eddy-receipt";
/// On a tick: the function whose schedule made it. It is that function's to handle; to
/// others it is an event like any other.
pub const TICK: &str = "eddy-tick";
/// On an event that a redrive has stored again for one function, on a channel of its own:
/// the channel that it was on.
pub const CHANNEL: &str = "eddy-channel";
/// How many functions an event has passed.
pub const HOPS: &str = "eddy-hops";
/// A clock that the publisher attaches; carried opaquely, and on by functions.
pub const CLOCK: &str = "eddy-clock";
/// W3C trace context. A publisher's own stands among the user's headers, and so does
/// [`TRACESTATE`].
pub const TRACEPARENT: &str = "traceparent";
/// What vendors add to it; means nothing without it.
pub const TRACESTATE: &str = "tracestate";
/// Prefix of a user's own headers.
pub const USER_PREFIX: &str = "eddy-h-";
/// Kafka only: the mirrored event's position, `{stream}@{epoch}:{seq}`.
pub const POSITION: &str = "eddy-position";
/// Kafka only: the NATS subject.
pub const SUBJECT: &str = "eddy-subject";

/// Room that headers take beside an event's data in a NATS message, in bytes: the most
/// that user headers may be, our own, and those of a dead letter. Data within NATS's
/// limit less this can be stored, and buried.
pub const HEADERS_BYTES_MAX: usize = 32 << 10;
/// Most headers that a client may attach to an event.
pub const USER_HEADERS_MAX: usize = 16;
/// Longest name of a user's header, in bytes, without the prefix.
pub const USER_HEADER_NAME_BYTES_MAX: usize = 64;
/// Longest value of a user's header, in bytes.
pub const USER_HEADER_VALUE_BYTES_MAX: usize = 1024;

const _: () = assert!(
    (USER_HEADERS_MAX + 1)
        * (USER_PREFIX.len() + USER_HEADER_NAME_BYTES_MAX + USER_HEADER_VALUE_BYTES_MAX)
        + crate::outcome::REASON_BYTES_MAX
        + 4 * crate::name::CHANNEL_BYTES_MAX
        < HEADERS_BYTES_MAX
);

/// Why a user's header is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The name has a character outside `[a-z0-9-]`, is empty or too long.
    #[error("header name {name:?} is not 1 to {max} of [a-z0-9-]", max = USER_HEADER_NAME_BYTES_MAX)]
    Name {
        /// The name.
        name: String,
    },
    /// The value is too long, has a control character, or white space around it.
    #[error("the value of header {name:?} is over {max} bytes, has a control character or white space around it", max = USER_HEADER_VALUE_BYTES_MAX)]
    Value {
        /// The header's name.
        name: String,
    },
    /// Too many headers.
    #[error("the event has more than {max} headers", max = USER_HEADERS_MAX)]
    TooMany,
}

/// An ordered list of headers. A name may stand more than once; all values count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, String)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one of Eddyline's own headers.
    pub fn push(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((Cow::Borrowed(name), value.into()));
    }

    /// Adds a header as it was read from a message. Names that NATS gives a
    /// meaning to (`Nats-*`) are left out: they are the server's, and must not
    /// travel from one message into the next.
    pub fn push_read(&mut self, name: &str, value: &str) {
        if !is_nats(name) {
            self.0.push((shared(name), value.to_owned()));
        }
    }

    /// Adds a user's header under its prefix.
    ///
    /// # Errors
    /// [`HeaderError`] names the header and the limit.
    pub fn push_user(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        if !is_user_name(name) {
            return Err(HeaderError::Name {
                name: name.chars().take(USER_HEADER_NAME_BYTES_MAX).collect(),
            });
        }
        if !is_user_value(value) {
            return Err(HeaderError::Value { name: name.into() });
        }
        if self.user().count() >= USER_HEADERS_MAX {
            return Err(HeaderError::TooMany);
        }
        self.0
            .push((Cow::Owned(format!("{USER_PREFIX}{name}")), value.into()));
        Ok(())
    }

    /// The first value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every header in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// The user's headers, names without the prefix.
    pub fn user(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(USER_PREFIX)?, value)))
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        let pairs = self.0.iter();
        pairs.map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a text of a user can be the value of a header, and comes back as it is.
pub fn is_user_value(value: &str) -> bool {
    // NATS clients trim what they read (by Unicode): what stands outside would be lost on
    // the way, and a resend would no longer be the same event.
    let is_whole = value.trim().len() == value.len() && !value.chars().any(char::is_control);
    is_whole && value.len() <= USER_HEADER_VALUE_BYTES_MAX
}

/// Whether a user's header may be called so.
pub fn is_user_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=USER_HEADER_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits)
}

/// Names that every event carries are not copied for each.
fn shared(name: &str) -> Cow<'static, str> {
    const OURS: [&str; 11] = [
        ID,
        PUBLISHER,
        N,
        TIME,
        EDGE,
        TYPE,
        SOURCE,
        FUNCTION,
        HOPS,
        CLOCK,
        TRACEPARENT,
    ];
    let ours = OURS.into_iter().find(|ours| *ours == name);
    ours.map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed)
}

fn is_nats(name: &str) -> bool {
    name.get(..5)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("nats-"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn user_headers_within_and_beyond_each_limit() {
        let mut headers = Headers::new();
        assert!(
            headers
                .push_user(&"n".repeat(64), &"v".repeat(1024))
                .is_ok()
        );
        assert!(matches!(
            headers.push_user(&"n".repeat(65), ""),
            Err(HeaderError::Name { .. })
        ));
        assert!(matches!(
            headers.push_user("n", &"v".repeat(1025)),
            Err(HeaderError::Value { .. })
        ));
        for value in [" lead", "trail\u{a0}", " ", "\u{2028}"] {
            let refused = headers.push_user("n", value);
            assert!(
                matches!(refused, Err(HeaderError::Value { .. })),
                "{value:?}"
            );
        }
        for n in 1..16 {
            assert_eq!(headers.push_user(&format!("n{n}"), "v"), Ok(()));
        }
        assert_eq!(headers.push_user("last", "v"), Err(HeaderError::TooMany));
    }

    proptest! {
        /// No text of a client becomes a header that NATS or Eddyline reads.
        #[test]
        fn user_text_stays_under_its_prefix(name in "[ -~\r\n]{0,20}|nats-[a-z-]{0,20}|Nats-Msg-Id", value in "[ -~\r\n]{0,20}") {
            let mut headers = Headers::new();
            if headers.push_user(&name, &value).is_ok() {
                let (stored, text) = headers.iter().next().unwrap();
                prop_assert!(stored.starts_with(USER_PREFIX));
                prop_assert!(!stored.contains(['\r', '\n', ':', ' ']) && !text.contains(['\r', '\n']));
            }
        }
    }

    #[test]
    fn server_headers_do_not_travel() {
        let mut headers = Headers::new();
        headers.push_read("Nats-Msg-Id", "x");
        headers.push_read("NATS-Expected-Stream", "x");
        headers.push_read("eddy-id", "x");
        assert_eq!(headers.len(), 1);
    }
}
