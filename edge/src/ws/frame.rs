//! WebSocket frames (RFC 6455): tungstenite reads, we write.
//!
//! Owns the parser of one connection. What tungstenite wants to send on its own
//! (pong, answer to a close) comes out as bytes for the socket, so that one writer
//! keeps the order. Knows no session and no socket.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use protocol::close_code::CloseCode;
use protocol::frame::Encoding;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
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
    /// The connection broke.
    Gone,
    /// The client broke the protocol or a limit.
    Broken(CloseCode),
}

/// Bytes that were read and not yet parsed.
#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    /// How far they are parsed.
    at: usize,
    ended: bool,
}

impl Input {
    /// Begins with these.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// More was read.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The connection has ended or broken.
    pub fn end(&mut self) {
        self.ended = true;
    }

    fn is_empty(&self) -> bool {
        self.at == self.bytes.len() && !self.ended
    }
}

/// The parser's wire: what it reads has come already, what it writes is collected.
struct Wire<'a> {
    input: &'a mut Input,
    out: &'a mut Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Input { bytes, at, ended } = &mut *self.input;
        let mut rest = &bytes[*at..];
        if rest.is_empty() {
            return if *ended {
                Ok(0)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            };
        }
        let count = rest.len().min(buffer.len());
        rest.copy_to_slice(&mut buffer[..count]);
        *at += count;
        if *at == bytes.len() {
            // An idle session keeps nothing.
            (*bytes, *at) = (Vec::new(), 0);
        }
        Ok(count)
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

/// The reading half of one connection.
pub struct Parser {
    context: WebSocketContext,
    /// It holds no whole message: only more input can bring one.
    dry: bool,
}

impl Parser {
    /// A parser for messages of at most so many bytes.
    pub fn new(message_bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BYTES_MAX)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        Self {
            context: WebSocketContext::new(Role::Server, Some(config)),
            dry: true,
        }
    }

    /// Takes one message out of the input; `None` if there is none. What has to be
    /// answered by the protocol itself is appended to `out`.
    pub fn next(
        &mut self,
        input: &mut Input,
        encoding: Encoding,
        out: &mut Vec<u8>,
    ) -> Option<Received> {
        // Asked for nothing, it would clear its buffer each time.
        if self.dry && input.is_empty() {
            return None;
        }
        let received = self.read(&mut Wire { input, out }, encoding);
        self.dry = received.is_none();
        received
    }

    fn read(&mut self, wire: &mut Wire<'_>, encoding: Encoding) -> Option<Received> {
        Some(match self.context.read(wire) {
            Ok(Message::Text(text)) if encoding == Encoding::Json => Received::Message(text.into()),
            Ok(Message::Binary(bytes)) if encoding == Encoding::Msgpack => Received::Message(bytes),
            Ok(Message::Text(_) | Message::Binary(_)) => Received::WrongKind,
            Ok(Message::Close(_)) => {
                // The answer is written by the next call; there is nothing after it.
                let _ = self.context.flush(wire);
                Received::Close
            }
            Ok(Message::Ping(_)) => {
                let _ = self.context.flush(wire);
                Received::Alive
            }
            Ok(Message::Pong(_) | Message::Frame(_)) => Received::Alive,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                Received::Broken(CloseCode::TooLarge)
            }
            Err(Error::Protocol(ref error)) if is_reset(error) => Received::Gone,
            Err(Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_)) => {
                Received::Broken(CloseCode::BadFrames)
            }
            Err(_) => Received::Gone,
        })
    }
}

fn is_reset(error: &ProtocolError) -> bool {
    matches!(error, ProtocolError::ResetWithoutClosingHandshake)
}

/// Longest head of a frame from the server, bytes: two, and eight of a long length.
const HEAD_BYTES_MAX: usize = 10;

/// The head of a frame, as far as it is not written yet.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    from: u8,
    to: u8,
}

impl Head {
    /// No head: what follows has its own.
    pub fn none() -> Self {
        Self {
            bytes: [0; HEAD_BYTES_MAX],
            from: 0,
            to: 0,
        }
    }

    /// The head of a whole message with so many bytes of payload: unmasked, so that
    /// all clients share the payload as it is.
    pub fn of_message(encoding: Encoding, length: usize) -> Self {
        Self::new(
            if encoding == Encoding::Json {
                TEXT
            } else {
                BINARY
            },
            length,
        )
    }

    /// RFC 6455, section 5.2.
    fn new(first: u8, length: usize) -> Self {
        let mut head = Self::none();
        head.bytes[0] = first;
        head.to = match length {
            0..=125 => {
                head.bytes[1] = length as u8;
                2
            }
            126..=0xffff => {
                head.bytes[1] = 126;
                head.bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                4
            }
            _ => {
                head.bytes[1] = 127;
                head.bytes[2..].copy_from_slice(&(length as u64).to_be_bytes());
                10
            }
        };
        head
    }

    /// What is left of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.from)..usize::from(self.to)]
    }

    /// At most so many bytes of it were written; how many those are.
    pub fn advance(&mut self, written: usize) -> usize {
        let part = written.min(self.bytes().len());
        self.from += part as u8;
        part
    }
}

/// A close with its code and reason, as a whole frame.
pub fn close_frame(code: CloseCode) -> Bytes {
    let mut payload = code.number().to_be_bytes().to_vec();
    payload.extend_from_slice(code.reason().as_bytes());
    [Head::new(CLOSE, payload.len()).bytes(), &payload]
        .concat()
        .into()
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

    fn message(payload: &[u8]) -> Vec<u8> {
        [
            Head::of_message(Encoding::Msgpack, payload.len()).bytes(),
            payload,
        ]
        .concat()
    }

    proptest! {
        #[test]
        fn a_client_reads_what_was_written(payload in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            (65_000usize..66_000).prop_map(|length| vec![7; length]),
        ]) {
            prop_assert_eq!(client_reads(&message(&payload)), Message::Binary(payload.into()));
        }
    }

    #[test]
    fn control_frames_are_read_as_such() {
        assert_eq!(client_reads(PING), Message::Ping(Bytes::new()));
        let Message::Close(Some(close)) = client_reads(&close_frame(CloseCode::SlowConsumer))
        else {
            panic!("no close")
        };
        assert_eq!(
            (u16::from(close.code), close.reason.as_str()),
            (4000, "slow_consumer")
        );
    }
}
