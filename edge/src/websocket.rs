//! WebSocket frames: tungstenite reads, we write.
//!
//! Owns the parser of one connection. What tungstenite wants to send on its own
//! (pong, answer to a close) comes out as bytes for the outbox, so that one writer
//! keeps the order. Knows no session.

use std::io::{self, Read, Write};

use bytes::{BufMut, Bytes, BytesMut};
use protocol::close_code::CloseCode;
use protocol::frame::Encoding;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes read at a time. It is what an idle connection costs: the default of 128 KiB
/// would be twenty times the rest of a session. Several small events fit.
const READ_BUFFER_BYTES: usize = 1024;
/// Bytes of replies that tungstenite may hold itself; one pong and one close.
const CONTROL_BYTES_MAX: usize = 512;

/// First byte of a frame: final, text.
const TEXT: u8 = 0x81;
/// First byte of a frame: final, binary.
const BINARY: u8 = 0x82;
/// First byte of a frame: final, close.
const CLOSE: u8 = 0x88;
/// A ping without data.
pub const PING: &[u8] = &[0x89, 0x00];

/// A message of a client, or the end.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// Frames in the session's encoding.
    Message(Bytes),
    /// A message of the other kind: text where bytes belong, or the reverse.
    WrongKind,
    /// A ping or a pong: the client is there.
    Alive,
    /// The client closes.
    Close,
    /// Nothing more for now.
    Nothing,
    /// The connection broke.
    Gone,
    /// The client broke the protocol or a limit.
    Broken(CloseCode),
}

/// The reading half of one connection.
pub struct Parser(WebSocketContext);

struct Wire<'a> {
    stream: &'a TcpStream,
    out: &'a mut Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Parser {
    /// A parser that has already read `first`.
    pub fn new(first: Vec<u8>, message_bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BYTES_MAX)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        Self(WebSocketContext::from_partially_read(
            first,
            Role::Server,
            Some(config),
        ))
    }

    /// Reads one message without waiting. What has to be answered by the protocol
    /// itself is appended to `out`.
    pub fn read(&mut self, stream: &TcpStream, encoding: Encoding, out: &mut Vec<u8>) -> Received {
        match self.0.read(&mut Wire { stream, out }) {
            Ok(Message::Text(text)) if encoding == Encoding::Json => Received::Message(text.into()),
            Ok(Message::Binary(bytes)) if encoding == Encoding::Msgpack => Received::Message(bytes),
            Ok(Message::Text(_) | Message::Binary(_)) => Received::WrongKind,
            Ok(Message::Close(_)) => {
                // The answer is written by the next call; there is nothing after it.
                let _ = self.0.flush(&mut Wire { stream, out });
                Received::Close
            }
            Ok(Message::Ping(_)) => {
                let _ = self.0.flush(&mut Wire { stream, out });
                Received::Alive
            }
            Ok(Message::Pong(_) | Message::Frame(_)) => Received::Alive,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Received::Nothing,
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                Received::Broken(CloseCode::TooLarge)
            }
            Err(Error::Protocol(ref error)) if is_reset(error) => Received::Gone,
            Err(Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_)) => {
                Received::Broken(CloseCode::BadFrames)
            }
            Err(_) => Received::Gone,
        }
    }
}

fn is_reset(error: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    matches!(
        error,
        tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
    )
}

/// A whole message from the server: unmasked, so that all clients share its bytes.
pub fn message(encoding: Encoding, payload: &[u8]) -> Bytes {
    frame(
        if encoding == Encoding::Json {
            TEXT
        } else {
            BINARY
        },
        payload,
    )
}

/// A close with its code and reason.
pub fn close(code: CloseCode) -> Bytes {
    let mut payload = code.number().to_be_bytes().to_vec();
    payload.extend_from_slice(code.reason().as_bytes());
    frame(CLOSE, &payload)
}

/// RFC 6455, section 5.2.
fn frame(first: u8, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(payload.len() + 10);
    bytes.put_u8(first);
    match payload.len() {
        length @ 0..=125 => bytes.put_u8(length as u8),
        length @ 126..=0xffff => {
            bytes.put_u8(126);
            bytes.put_u16(length as u16);
        }
        length => {
            bytes.put_u8(127);
            bytes.put_u64(length as u64);
        }
    }
    bytes.put_slice(payload);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a client's parser makes of our frames.
    fn client_reads(bytes: &[u8]) -> Message {
        struct Input<'a>(&'a [u8]);
        impl Read for Input<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }
        }
        impl Write for Input<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        WebSocketContext::new(Role::Client, None)
            .read(&mut Input(bytes))
            .unwrap()
    }

    proptest! {
        #[test]
        fn a_client_reads_what_was_written(payload in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            (65_000usize..66_000).prop_map(|length| vec![7; length]),
        ]) {
            prop_assert_eq!(client_reads(&message(Encoding::Msgpack, &payload)), Message::Binary(payload.into()));
        }
    }

    #[test]
    fn control_frames_are_read_as_such() {
        assert_eq!(client_reads(PING), Message::Ping(Bytes::new()));
        let Message::Close(Some(close)) = client_reads(&close(CloseCode::SlowConsumer)) else {
            panic!("no close")
        };
        assert_eq!(
            (u16::from(close.code), close.reason.as_str()),
            (4000, "slow_consumer")
        );
    }
}
