//! Many subscribers to one channel that read and count, and nothing else: they must
//! cost little, since they run beside what is measured.
//!
//! Owns its connections; each is read by one task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail, ensure};
use protocol::frame::{Action, Command, Connect, Encoding, Subscribe, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// First byte of a client's text message.
const TEXT: u8 = 0x81;
/// The bit that says that a frame is masked.
const MASKED: u8 = 0x80;
/// Low bits of a data frame's first byte: text or binary.
const DATA_OPCODES: [u8; 2] = [1, 2];
/// Low bits of a ping's first byte.
const PING_OPCODE: u8 = 9;
/// A client's pong without data, under a mask of zeros.
const PONG: [u8; 6] = [0x8a, MASKED, 0, 0, 0, 0];
/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;
/// Connections that are made at a time.
const CONNECTING: usize = 16;

/// Counts frames of JSON in a stream of bytes that comes in pieces: a WebSocket message
/// holds one, or several with line breaks between them.
#[derive(Debug, Default)]
pub struct Counter {
    head: Vec<u8>,
    left: usize,
    is_data: bool,
    /// Pings that have not been answered.
    pings: usize,
}

impl Counter {
    /// Frames that begin within these bytes; pings are not counted.
    pub fn take(&mut self, mut bytes: &[u8]) -> u64 {
        let mut messages = 0;
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            if self.is_data {
                let breaks = bytes[..skipped].iter().filter(|byte| **byte == b'\n');
                messages += breaks.count() as u64;
            }
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let Some((first, rest)) = bytes.split_first() else {
                break;
            };
            self.head.push(*first);
            bytes = rest;
            if let Some(length) = Self::length(&self.head) {
                self.is_data = DATA_OPCODES.contains(&(self.head[0] & 0x0f));
                messages += u64::from(self.is_data);
                self.pings += usize::from(self.head[0] & 0x0f == PING_OPCODE);
                self.left = length;
                self.head.clear();
            }
        }
        messages
    }

    /// Reads one message, whose end nothing may follow yet.
    ///
    /// # Errors
    /// The connection breaks, or what comes is no text.
    pub async fn read(stream: &mut TcpStream) -> anyhow::Result<String> {
        let (mut counter, mut read) = (Self::default(), Vec::new());
        while counter.take(&[stream.read_u8().await?]) == 0 {}
        read.resize(counter.left, 0);
        stream.read_exact(&mut read).await?;
        Ok(String::from_utf8(read)?)
    }

    /// The length of the payload, once the whole head is there.
    fn length(head: &[u8]) -> Option<usize> {
        match (head.len(), *head.get(1)?) {
            (4, 126) => Some(usize::from(u16::from_be_bytes([head[2], head[3]]))),
            (10, 127) => head[2..].iter().try_fold(0usize, |sum, byte| {
                sum.checked_mul(256)?.checked_add(usize::from(*byte))
            }),
            (2, short) if short < 126 => Some(usize::from(short)),
            _ => None,
        }
    }
}

/// Subscribers that read.
pub struct Crowd {
    received: Arc<AtomicU64>,
    readers: JoinSet<()>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new() -> Self {
        Self {
            received: Arc::default(),
            readers: JoinSet::new(),
        }
    }

    /// So many more connect, subscribe and read.
    ///
    /// # Errors
    /// The node refuses one.
    pub async fn join(
        &mut self,
        address: SocketAddr,
        token: &str,
        channel: &str,
        count: usize,
    ) -> anyhow::Result<()> {
        let first = self.readers.len();
        for start in (first..first + count).step_by(CONNECTING) {
            let mut joining = JoinSet::new();
            for n in start..(start + CONNECTING).min(first + count) {
                let (token, channel) = (token.to_owned(), channel.to_owned());
                joining.spawn(async move { subscriber(address, &token, &channel, n).await });
            }
            for stream in joining.join_all().await {
                self.readers
                    .spawn(drain(stream?, Arc::clone(&self.received)));
            }
        }
        Ok(())
    }

    /// Messages received by all of them.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// Reads and counts to the end of a connection, and answers pings.
pub async fn drain(mut stream: TcpStream, received: Arc<AtomicU64>) {
    let (mut counter, mut buffer) = (Counter::default(), vec![0; READ_BYTES]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        received.fetch_add(counter.take(&buffer[..count]), Ordering::Relaxed);
        for _ in 0..std::mem::take(&mut counter.pings) {
            if stream.write_all(&PONG).await.is_err() {
                return;
            }
        }
    }
}

/// A short text message of a client.
///
/// # Errors
/// It is not short.
pub fn masked(payload: &[u8]) -> anyhow::Result<Vec<u8>> {
    let length = u16::try_from(payload.len()).context("commands of this bench are short")?;
    let mut frame = vec![TEXT, MASKED | 126];
    frame.extend(length.to_be_bytes());
    // A mask of zeros leaves the payload as it is.
    frame.extend([0; 4]);
    frame.extend(payload);
    Ok(frame)
}

/// A WebSocket that was opened; `headers` are whole lines.
///
/// # Errors
/// It is refused.
pub async fn upgraded(address: SocketAddr, path: &str, headers: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    ensure!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    Ok(stream)
}

/// Connects and subscribes; what comes then is for who reads.
///
/// # Errors
/// The node refuses.
pub async fn subscriber(
    address: SocketAddr,
    token: &str,
    channel: &str,
    n: usize,
) -> anyhow::Result<TcpStream> {
    let spoken = format!("Sec-WebSocket-Protocol: {}\r\n", Encoding::Json.protocol());
    let mut stream = upgraded(address, "/v1/ws", &spoken).await?;
    let connect = Action::Connect(Connect::new(token, format!("crowd{n}")));
    let subscribe = Action::Subscribe(Subscribe::new(channel));
    for (id, action) in [(1, connect), (2, subscribe)] {
        stream
            .write_all(&masked(&encode(Encoding::Json, &Command::new(id, action)))?)
            .await?;
    }
    let (mut counter, mut replies, mut answer) = (Counter::default(), 0, Vec::new());
    while replies < 2 {
        let byte = stream.read_u8().await?;
        answer.push(byte);
        replies += counter.take(&[byte]);
    }
    // The second message is counted at its head; its body must not be taken for more.
    let mut rest = vec![0; counter.left];
    stream.read_exact(&mut rest).await?;
    answer.extend(rest);
    if String::from_utf8_lossy(&answer).contains("\"error\"") {
        bail!("refused: {}", String::from_utf8_lossy(&answer));
    }
    Ok(stream)
}
