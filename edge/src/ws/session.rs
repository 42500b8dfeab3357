//! One connection: one task, a closed set of events, and the core's session that says
//! what to do.
//!
//! Owns the socket. Knows no commands: what a client wants is the core's business.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use protocol::close_code::CloseCode;
use protocol::frame::{DecodeError, Encoding, Unreadable};
use service::shutdown::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use super::socket::{Flow, Moved, Socket};
use crate::core::hub::Hub;
use crate::core::metrics::{self, meters};
use crate::core::port::Port;
use crate::core::run::Form;
use crate::core::session::conduct::{Session, Signal};
use websocket::parser::Received;

/// Messages read in one go before what they caused is written.
const MESSAGES_PER_TURN: usize = 16;

/// What a connection waits for.
#[derive(Debug)]
enum Event {
    /// The client sent something.
    Received(Received),
    /// The socket took something, or something was queued, or a note left.
    Woken,
    /// A deadline has come.
    Timer,
    /// The node drains.
    Drain,
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// We close it.
    Close(CloseCode),
    /// The client closed it.
    ByClient,
    /// The connection broke.
    Gone,
}

struct Connection<S> {
    session: Session,
    socket: Socket<S>,
    port: Arc<Port>,
    shutdown: Shutdown,
    draining: bool,
    /// How long a message may take from its first byte to its last.
    message_timeout: Duration,
}

/// Serves a connection that has just been upgraded, of which `first` has been read, to
/// its end. Without an encoding it is closed at once.
pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    hub: Arc<Hub>,
    shutdown: Shutdown,
    stream: S,
    first: Vec<u8>,
    encoding: Option<Encoding>,
) {
    meters().connections.increment(1.0);
    let port = Arc::new(hub.port(Form::Joined));
    let spoken = encoding.unwrap_or(Encoding::Json);
    let message_bytes_max = hub.limits.message_bytes;
    let message_timeout = hub.limits.message_timeout();
    let mut connection = Connection {
        session: Session::new(hub, port.clone(), spoken),
        socket: Socket::new(stream, first, spoken, message_bytes_max, port.clone()),
        port,
        shutdown,
        draining: false,
        message_timeout,
    };
    let ending = if encoding.is_some() {
        connection.serve().await
    } else {
        Ending::Close(CloseCode::UnknownProtocol)
    };
    connection.end(ending).await;
    meters().connections.decrement(1.0);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn serve(&mut self) -> Ending {
        // One timer for all turns: it is set anew only when what it is for changes.
        let mut timer = pin!(tokio::time::sleep_until(self.session.deadline()));
        loop {
            match self.socket.write_ready().await {
                Flow::Gone => return Ending::Gone,
                Flow::Idle if self.session.is_drained() => {
                    return Ending::Close(CloseCode::Restart);
                }
                Flow::Idle | Flow::Blocked | Flow::Busy => {}
            }
            let ending = match self.next_event(timer.as_mut()).await {
                Event::Received(received) => self.read(received).await,
                Event::Woken => {
                    let signal = self.session.take_notes();
                    self.obey(signal)
                }
                Event::Timer => self.tick(),
                Event::Drain => {
                    self.draining = true;
                    let signal = self.session.drain();
                    self.obey(signal)
                }
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Cancel safe in every branch: what was read is kept by the socket until it is
    /// handed out; wake-ups and the trigger are kept as well.
    async fn next_event(&mut self, mut timer: Pin<&mut Sleep>) -> Event {
        let due = self.session.deadline();
        let others = [self.socket.stalls_at(), self.overdue_at()];
        let deadline = others.into_iter().flatten().fold(due, Instant::min);
        if timer.deadline() != deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        tokio::select! {
            () = self.shutdown.triggered(), if !self.draining => Event::Drain,
            () = self.port.woken() => Event::Woken,
            () = timer => Event::Timer,
            moved = self.socket.moved() => match moved {
                Moved::In(received) => Event::Received(received),
                Moved::Out => Event::Woken,
            },
        }
    }

    fn obey(&mut self, signal: Option<Signal>) -> Option<Ending> {
        match signal? {
            Signal::Ping => self.socket.ping(),
            Signal::Close(code) => return Some(Ending::Close(code)),
        }
        None
    }

    /// When the message that is under way has taken too long.
    fn overdue_at(&self) -> Option<Instant> {
        let began_at = self.socket.began_at();
        began_at.and_then(|at| at.checked_add(self.message_timeout))
    }

    fn tick(&mut self) -> Option<Ending> {
        let now = Instant::now();
        if self.socket.stalls_at().is_some_and(|at| now >= at) {
            return Some(Ending::Close(CloseCode::SlowConsumer));
        }
        if self.overdue_at().is_some_and(|at| now >= at) {
            return Some(Ending::Close(CloseCode::MessageTimeout));
        }
        self.session.heard(self.socket.heard_at());
        let signal = self.session.tick();
        self.obey(signal)
    }

    /// Takes a message, and those that came with it.
    async fn read(&mut self, first: Received) -> Option<Ending> {
        let mut next = Some(first);
        for _ in 0..MESSAGES_PER_TURN {
            let received = next?;
            let signal = match received {
                Received::Message(message) => self.session.message(&message).await,
                Received::WrongKind => {
                    let message = "JSON goes in text messages, MessagePack in binary ones";
                    self.session.unreadable(&Unreadable {
                        id: 0,
                        error: DecodeError::Malformed(message.into()),
                    })
                }
                Received::Alive => None,
                Received::Close => return Some(Ending::ByClient),
                Received::Gone => return Some(Ending::Gone),
                Received::Broken(code) => return Some(Ending::Close(code)),
            };
            let ending = self.obey(signal);
            if ending.is_some() {
                return ending;
            }
            next = self.socket.received_now().await;
        }
        self.socket.keep(next);
        None
    }

    async fn end(&mut self, ending: Ending) {
        self.session.end();
        match ending {
            Ending::Close(code) => {
                metrics::closed(code);
                if code == CloseCode::SlowConsumer {
                    self.port.discard();
                }
                // Boxed: its buffer would otherwise be a part of every idle session.
                Box::pin(self.socket.close(Some(code))).await;
            }
            Ending::ByClient => {
                metrics::ended("by_client");
                Box::pin(self.socket.close(None)).await;
            }
            Ending::Gone => metrics::ended("connection_lost"),
        }
    }
}
