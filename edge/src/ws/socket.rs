//! A session's socket: messages in, queued payloads out, several at a time in one call.
//!
//! Owns the stream, what was read of it and not yet parsed, and what was taken from
//! the outbox and not yet written. A payload is written behind a small header that is
//! reckoned from its length, so that all sessions share its bytes. What is queued goes
//! out as soon as the socket takes it; nothing waits for more.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use protocol::close_code::CloseCode;
use protocol::frame::Encoding;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::core::port::Port;
use websocket::frame::{Head, PING, close_frame};
use websocket::parser::{Input, Parser, Received};

/// Frames in one call: the kernel takes 1,024 parts, two of a frame, but beyond some
/// dozens nothing is won.
const FRAMES_PER_WRITE: usize = 64;
/// Calls in one turn, so that a fast reader does not keep others waiting.
const WRITES_PER_TURN: usize = 16;
/// Bytes of one write to a stream that takes only one part at a time, as TLS does:
/// what one of its records holds.
const GATHER_BYTES: usize = 16 * 1024;
/// Bytes of a frame that is copied for its write.
const SMALL_BYTES: usize = 1024;
/// Bytes of one read. On the stack, so that it costs an idle session nothing.
const READ_BYTES: usize = 4 * 1024;
/// Bytes of pings and pongs that may wait to be written. Policy: the client is not
/// read meanwhile.
const CONTROL_BYTES_MAX: usize = 1024;
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

/// What [`Socket::moved`] saw.
#[derive(Debug)]
pub enum Moved {
    /// The client sent this.
    In(Received),
    /// The socket took something, or it is our turn again.
    Out,
}

/// A frame that is being written.
#[derive(Debug)]
struct Outgoing {
    head: Head,
    payload: Bytes,
    /// It is not of the outbox, and not counted there.
    control: bool,
}

/// A session's socket.
pub struct Socket<S> {
    stream: S,
    input: Input,
    parser: Parser,
    encoding: Encoding,
    port: Arc<Port>,
    taken: VecDeque<Outgoing>,
    /// Bytes of control frames in `taken`.
    control_bytes: usize,
    flow: Flow,
    /// When the client took something last, or had taken everything: looked at only once
    /// it takes no more.
    moved_at: Instant,
    /// Parsed, but its turn is after the others'.
    kept: Option<Received>,
    /// The answer to the client's close: the last frame there is.
    farewell: Option<Bytes>,
    /// When something was read last.
    heard_at: Instant,
    /// When the message began of which more has to come.
    began_at: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket of which `first` has been read.
    pub fn new(
        stream: S,
        first: Vec<u8>,
        encoding: Encoding,
        message_bytes_max: usize,
        port: Arc<Port>,
    ) -> Self {
        Self {
            stream,
            input: Input::new(first),
            parser: Parser::new(message_bytes_max, encoding),
            encoding,
            port,
            taken: VecDeque::new(),
            control_bytes: 0,
            flow: Flow::Idle,
            moved_at: Instant::now(),
            kept: None,
            farewell: None,
            heard_at: Instant::now(),
            began_at: None,
        }
    }

