//! Frames to bytes and back. Every decode of arbitrary bytes ends in values or in
//! a typed error.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::command::Command;
use super::reply::FromServer;
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

/// Why bytes are not frames. The frames before the broken one are not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not readable as a frame.
    #[error("the frame is not readable: {0}")]
    Malformed(String),
    /// More frames in one message than allowed.
    #[error("the message holds more than {max} frames", max = FRAMES_PER_MESSAGE_MAX)]
    TooMany,
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

/// Reads the commands of one WebSocket message: those before a broken one, and
/// what is wrong with that.
pub fn decode_commands(encoding: Encoding, message: &[u8]) -> (Vec<Command>, Option<DecodeError>) {
    decode(encoding, message)
}

/// Reads what a server sent, for clients.
pub fn decode_from_server(
    encoding: Encoding,
    message: &[u8],
) -> (Vec<FromServer>, Option<DecodeError>) {
    decode(encoding, message)
}

fn decode<T: DeserializeOwned>(
    encoding: Encoding,
    message: &[u8],
) -> (Vec<T>, Option<DecodeError>) {
    match encoding {
        Encoding::Json => collect(
            serde_json::Deserializer::from_slice(message)
                .into_iter::<T>()
                .map(|f| f.map_err(malformed)),
        ),
        Encoding::Msgpack => {
            let mut rest = message;
            collect(std::iter::from_fn(|| {
                (!rest.is_empty()).then(|| next_msgpack(&mut rest))
            }))
        }
    }
}

fn next_msgpack<T: DeserializeOwned>(rest: &mut &[u8]) -> Result<T, DecodeError> {
    let mut reader = std::io::Cursor::new(*rest);
    let mut deserializer = rmp_serde::Deserializer::new(&mut reader);
    deserializer.set_max_depth(MSGPACK_DEPTH_MAX);
    let frame = T::deserialize(&mut deserializer).map_err(malformed)?;
    let used = reader.position() as usize;
    *rest = rest.get(used..).unwrap_or_default();
    Ok(frame)
}

fn collect<T>(
    frames: impl Iterator<Item = Result<T, DecodeError>>,
) -> (Vec<T>, Option<DecodeError>) {
    let mut read = Vec::new();
    for frame in frames {
        match frame {
            Ok(_) if read.len() == FRAMES_PER_MESSAGE_MAX => {
                return (read, Some(DecodeError::TooMany));
            }
            Ok(frame) => read.push(frame),
            Err(error) => return (read, Some(error)),
        }
    }
    (read, None)
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
