//! One event on its way into the store, and the promise to answer for it.
//!
//! A job that is dropped unanswered answers for itself, so no command is left
//! without a reply, whatever ends first.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::bus::{Expect, Outgoing};
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Published};
use protocol::name::{Channel, Tenant};
use protocol::position::Position;
use tokio::time::Instant;

use super::answer::{Answer, Outcome};
use super::order::{Order, Route};
use super::turns::Waiting;
use crate::core::draft::Draft;
use crate::core::metrics::{meters, publish_refused};
use crate::core::quota::task::Quotas;
use shares::queue::{Left, Queue};

/// How long a first attempt may wait before it is stored. Later its client may have
/// given the connection up and sent the event again elsewhere.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// A writer's channel that has singles nobody works on.
pub struct Singles {
    /// Whose they are.
    pub tenant: Tenant,
    /// The writer.
    pub writer: Arc<Writer>,
    /// The channel.
    pub channel: Channel,
}

/// One writer: whoever publishes under one client name.
pub struct Writer {
    /// The order of its events.
    order: Mutex<Order<Job>>,
    /// Where channels whose singles may be worked on are told. Bounded by what waits:
    /// a channel stands in it once, for at least one event that was taken in.
    singles: Arc<Queue<Singles>>,
    /// Where stored bytes are counted.
    quotas: Arc<Quotas>,
}

impl Writer {
    /// A writer with nothing under way.
    pub fn new(singles: Arc<Queue<Singles>>, quotas: Arc<Quotas>) -> Arc<Self> {
        Arc::new(Self {
            order: Mutex::default(),
            singles,
            quotas,
        })
    }

    /// Takes an event in; whoever gets the job back puts it into its lane.
    pub fn route(self: &Arc<Self>, draft: Draft, answer: Answer) -> Option<Job> {
        let (tenant, channel) = (draft.tenant.clone(), draft.channel.clone());
        let single = draft.first_sent.is_some() || draft.expected_seq.is_some();
        let job = Job::new(draft, answer, self.clone());
        let route = self.order.lock().route(&channel, job, single);
        match route {
            Route::Lane(mut job) => {
                job.in_lane = true;
                Some(job)
            }
            Route::Start => {
                self.start_singles(tenant, channel);
                None
            }
            Route::Queued => None,
        }
    }

    /// An event was refused before it came this far, for now.
    pub fn refuse(&self, channel: &Channel, n: u64) {
        self.order.lock().refuse(channel, n);
    }

    /// The channel's next single; `None` ends the work on them.
    pub fn next_single(&self, channel: &Channel) -> Option<Job> {
        self.order.lock().next_single(channel)
    }

    /// The ids of what waits behind the channel's current single.
    pub fn waiting_ids(&self, channel: &Channel) -> Vec<String> {
        let order = self.order.lock();
        let waiting = order.waiting(channel);
        waiting.map(|job| job.draft.id.clone()).collect()
    }

    /// Gives a channel's singles up: each answers for itself.
    pub fn drop_singles(&self, channel: &Channel) {
        // Each is dropped without the lock: its answer takes it.
        loop {
            let job = self.next_single(channel);
            if job.is_none() {
                return;
            }
        }
    }

    fn start_singles(self: &Arc<Self>, tenant: Tenant, channel: Channel) {
        let singles = Singles {
            tenant: tenant.clone(),
            writer: self.clone(),
            channel,
        };
        let pushed = self.singles.push(&tenant, singles);
        if let Err(Left::Full(left) | Left::Closed(left)) = pushed {
            left.writer.drop_singles(&left.channel);
        }
    }
}

/// A draft and its way back.
pub struct Job {
    /// The event.
    pub draft: Draft,
    writer: Arc<Writer>,
    /// Taken when it is given.
    answer: Option<Answer>,
    accepted: Instant,
    /// Whether it went into a lane.
    in_lane: bool,
}

impl Job {
    fn new(draft: Draft, answer: Answer, writer: Arc<Writer>) -> Self {
        Self {
            draft,
            writer,
            answer: Some(answer),
            accepted: Instant::now(),
            in_lane: false,
        }
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

    /// The ids of this event and of those that wait behind it; bounded by the window.
    pub fn ids_from_here(&self) -> Vec<String> {
        let mut ids = self.writer.waiting_ids(&self.draft.channel);
        ids.push(self.draft.id.clone());
        ids
    }

    /// Asks right before storing, in the order of sending: `None` when the event must
    /// not be stored now; it has been answered then.
    pub fn admitted(self) -> Option<Self> {
        if self.answer.as_ref().is_none_or(Answer::is_unwanted) {
            // The client will resend elsewhere; stored now, the event could come twice.
            self.answer(Err(ErrorBody::new(
                ErrorCode::Unavailable,
                "the client has gone",
            )));
            return None;
        }
        let (channel, n) = (&self.draft.channel, self.draft.n);
        if !self.writer.order.lock().admit(channel, n) {
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

    /// Answers for the event.
    pub fn answer(mut self, outcome: Outcome) {
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Outcome) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        let (channel, n) = (&self.draft.channel, self.draft.n);
        match &outcome {
            Ok(published) => {
                let meter = if published.duplicate {
                    &meters().duplicates
                } else {
                    &meters().published
                };
                meter.increment(1);
                if !published.duplicate {
                    self.writer.quotas.stored(&self.draft);
                }
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
        answer.give(outcome);
        if start {
            let tenant = self.draft.tenant.clone();
            self.writer.start_singles(tenant, channel.clone());
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
        self.settle(Err(ErrorBody::new(
            ErrorCode::Unavailable,
            "the node is stopping",
        )));
    }
}
