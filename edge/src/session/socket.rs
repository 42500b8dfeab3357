//! The session's socket: frames in, queued bytes out, several at a time in one call.
//!
//! Owns the TCP stream and what has been taken from the outbox but not yet written.
//! What is queued goes out as soon as the socket takes it; nothing waits for more.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use protocol::frame::Encoding;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::port::Port;
use crate::websocket::{Parser, Received};

/// Frames in one call: the kernel takes 1,024, but beyond some dozens nothing is won.
const FRAMES_PER_WRITE: usize = 64;
/// Calls in one turn, so that a fast reader does not keep others waiting.
const WRITES_PER_TURN: usize = 16;
/// How long a client may take nothing at all before it is closed. Mobile networks
/// stand still for ten seconds and recover.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the last frames and the close may take to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the client's own close is waited for. Closed earlier with bytes unread,
/// the system would reset the connection, and our close could be lost.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// Places kept by an empty list of taken frames.
const IDLE_PLACES: usize = 4;

/// How far writing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Everything is written.
    Idle,
    /// The socket takes no more for now.
    Blocked,
    /// There is more to write, but it is the others' turn.
    Busy,
    /// The connection broke.
    Gone,
}

/// A session's socket.
pub struct Socket {
    stream: TcpStream,
    parser: Parser,
    port: Arc<Port>,
    taken: VecDeque<Bytes>,
    flow: Flow,
    /// When something was written last, or the first frame taken.
    moved: Instant,
    /// The parser may hold whole messages.
    read_on: bool,
}

impl Socket {
    /// A socket of which `first` has been read.
    pub fn new(
        stream: TcpStream,
        first: Vec<u8>,
        message_bytes_max: usize,
        port: Arc<Port>,
    ) -> Self {
        let read_on = !first.is_empty();
        Self {
            stream,
            parser: Parser::new(first, message_bytes_max),
            port,
            taken: VecDeque::new(),
            flow: Flow::Idle,
            moved: Instant::now(),
            read_on,
        }
    }

    /// Reads one message without waiting.
    pub fn read(&mut self, encoding: Encoding) -> Received {
        let mut answer = Vec::new();
        let received = self.parser.read(&self.stream, encoding, &mut answer);
        if !answer.is_empty() {
            self.port.send(answer.into());
        }
        received
    }

    /// Reading stopped early: there may be more without the socket being readable.
    pub fn read_on(&mut self) {
        self.read_on = true;
    }

    /// Writes what is queued, as far as the socket takes it.
    pub fn write_ready(&mut self) -> Flow {
        self.flow = self.write_some();
        if self.flow == Flow::Idle && self.taken.capacity() > IDLE_PLACES {
            self.taken.shrink_to(IDLE_PLACES);
        }
        self.flow
    }

    fn write_some(&mut self) -> Flow {
        for _ in 0..WRITES_PER_TURN {
            if self.taken.is_empty() {
                self.moved = Instant::now();
            }
            self.port.take(&mut self.taken, FRAMES_PER_WRITE);
            if self.taken.is_empty() {
                return Flow::Idle;
            }
            match self.write_once() {
                Ok(bytes) => self.wrote(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flow::Blocked,
                Err(_) => return Flow::Gone,
            }
        }
        Flow::Busy
    }

    fn write_once(&self) -> io::Result<usize> {
        if let [only] = self.taken.as_slices().0
            && self.taken.len() == 1
        {
            return self.stream.try_write(only);
        }
        let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.taken) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        self.stream.try_write_vectored(&slices[..count])
    }

    fn wrote(&mut self, bytes: usize) {
        self.moved = Instant::now();
        self.port.written(bytes);
        let mut left = bytes;
        while let Some(front) = self.taken.front_mut() {
            let part = left.min(front.len());
            front.advance(part);
            left -= part;
            if !front.is_empty() {
                break;
            }
            self.taken.pop_front();
        }
    }

    /// When the client counts as stalled.
    pub fn stalls_at(&self) -> Option<Instant> {
        (self.flow == Flow::Blocked).then(|| self.moved + STALL_TIMEOUT)
    }

    /// Waits until the socket can be read (true) or written (false). Commands wait
    /// while the outbox is over its limit. Cancel safe.
    pub async fn ready(&mut self) -> bool {
        let reads = !self.port.is_over();
        if self.flow == Flow::Busy || (self.read_on && reads) {
            tokio::task::yield_now().await;
            return reads && std::mem::take(&mut self.read_on);
        }
        let interest = match (reads, self.flow == Flow::Blocked) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, _) => Interest::WRITABLE,
        };
        // A failure shows again, with its reason, at the next read or write.
        self.stream.ready(interest).await.map_or(true, |ready| {
            reads && (ready.is_readable() || ready.is_read_closed())
        })
    }

    /// Writes what is left, ends our side and waits for the client's end; bounded in
    /// time.
    pub async fn close(&mut self) {
        let flushed = timeout(CLOSE_TIMEOUT, async {
            loop {
                match self.write_ready() {
                    Flow::Idle => return true,
                    Flow::Gone => return false,
                    Flow::Busy => tokio::task::yield_now().await,
                    Flow::Blocked => drop(self.stream.writable().await),
                }
            }
        });
        if !flushed.await.unwrap_or(false) || self.stream.shutdown().await.is_err() {
            return;
        }
        let mut rest = [0; 1024];
        let _ = timeout(LINGER_TIMEOUT, async {
            while self.stream.readable().await.is_ok() {
                match self.stream.try_read(&mut rest) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        })
        .await;
    }
}
