//! From an accepted command to a stored event.
//!
//! - `order`: stored order equals send order, per writer and channel
//! - `job`: an event and its answer
//! - `turns`: few events go singly, many as one batch; `lane`: does so
//! - `resend`: resends, looked up in the channel before they are stored
//! - `duplicate`: what a second event under one id is
//!
//! Owns the lanes' queues. Knows neither sessions nor feeds: answers go to a port.

mod duplicate;
mod job;
mod lane;
mod order;
mod resend;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;

use bus::{Bus, BusError};
use parking_lot::Mutex;
use protocol::bus::{Expect, PubAck};
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::lane::Lane;
use protocol::name::Channel;
use protocol::stream::StreamName;
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

pub use job::{Draft, Job, Writer};
use order::{Order, Route};

use crate::port::Port;

/// Events that wait in one lane. Policy: the next one is refused with `unavailable`.
const LANE_EVENTS_MAX: usize = 4_096;
/// Channels whose resends are worked on at a time. Policy: the next one waits.
const SINGLES_MAX: usize = 64;

/// Stores the events of one node.
pub struct Publisher {
    bus: Bus,
    faults: Faults,
    stop: Shutdown,
    tasks: TaskTracker,
    lanes: Mutex<HashMap<(StreamName, Lane), mpsc::Sender<Job>>>,
    singles: Semaphore,
}

impl Publisher {
    /// A publisher without lanes; they start with their first event.
    pub fn new(bus: Bus, faults: Faults, stop: Shutdown, tasks: TaskTracker) -> Arc<Self> {
        let singles = Semaphore::new(SINGLES_MAX);
        Arc::new(Self {
            bus,
            faults,
            stop,
            tasks,
            lanes: Mutex::default(),
            singles,
        })
    }

    /// A new session's writer.
    pub fn writer(self: &Arc<Self>, port: Arc<Port>) -> Arc<Writer> {
        Arc::new(Writer {
            port,
            order: Mutex::new(Order::default()),
            publisher: self.clone(),
        })
    }

    /// Takes an event; its answer comes as a note.
    pub fn submit(self: &Arc<Self>, writer: &Arc<Writer>, draft: Draft) {
        let (channel, single) = (draft.channel.clone(), draft.first_sent.is_some());
        let job = Job::new(draft, writer.clone());
        let route = writer.order.lock().route(&channel, job, single);
        match route {
            Route::Lane(job) => self.to_lane(job),
            Route::Start => self.clone().work_singles(writer.clone(), channel),
            Route::Queued => {}
        }
    }

    fn to_lane(self: &Arc<Self>, mut job: Job) {
        job.in_lane = true;
        let lane = self.lane(&job);
        if let Err(refused) = lane.try_send(job) {
            let (job, message) = match refused {
                mpsc::error::TrySendError::Full(job) => {
                    (job, "the lane has as many events as it may")
                }
                mpsc::error::TrySendError::Closed(job) => (job, "the node is stopping"),
            };
            job.answer(Err(ErrorBody::new(ErrorCode::Unavailable, message)));
        }
    }

    fn lane(self: &Arc<Self>, job: &Job) -> mpsc::Sender<Job> {
        let mut lanes = self.lanes.lock();
        let lane = lanes
            .entry((job.draft.stream.clone(), job.draft.lane))
            .or_insert_with(|| {
                let (sender, receiver) = mpsc::channel(LANE_EVENTS_MAX);
                self.tasks.spawn(lane::run(self.clone(), receiver));
                sender
            });
        lane.clone()
    }

    /// Starts on a channel's singles.
    pub fn work_singles(self: Arc<Self>, writer: Arc<Writer>, channel: Channel) {
        self.tasks.clone().spawn(resend::run(self, writer, channel));
    }

    /// Stores one event.
    async fn store(&self, job: &Job, expect: Option<Expect>) -> Result<PubAck, BusError> {
        self.faults.hit("edge.before_publish");
        let pending = self.bus.publish_start(job.outgoing(expect)).await?;
        self.faults.hit("edge.after_stage");
        let ack = pending.await?;
        self.faults.hit("edge.after_puback");
        Ok(ack)
    }

    /// Stores one event and answers for it.
    async fn store_single(&self, job: Job) {
        let outcome = match self.store(&job, None).await {
            Ok(ack) if ack.duplicate => duplicate::answer(&self.bus, &job, ack.seq).await,
            Ok(ack) => Ok(job.published(ack.seq, false)),
            Err(error) => Err(refusal(&error)),
        };
        job.answer(outcome);
    }
}

/// What a client is told of a failure of the bus.
fn refusal(error: &BusError) -> ErrorBody {
    let code = match error {
        BusError::StreamFull => ErrorCode::StoreFull,
        BusError::TooLarge { .. } => ErrorCode::DataTooLarge,
        BusError::Header { .. } => ErrorCode::BadHeader,
        _ => ErrorCode::Unavailable,
    };
    if code == ErrorCode::Unavailable && !error.temporary() {
        tracing::warn!(%error, "the store refuses an event for no reason of the client's");
    }
    ErrorBody::new(code, error.to_string())
}
