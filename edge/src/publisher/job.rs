//! One event on its way into the store, and the promise to answer for it.
//!
//! A job that is dropped unanswered answers for itself, so no command is left
//! without a reply, whatever ends first.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::bus::{Expect, Outgoing};
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Published, StoredIn};
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::name::Channel;
use protocol::position::{Epoch, Position};
use protocol::stream::StreamName;
use protocol::subject::Subject;
use tokio::time::Instant;

use super::Publisher;
use super::order::Order;
use super::turns::Waiting;
use crate::metrics::{meters, publish_refused};
use crate::port::{Note, Port};

/// How long a first attempt may wait before it is stored. Later its client may have
/// given the connection up and sent the event again elsewhere.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// An event that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The command.
    pub command: u64,
    /// The channel.
    pub channel: Channel,
    /// The writer's counter.
    pub n: u64,
    /// The event's id.
    pub id: String,
    /// Where it is stored.
    pub subject: Subject,
    /// Its headers.
    pub headers: Headers,
    /// Its data.
    pub payload: Bytes,
    /// The stream that stores it.
    pub stream: StreamName,
    /// Its lane.
    pub lane: Lane,
    /// Which kind of stream that is.
    pub stored_in: StoredIn,
    /// The stream's epoch.
    pub epoch: Epoch,
    /// On a resend: when it was sent first, microseconds since 1970.
    pub first_sent: Option<u64>,
}

/// One session's writer.
pub struct Writer {
    /// Who is answered.
    pub port: Arc<Port>,
    /// The order of its events.
    pub order: Mutex<Order<Job>>,
    /// Who stores.
    pub publisher: Arc<Publisher>,
}

/// A draft and its way back.
pub struct Job {
    /// The event.
    pub draft: Draft,
    writer: Arc<Writer>,
    accepted: Instant,
    /// Whether it went into a lane.
    pub in_lane: bool,
    answered: bool,
}

impl Job {
    /// Takes a draft on.
    pub fn new(draft: Draft, writer: Arc<Writer>) -> Self {
        Self {
            draft,
            writer,
            accepted: Instant::now(),
            in_lane: false,
            answered: false,
        }
    }

    /// Its writer.
    pub fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }

    /// What the bus is given.
    pub fn outgoing(&self, expect: Option<Expect>) -> Outgoing {
        Outgoing {
            subject: self.draft.subject.clone(),
            headers: self.draft.headers.clone(),
            payload: self.draft.payload.clone(),
            msg_id: Some(self.draft.id.clone()),
            expect,
        }
    }

    /// Asks right before storing, in the order of sending: `None` when the event must
    /// not be stored now; it has been answered then.
    pub fn admitted(self) -> Option<Self> {
        if self.writer.port.is_closed() {
            // The client will resend elsewhere; stored now, the event could come twice.
            self.answer(Err(ErrorBody::new(
                ErrorCode::Unavailable,
                "the session has ended",
            )));
            return None;
        }
        if !self
            .writer
            .order
            .lock()
            .admit(&self.draft.channel, self.draft.n)
        {
            let message =
                "an earlier event of this writer on this channel must be sent again first";
            self.answer(Err(ErrorBody::new(ErrorCode::EarlierRefused, message)));
            return None;
        }
        if self.draft.first_sent.is_none() && self.accepted.elapsed() > WAIT_MAX {
            self.answer(Err(ErrorBody::new(
                ErrorCode::Unavailable,
                "the event waited too long to be stored",
            )));
            return None;
        }
        Some(self)
    }

    /// The answer for an event that stands at `seq`.
    pub fn published(&self, seq: u64, duplicate: bool) -> Published {
        Published {
            n: self.draft.n,
            stored_in: self.draft.stored_in,
            position: Position {
                epoch: self.draft.epoch.clone(),
                seq,
                time: None,
            },
            duplicate,
        }
    }

    /// Answers the command.
    pub fn answer(mut self, outcome: Result<Published, ErrorBody>) {
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Result<Published, ErrorBody>) {
        self.answered = true;
        let (channel, n) = (&self.draft.channel, self.draft.n);
        match &outcome {
            Ok(published) => {
                let meter = if published.duplicate {
                    &meters().duplicates
                } else {
                    &meters().published
                };
                meter.increment(1);
                meters()
                    .publish_seconds
                    .record(self.accepted.elapsed().as_secs_f64());
            }
            Err(error) => publish_refused(error.code),
        }
        let start = {
            let mut order = self.writer.order.lock();
            if outcome.as_ref().is_err_and(|error| error.temporary) {
                order.refuse(channel, n);
            }
            self.in_lane && order.lane_done(channel)
        };
        self.writer.port.note(Note::Published {
            command: self.draft.command,
            outcome,
        });
        if start {
            self.writer
                .publisher
                .clone()
                .work_singles(self.writer.clone(), channel.clone());
        }
    }
}

/// Whose events on which channel are kept in order. The writer's address stands for
/// it: the job that holds the line holds the writer.
pub type Line = (usize, Channel);

impl Waiting for Job {
    type Line = Line;

    fn line(&self) -> Line {
        let writer = Arc::as_ptr(&self.writer).addr();
        (writer, self.draft.channel.clone())
    }

    fn size(&self) -> usize {
        self.draft.payload.len()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.answered {
            self.settle(Err(ErrorBody::new(
                ErrorCode::Unavailable,
                "the node is stopping",
            )));
        }
    }
}
