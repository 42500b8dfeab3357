//! A WebSocket client written by hand, so that it can break every rule of RFC 6455
//! and never answers by itself.
//!
//! Owns one TCP connection.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// First byte of a final text message.
pub const TEXT: u8 = 0x81;
/// First byte of a final binary message.
pub const BINARY: u8 = 0x82;
/// First byte of a close.
pub const CLOSE: u8 = 0x88;
/// First byte of a ping.
pub const PING: u8 = 0x89;
/// First byte of a pong.
pub const PONG: u8 = 0x8a;

/// Longest head of an answer to the handshake, bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// What came.
#[derive(Debug, PartialEq)]
pub enum Got {
    /// A text or binary message.
    Message(Vec<u8>),
    /// A ping.
    Ping,
    /// A pong with its payload.
    Pong(Vec<u8>),
    /// A close with its code (0: none) and reason.
    Close(u16, String),
    /// The connection ended.
    End,
}

/// The reading half.
pub struct Reader {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

/// Opens a connection and upgrades it.
pub async fn open(
    address: SocketAddr,
    protocol: Option<&str>,
) -> io::Result<(Reader, OwnedWriteHalf)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (half, mut write) = stream.into_split();
    let protocol = protocol
        .map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"))
        .unwrap_or_default();
    let request = format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
    );
    write.write_all(request.as_bytes()).await?;
    let mut reader = Reader {
        half,
        buffer: BytesMut::new(),
    };
    reader.skip_head().await?;
    Ok((reader, write))
}

/// Sends a request and reads its answer: the head, and as much body as that announces.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // The node may refuse before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    while !is_whole(
        &String::from_utf8_lossy(&answer),
        request.starts_with(b"HEAD"),
    ) {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_whole(answer: &str, without_body: bool) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        value.parse().ok().filter(|_| is_length)
    });
    without_body || body.len() >= length.unwrap_or(0)
}

impl Reader {
    async fn skip_head(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|part| part == b"\r\n\r\n") {
                let head = self.buffer.split_to(end + 4);
                if !head.starts_with(b"HTTP/1.1 101") {
                    return Err(io::Error::other(String::from_utf8_lossy(&head)));
                }
                return Ok(());
            }
            if self.buffer.len() > HEAD_BYTES_MAX
                || self.half.read_buf(&mut self.buffer).await? == 0
            {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The next frame; servers do not fragment and do not mask.
    pub async fn next(&mut self) -> Got {
        loop {
            if let Some(got) = self.parse() {
                return got;
            }
            match self.half.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Got::End,
                Ok(_) => {}
            }
        }
    }

    fn parse(&mut self) -> Option<Got> {
        let (first, second) = (*self.buffer.first()?, *self.buffer.get(1)?);
        let (head, length) = match second {
            126 => (
                4,
                u64::from(u16::from_be_bytes(self.buffer.get(2..4)?.try_into().ok()?)),
            ),
            127 => (
                10,
                u64::from_be_bytes(self.buffer.get(2..10)?.try_into().ok()?),
            ),
            length => (2, u64::from(length)),
        };
        let length = usize::try_from(length).expect("the node does not send such lengths");
        if self.buffer.len() < head + length {
            return None;
        }
        self.buffer.advance(head);
        let mut payload = self.buffer.split_to(length);
        Some(match first {
            TEXT | BINARY => Got::Message(payload.to_vec()),
            CLOSE if length < 2 => Got::Close(0, String::new()),
            CLOSE => Got::Close(
                payload.get_u16(),
                String::from_utf8_lossy(&payload).into_owned(),
            ),
            PONG => Got::Pong(payload.to_vec()),
            _ => Got::Ping,
        })
    }
}

/// One frame; `mask` absent: unmasked, which a client must not do.
pub fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(bit | length as u8),
        length @ 126..=0xffff => {
            bytes.push(bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(bit | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    match mask {
        Some(mask) => {
            bytes.extend(mask);
            bytes.extend(
                payload
                    .iter()
                    .zip(mask.iter().cycle())
                    .map(|(byte, mask)| byte ^ mask),
            );
        }
        None => bytes.extend(payload),
    }
    bytes
}
