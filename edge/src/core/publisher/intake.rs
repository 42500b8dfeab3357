//! Takes events in and gives each its way: into its lane, or to the singles.
//!
//! Owns the lanes' queues, and the dispatcher of what the writers' queue says.

use std::collections::HashMap;
use std::sync::Arc;

use bus::Bus;
use parking_lot::Mutex;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::lane::Lane;
use protocol::stream::StreamName;
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::answer::Answer;
use super::job::{Job, Singles, Writer};
use super::queue::Queue;
use super::store::Store;
use super::{lane, resend};
use crate::core::draft::Draft;

/// Events that wait in one lane. Policy: the next one is refused with `unavailable`.
const LANE_EVENTS_MAX: usize = 4_096;
/// Channels whose resends are worked on at a time. Policy: the next one waits.
const SINGLES_MAX: usize = 64;

/// Stores the events of one node.
pub struct Publisher {
    store: Arc<Store>,
    tasks: TaskTracker,
    lanes: Mutex<HashMap<(StreamName, Lane), mpsc::Sender<Job>>>,
    singles: Arc<Queue<Singles>>,
}

impl Publisher {
    /// A publisher without lanes; they start with their first event. `stop` ends what
    /// it starts among `tasks`.
    pub fn new(bus: Bus, faults: Faults, stop: Shutdown, tasks: TaskTracker) -> Arc<Self> {
        let store = Arc::new(Store { bus, faults, stop });
        let singles = Arc::new(Queue::default());
        tasks.spawn(dispatch(store.clone(), singles.clone(), tasks.clone()));
        Arc::new(Self {
            store,
            tasks,
            lanes: Mutex::default(),
            singles,
        })
    }

    /// A new writer.
    pub fn writer(&self) -> Arc<Writer> {
        Writer::new(self.singles.clone())
    }

    /// Takes an event of a writer; the answer is given once it is stored or refused.
    pub fn submit(&self, writer: &Arc<Writer>, draft: Draft, answer: Answer) {
        let Some(job) = writer.route(draft, answer) else {
            return;
        };
        if let Err(refused) = self.lane(&job).try_send(job) {
            let (job, message) = match refused {
                mpsc::error::TrySendError::Full(job) => {
                    (job, "the lane has as many events as it may")
                }
                mpsc::error::TrySendError::Closed(job) => (job, "the node is stopping"),
            };
            job.answer(Err(ErrorBody::new(ErrorCode::Unavailable, message)));
        }
    }

    fn lane(&self, job: &Job) -> mpsc::Sender<Job> {
        let mut lanes = self.lanes.lock();
        let lane = lanes
            .entry((job.draft.stream.clone(), job.draft.lane))
            .or_insert_with(|| {
                let (sender, receiver) = mpsc::channel(LANE_EVENTS_MAX);
                self.tasks.spawn(lane::run(self.store.clone(), receiver));
                sender
            });
        lane.clone()
    }
}

/// Gives out the work on singles, so many channels at a time, until the node stops;
/// what is left then is answered.
async fn dispatch(store: Arc<Store>, singles: Arc<Queue<Singles>>, tasks: TaskTracker) {
    let turns = Arc::new(Semaphore::new(SINGLES_MAX));
    loop {
        // The turn first: what is not given out stays queued, so both are cancel safe.
        let next = async {
            let turn = turns.clone().acquire_owned().await;
            (turn, singles.next().await)
        };
        let (turn, (writer, channel)) = tokio::select! {
            () = store.stop.triggered() => break,
            next = next => next,
        };
        let work = resend::run(store.clone(), writer, channel);
        tasks.spawn(async move {
            work.await;
            drop(turn);
        });
    }
    for (writer, channel) in singles.close() {
        writer.drop_singles(&channel);
    }
}