    /// Waits until something moves. Commands wait while the outbox is over its limit.
    /// Cancel safe: what was read stays here until it is handed out.
    pub async fn moved(&mut self) -> Moved {
        if self.flow == Flow::Busy || self.kept.is_some() {
            tokio::task::yield_now().await;
            return self.kept.take().map_or(Moved::Out, Moved::In);
        }
        poll_fn(|cx| {
            if let Poll::Ready(received) = self.poll_received(cx) {
                return Poll::Ready(Moved::In(received));
            }
            if self.flow == Flow::Blocked {
                self.flow = self.poll_write(cx);
                if self.flow != Flow::Blocked {
                    return Poll::Ready(Moved::Out);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// What has come already, without waiting.
    pub async fn received_now(&mut self) -> Option<Received> {
        poll_fn(|cx| match self.poll_received(cx) {
            Poll::Ready(received) => Poll::Ready(Some(received)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Puts something back that was handed out, for the session's next turn.
    pub fn keep(&mut self, received: Option<Received>) {
        self.kept = received;
    }

    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            if self.port.is_over() || self.control_bytes > CONTROL_BYTES_MAX {
                // Whoever empties the outbox wakes us: it is this task. How long we do
                // not read is not the client's fault.
                self.began_at = None;
                return Poll::Pending;
            }
            let mut answer = Vec::new();
            let received = self.parser.next(&mut self.input, &mut answer);
            self.clock(received.as_ref());
            if !answer.is_empty() {
                match received {
                    Some(Received::Close) => self.farewell = Some(answer.into()),
                    _ => self.control(answer.into()),
                }
            }
            if let Some(received) = received {
                return Poll::Ready(received);
            }
            ready!(self.poll_fill(cx));
        }
    }

    /// Notes since when a message has been under way.
    fn clock(&mut self, received: Option<&Received>) {
        match received {
            Some(Received::Message(_) | Received::WrongKind) => self.began_at = None,
            Some(_) => {}
            None if self.parser.is_under_way(&self.input) => {
                self.began_at.get_or_insert_with(Instant::now);
            }
            None => self.began_at = None,
        }
    }

    /// When something was read last: any byte is a sign of life.
    pub fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// When the message began that is under way, if one is and it is read.
    pub fn began_at(&self) -> Option<Instant> {
        self.began_at
    }

    /// Reads something into the input. An end or a failure is input too.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space);
        match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {
                self.heard_at = Instant::now();
                self.input.add(buffer.filled());
            }
            Ok(()) | Err(_) => self.input.end(),
        }
        Poll::Ready(())
    }

    /// Asks the client for a sign of life.
    pub fn ping(&mut self) {
        self.control(Bytes::from_static(PING));
    }

    /// Queues a whole frame behind what has been taken.
    fn control(&mut self, frame: Bytes) {
        self.control_bytes += frame.len();
        self.taken.push_back(Outgoing {
            head: Head::none(),
            payload: frame,
            control: true,
        });
    }

    /// Writes what is queued, as far as the socket takes it. Never waits.
    pub async fn write_ready(&mut self) -> Flow {
        poll_fn(|cx| {
            self.flow = self.poll_write(cx);
            Poll::Ready(self.flow)
        })
        .await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Flow {
        let mut moves = false;
        for _ in 0..WRITES_PER_TURN {
            // What TLS has taken it may still hold.
            moves |= self.taken.is_empty() && self.flow != Flow::Blocked;
            let room = FRAMES_PER_WRITE.saturating_sub(self.taken.len());
            let (taken, encoding) = (&mut self.taken, self.encoding);
            self.port.take(room, |payload| {
                taken.push_back(Outgoing {
                    head: Head::of_message(encoding, payload.len()),
                    payload,
                    control: false,
                });
            });
            if self.taken.is_empty() {
                if self.taken.capacity() > IDLE_PLACES {
                    self.taken.shrink_to(IDLE_PLACES);
                }
                let flow = self.poll_flushed(cx);
                if flow == Flow::Blocked && moves {
                    self.moved_at = Instant::now();
                }
                return flow;
            }
            match self.poll_write_once(cx) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => self.wrote(bytes),
                Poll::Ready(_) => return Flow::Gone,
                Poll::Pending => {
                    if moves {
                        self.moved_at = Instant::now();
                    }
                    return Flow::Blocked;
                }
            }
            moves = true;
        }
        self.moved_at = Instant::now();
        Flow::Busy
    }

    /// Whether the system has all that was written: a bare stream hands it on at once,
    /// TLS holds it until it is taken.
    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Flow {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => Flow::Idle,
            Poll::Ready(Err(_)) => Flow::Gone,
            Poll::Pending => Flow::Blocked,
        }
    }

    fn poll_write_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        if let Some(only) = self.taken.front().filter(|_| self.taken.len() == 1)
            && let Some((frame, length)) = only.small()
        {
            return stream.poll_write(cx, &frame[..length]);
        }
        if !stream.is_write_vectored() {
            let mut gathered = Vec::with_capacity(GATHER_BYTES);
            for part in self.taken.iter().flat_map(Outgoing::parts) {
                let room = GATHER_BYTES - gathered.len();
                gathered.extend_from_slice(&part[..part.len().min(room)]);
            }
            return stream.poll_write(cx, &gathered);
        }
        let mut slices = [IoSlice::new(&[]); 2 * FRAMES_PER_WRITE];
        let mut count = 0;
        let parts = self.taken.iter().flat_map(Outgoing::parts);
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        stream.poll_write_vectored(cx, &slices[..count])
    }

    fn wrote(&mut self, bytes: usize) {
        let (mut left, mut of_outbox) = (bytes, 0);
        while let Some(front) = self.taken.front_mut() {
            left -= front.head.advance(left);
            let part = left.min(front.payload.len());
            front.payload.advance(part);
            left -= part;
            if front.control {
                self.control_bytes -= part;
            } else {
                of_outbox += part;
            }
            if !front.is_written() {
                break;
            }
            self.taken.pop_front();
        }
        self.port.written(of_outbox);
    }

    /// When the client counts as stalled.
    pub fn stalls_at(&self) -> Option<Instant> {
        (self.flow == Flow::Blocked).then(|| self.moved_at + STALL_TIMEOUT)
    }

    /// Writes what is left and a close, or the answer to the client's; ends our side and
    /// waits for the client's end. Bounded in time.
    pub async fn close(&mut self, code: Option<CloseCode>) {
        let flushed = timeout(CLOSE_TIMEOUT, async {
            self.flush().await && {
                let last = code.map(close_frame).or_else(|| self.farewell.take());
                last.into_iter().for_each(|frame| self.control(frame));
                self.flush().await
            }
        });
        if !flushed.await.unwrap_or(false) || self.stream.shutdown().await.is_err() {
            return;
        }
        let mut rest = [0; 1024];
        let _ = timeout(LINGER_TIMEOUT, async {
            while self.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        })
        .await;
    }

    /// Writes everything; false if the connection broke.
    async fn flush(&mut self) -> bool {
        loop {
            let flow = poll_fn(|cx| match self.poll_write(cx) {
                Flow::Blocked => Poll::Pending,
                flow => Poll::Ready(flow),
            });
            match flow.await {
                Flow::Idle => return true,
                Flow::Gone => return false,
                Flow::Busy | Flow::Blocked => tokio::task::yield_now().await,
            }
        }
    }
}

impl Outgoing {
    /// The whole frame, if it is small: a plain write of a copy costs less than one of two
    /// parts.
    fn small(&self) -> Option<([u8; SMALL_BYTES], usize)> {
        let (head, payload) = (self.head.bytes(), self.payload.as_ref());
        let length = head.len() + payload.len();
        (length <= SMALL_BYTES).then(|| {
            let mut frame = [0; SMALL_BYTES];
            frame[..head.len()].copy_from_slice(head);
            frame[head.len()..length].copy_from_slice(payload);
            (frame, length)
        })
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let parts = [self.head.bytes(), self.payload.as_ref()];
        parts.into_iter().filter(|part| !part.is_empty())
    }

    fn is_written(&self) -> bool {
        self.head.bytes().is_empty() && self.payload.is_empty()
    }
}

#[cfg(test)]
mod tests;
