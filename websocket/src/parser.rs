//! What a client sends, as RFC 6455 frames: bytes in, messages out.
//!
//! Owns what came of the message that is under way, nothing beside it: an idle session
//! costs no buffer. Whatever the protocol itself has to answer (a pong, the answer to a
//! close) comes out as bytes for the socket, so that one writer keeps the order. Knows
//! no session, no socket and no time.

use bytes::Bytes;
use protocol::close_code::CloseCode;
use protocol::frame::Encoding;

use super::frame::{self, Opcode};

/// Longest payload of a control frame, bytes (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// The bit of a frame's first byte that says that it is its message's last.
const FINAL: u8 = 0x80;
/// Bits of a frame's first byte that no extension gives a meaning.
const RESERVED: u8 = 0x70;
/// The bit of a frame's second byte that says that it is masked.
const MASKED: u8 = 0x80;

/// Bytes of a mask.
const MASK_BYTES: usize = 4;

/// A message of a client, or the end.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// Frames in the session's encoding.
    Message(Bytes),
    /// A message of the other kind: text where bytes belong, or the reverse.
    WrongKind,
    /// A ping or a pong.
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
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The connection has ended or broken.
    pub fn end(&mut self) {
        self.ended = true;
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn advance(&mut self, count: usize) {
        self.at += count;
        if self.at == self.bytes.len() {
            // An idle session keeps nothing.
            (self.bytes, self.at) = (Vec::new(), 0);
        }
    }
}

/// A frame whose payload is coming.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: Opcode,
    last: bool,
    mask: [u8; MASK_BYTES],
    /// Bytes of payload that are still due.
    left: usize,
}

/// The reading half of one connection.
#[derive(Debug)]
pub struct Parser {
    message_bytes_max: usize,
    encoding: Encoding,
    frame: Option<Frame>,
    /// The kind of the message that is under way.
    kind: Option<Opcode>,
    message: Vec<u8>,
    /// Bytes of a text that are known to be UTF-8.
    text_bytes: usize,
    control: Vec<u8>,
}

impl Parser {
    /// A parser for messages of at most so many bytes.
    pub fn new(message_bytes_max: usize, encoding: Encoding) -> Self {
        Self {
            message_bytes_max,
            encoding,
            frame: None,
            kind: None,
            message: Vec::new(),
            text_bytes: 0,
            control: Vec::new(),
        }
    }

    /// Whether a frame or a message has begun and not ended.
    pub fn is_under_way(&self, input: &Input) -> bool {
        self.frame.is_some() || self.kind.is_some() || !input.rest().is_empty()
    }

