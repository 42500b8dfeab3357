//! WebSocket frames (RFC 6455, section 5.2): their kinds, and how ours are written.
//!
//! Owns nothing. Knows no session and no socket.

use bytes::Bytes;
use protocol::close_code::CloseCode;
use protocol::frame::Encoding;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// More of a message.
    Continuation = 0x0,
    /// Text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// The end.
    Close = 0x8,
    /// Asks for a sign of life.
    Ping = 0x9,
    /// A sign of life.
    Pong = 0xa,
}

impl Opcode {
    /// The kind of a frame with this first byte; `None` if it is reserved.
    pub fn of(first: u8) -> Option<Self> {
        Some(match first & 0x0f {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    /// Whether the frame is none of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// First byte of a whole message or control frame of this kind.
    const fn first(self) -> u8 {
        0x80 | self as u8
    }
}

/// A ping without data.
pub const PING: &[u8] = &[Opcode::Ping.first(), 0x00];

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
        let opcode = match encoding {
            Encoding::Json => Opcode::Text,
            Encoding::Msgpack => Opcode::Binary,
        };
        Self::new(opcode, length)
    }

    fn new(opcode: Opcode, length: usize) -> Self {
        let mut head = Self::none();
        head.bytes[0] = opcode.first();
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

/// A whole frame.
pub fn whole(opcode: Opcode, payload: &[u8]) -> Bytes {
    [Head::new(opcode, payload.len()).bytes(), payload]
        .concat()
        .into()
}

/// A close with its code and reason, as a whole frame.
pub fn close_frame(code: CloseCode) -> Bytes {
    let mut payload = code.number().to_be_bytes().to_vec();
    payload.extend_from_slice(code.reason().as_bytes());
    whole(Opcode::Close, &payload)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketContext};

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
