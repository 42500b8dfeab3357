//! Frames to bytes and back. Every decode of arbitrary bytes ends in values or in
//! a typed error.

use bytes::Bytes;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _, Serialize};

use super::command::Command;
use super::delimit::{self, Frames, Undelimited};
use super::reply::FromServer;
use super::strict::AsMap;
use super::{FRAMES_PER_MESSAGE_MAX, PROTOCOL_JSON, PROTOCOL_MSGPACK};

/// Deepest nesting of a MessagePack frame; the stack is finite. JSON has the 128
/// levels of its parser.
const MSGPACK_DEPTH_MAX: usize = 64;

/// How frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON text, several frames separated by white space.
    Json,
    /// MessagePack maps, several frames one after the other.
    Msgpack,
}

impl Encoding {
    /// The encoding that a WebSocket sub-protocol names.
    pub fn from_protocol(name: &str) -> Option<Self> {
        match name {
            PROTOCOL_JSON => Some(Self::Json),
            PROTOCOL_MSGPACK => Some(Self::Msgpack),
            _ => None,
        }
    }

    /// The sub-protocol's name.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Json => PROTOCOL_JSON,
            Self::Msgpack => PROTOCOL_MSGPACK,
        }
    }
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not readable as a frame.
    #[error("the frame is not readable: {0}")]
    Malformed(String),
    /// Where the frame ends cannot be told; neither can what stands behind it.
    #[error("the frame has no end, or begins with what no frame begins with")]
    Undelimited,
    /// More frames in one message than allowed; none of them is looked at.
    #[error("the message holds more than {max} frames", max = FRAMES_PER_MESSAGE_MAX)]
    TooMany,
}

/// A frame that cannot be read, and the command that it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The command's id; 0 when that could not be read either.
    pub id: u64,
    /// What is wrong.
    pub error: DecodeError,
}

/// Longest text of a parser's complaint that is repeated to the sender, in characters.
const COMPLAINT_CHARS_MAX: usize = 200;

fn malformed(error: impl std::fmt::Display) -> DecodeError {
    DecodeError::Malformed(
        error
            .to_string()
            .chars()
            .take(COMPLAINT_CHARS_MAX)
            .collect(),
    )
}

/// Reads the commands of one WebSocket message, each on its own: one that cannot be
/// read takes no other along. Of a message with too many frames none is read.
pub fn decode_commands(
    encoding: Encoding,
    message: &[u8],
) -> impl ExactSizeIterator<Item = Result<Command, Unreadable>> {
    let mut list: Vec<_> = frames(encoding, message)
        .map(|frame| frame.map_err(|Undelimited| DecodeError::Undelimited))
        .take(FRAMES_PER_MESSAGE_MAX + 1)
        .collect();
    if list.len() > FRAMES_PER_MESSAGE_MAX {
        list = vec![Err(DecodeError::TooMany)];
    }
    list.into_iter().map(move |frame| {
        let frame = frame.map_err(|error| Unreadable { id: 0, error })?;
        read::<AsMap<Command>>(encoding, frame)
            .map(|AsMap(command)| command)
            .map_err(|error| Unreadable {
                id: id_of(encoding, frame),
                error,
            })
    })
}

/// Reads what a server sent, for clients: the frames before a broken one, and what is
/// wrong with that.
pub fn decode_from_server(
    encoding: Encoding,
    message: &[u8],
) -> (Vec<FromServer>, Option<DecodeError>) {
    let mut list = Vec::new();
    for frame in frames(encoding, message) {
        let frame = frame.map_err(|Undelimited| DecodeError::Undelimited);
        match frame.and_then(|frame| read(encoding, frame)) {
            Ok(frame) => list.push(frame),
            Err(error) => return (list, Some(error)),
        }
    }
    (list, None)
}

fn frames(encoding: Encoding, message: &[u8]) -> Frames<'_> {
    match encoding {
        Encoding::Json => delimit::json(message),
        Encoding::Msgpack => delimit::msgpack(message),
    }
}

fn read<'de, T: Deserialize<'de>>(encoding: Encoding, frame: &'de [u8]) -> Result<T, DecodeError> {
    match encoding {
        Encoding::Json => serde_json::from_slice(frame).map_err(malformed),
        Encoding::Msgpack => {
            let mut deserializer = rmp_serde::Deserializer::from_read_ref(frame);
            deserializer.set_max_depth(MSGPACK_DEPTH_MAX);
            T::deserialize(&mut deserializer).map_err(malformed)
        }
    }
}

/// The id of a frame that cannot be read as a command: the first one that it has, if
/// what stands before it can be read.
fn id_of(encoding: Encoding, frame: &[u8]) -> u64 {
    struct Found<'a>(&'a mut u64);
    impl<'de> Visitor<'de> for Found<'_> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<String>()? {
                if key == "id" {
                    *self.0 = map.next_value()?;
                    break;
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut id = 0;
    // What is wrong behind the id is known already.
    match encoding {
        Encoding::Json => {
            let mut deserializer = serde_json::Deserializer::from_slice(frame);
            let _ = deserializer.deserialize_map(Found(&mut id));
        }
        Encoding::Msgpack => {
            let mut deserializer = rmp_serde::Deserializer::from_read_ref(frame);
            deserializer.set_max_depth(MSGPACK_DEPTH_MAX);
            let _ = deserializer.deserialize_map(Found(&mut id));
        }
    }
    id
}

/// Writes one frame.
///
/// # Panics
/// Never for the types of this module with a payload of the same encoding: they
/// have string keys and no failing parts.
pub fn encode<T: Serialize>(encoding: Encoding, frame: &T) -> Bytes {
    match encoding {
        Encoding::Json => serde_json::to_vec(frame)
            .map(Bytes::from)
            .expect("frames serialise"),
        Encoding::Msgpack => rmp_serde::to_vec_named(frame)
            .map(Bytes::from)
            .expect("frames serialise"),
    }
}