    /// Takes one message out of the input; `None` if there is none. What has to be
    /// answered by the protocol itself is appended to `out`. After a close, a break or
    /// the end it is not asked again.
    pub fn next(&mut self, input: &mut Input, out: &mut Vec<u8>) -> Option<Received> {
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.head(input.rest()) {
                    Ok(Some((frame, length))) => {
                        input.advance(length);
                        frame
                    }
                    Ok(None) => break,
                    Err(code) => return Some(Received::Broken(code)),
                },
            };
            let frame = self.take(frame, input);
            self.frame = (frame.left > 0).then_some(frame);
            if self.frame.is_some() {
                break;
            }
            match self.ended(frame, out) {
                Ok(None) => {}
                Ok(received) => return received,
                Err(code) => return Some(Received::Broken(code)),
            }
        }
        input.ended.then_some(Received::Gone)
    }

    /// A frame's head with its length, if all of it is there (RFC 6455, section 5.2).
    /// What is wrong is refused as soon as it can be seen.
    fn head(&self, bytes: &[u8]) -> Result<Option<(Frame, usize)>, CloseCode> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = Opcode::of(first).ok_or(CloseCode::ProtocolError)?;
        let last = first & FINAL != 0;
        let announced = usize::from(second & !MASKED);
        let fits = match opcode {
            Opcode::Continuation => self.kind.is_some(),
            Opcode::Text | Opcode::Binary => self.kind.is_none(),
            Opcode::Close | Opcode::Ping | Opcode::Pong => last && announced <= CONTROL_BYTES_MAX,
        };
        if !fits || first & RESERVED != 0 || second & MASKED == 0 {
            return Err(CloseCode::ProtocolError);
        }
        let Some((length, used)) = length(announced, rest) else {
            return Ok(None);
        };
        if length > i64::MAX as u64 {
            return Err(CloseCode::ProtocolError);
        }
        // A control frame is bounded already.
        let room = self.message_bytes_max - self.message.len();
        let left = match usize::try_from(length) {
            Ok(left) if opcode.is_control() || left <= room => left,
            _ => return Err(CloseCode::TooLarge),
        };
        let mask = rest.get(used..).and_then(<[u8]>::first_chunk);
        Ok(mask.map(|mask| {
            let frame = Frame {
                opcode,
                last,
                mask: *mask,
                left,
            };
            (frame, 2 + used + mask.len())
        }))
    }

    /// Takes what is there of a frame's payload.
    fn take(&mut self, mut frame: Frame, input: &mut Input) -> Frame {
        let bytes = input.rest();
        let bytes = &bytes[..bytes.len().min(frame.left)];
        let into = if frame.opcode.is_control() {
            &mut self.control
        } else {
            self.kind.get_or_insert(frame.opcode);
            &mut self.message
        };
        let begin = into.len();
        into.extend_from_slice(bytes);
        unmask(&mut into[begin..], frame.mask);
        let count = bytes.len();
        input.advance(count);
        frame.mask.rotate_left(count % MASK_BYTES);
        frame.left -= count;
        frame
    }

    /// All of a frame is there.
    fn ended(&mut self, frame: Frame, out: &mut Vec<u8>) -> Result<Option<Received>, CloseCode> {
        match frame.opcode {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                let is_text = self.kind == Some(Opcode::Text);
                if is_text {
                    self.check_text(frame.last)?;
                }
                Ok(frame.last.then(|| self.message(is_text)))
            }
            Opcode::Close => {
                let payload = std::mem::take(&mut self.control);
                check_close(&payload)?;
                out.extend_from_slice(&frame::whole(Opcode::Close, &payload));
                Ok(Some(Received::Close))
            }
            Opcode::Ping => {
                let payload = std::mem::take(&mut self.control);
                out.extend_from_slice(&frame::whole(Opcode::Pong, &payload));
                Ok(Some(Received::Alive))
            }
            Opcode::Pong => {
                self.control = Vec::new();
                Ok(Some(Received::Alive))
            }
        }
    }

    /// Whether what came of a text is UTF-8; a fragment may end inside a character.
    fn check_text(&mut self, last: bool) -> Result<(), CloseCode> {
        let unchecked = &self.message[self.text_bytes..];
        match std::str::from_utf8(unchecked) {
            Ok(_) => self.text_bytes = self.message.len(),
            Err(error) if error.error_len().is_none() && !last => {
                self.text_bytes += error.valid_up_to();
            }
            Err(_) => return Err(CloseCode::NotUtf8),
        }
        Ok(())
    }

    fn message(&mut self, is_text: bool) -> Received {
        let message = std::mem::take(&mut self.message);
        (self.kind, self.text_bytes) = (None, 0);
        if is_text == (self.encoding == Encoding::Json) {
            Received::Message(message.into())
        } else {
            Received::WrongKind
        }
    }
}

/// The length of a payload and the bytes that say it behind the second one, if they are
/// there.
fn length(announced: usize, rest: &[u8]) -> Option<(u64, usize)> {
    match announced {
        126 => rest
            .first_chunk()
            .map(|bytes| (u64::from(u16::from_be_bytes(*bytes)), 2)),
        127 => rest
            .first_chunk()
            .map(|bytes| (u64::from_be_bytes(*bytes), 8)),
        _ => Some((announced as u64, 0)),
    }
}

/// RFC 6455, section 5.3. Four bytes at a time, which the compiler makes wider.
fn unmask(bytes: &mut [u8], mask: [u8; MASK_BYTES]) {
    let (words, rest) = bytes.as_chunks_mut::<MASK_BYTES>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    rest.iter_mut()
        .zip(mask)
        .for_each(|(byte, mask)| *byte ^= mask);
}

/// Whether a client may close with this (RFC 6455, sections 5.5.1 and 7.4).
fn check_close(payload: &[u8]) -> Result<(), CloseCode> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        // No code at all is allowed, half of one is not.
        return if payload.is_empty() {
            Ok(())
        } else {
            Err(CloseCode::ProtocolError)
        };
    };
    if !matches!(u16::from_be_bytes(*code), 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(CloseCode::ProtocolError);
    }
    std::str::from_utf8(reason)
        .map(|_| ())
        .map_err(|_| CloseCode::NotUtf8)
}

#[cfg(test)]
mod tests;
