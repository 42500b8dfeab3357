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
use tokio_util::task::TaskTracker;

use super::answer::Answer;
use super::job::{Job, Singles, Writer};
use super::store::Store;
use super::{lane, resend};
use crate::core::draft::Draft;
use crate::core::quota::task::Quotas;
use shares::queue::{Left, Queue};
use shares::turns::Turns;

/// Events that wait in one lane. Policy: the newest of the tenant that has the most there
/// is refused with `unavailable`.
const LANE_EVENTS_MAX: usize = 4_096;
/// Channels whose resends are worked on at a time: each may read what its channel has kept.
/// Policy: the next one waits, and tenants have one turn after the other.
const SINGLES_MAX: usize = 64;
/// Those of one tenant: a quarter is left to the others, whatever it wants to be looked up.
const SINGLES_EACH_MAX: usize = SINGLES_MAX / 4 * 3;
/// Channels whose resends wait: one stands there for at least one event that was taken in,
/// and those are bounded.
const SINGLES_WAITING_MAX: usize = usize::MAX;

/// A lane of a stream.
type LaneKey = (StreamName, Lane);

/// Stores the events of one node.
pub struct Publisher {
    store: Arc<Store>,
    tasks: TaskTracker,
    lanes: Mutex<HashMap<LaneKey, Arc<Queue<Job>>>>,
    singles: Arc<Queue<Singles>>,
    quotas: Arc<Quotas>,
}

impl Publisher {
    /// A publisher without lanes; they start with their first event. `stop` ends what
    /// it starts among `tasks`.
    pub fn new(
        bus: Bus,
        quotas: Arc<Quotas>,
        faults: Faults,
        stop: Shutdown,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let store = Arc::new(Store { bus, faults, stop });
        let singles = Arc::new(Queue::new(SINGLES_WAITING_MAX));
        tasks.spawn(dispatch(store.clone(), singles.clone(), tasks.clone()));
        Arc::new(Self {
            store,
            tasks,
            lanes: Mutex::default(),
            singles,
            quotas,
        })
    }

    /// A new writer.
    pub fn writer(&self) -> Arc<Writer> {
        Writer::new(self.singles.clone(), self.quotas.clone())
    }

    /// Takes an event of a writer; the answer is given once it is stored or refused.
    pub fn submit(&self, writer: &Arc<Writer>, draft: Draft, answer: Answer) {
        let Some(job) = writer.route(draft, answer) else {
            return;
        };
        let tenant = job.draft.tenant.clone();
        let Err(left) = self.lane(&job).push(&tenant, job) else {
            return;
        };
        let (job, message) = match left {
            Left::Full(job) => (job, "the lane has as many events as it may"),
            Left::Closed(job) => (job, "the node is stopping"),
        };
        job.answer(Err(ErrorBody::new(ErrorCode::Unavailable, message)));
    }

    fn lane(&self, job: &Job) -> Arc<Queue<Job>> {
        let mut lanes = self.lanes.lock();
        let lane = lanes
            .entry((job.draft.stream.clone(), job.draft.lane))
            .or_insert_with(|| {
                let queue = Arc::new(Queue::new(LANE_EVENTS_MAX));
                self.tasks
                    .spawn(lane::run(self.store.clone(), queue.clone()));
                queue
            });
        lane.clone()
    }
}

/// Gives out the work on singles, so many channels at a time, until the node stops;
/// what is left then is answered.
async fn dispatch(store: Arc<Store>, singles: Arc<Queue<Singles>>, tasks: TaskTracker) {
    let turns = Turns::new(SINGLES_MAX, SINGLES_EACH_MAX);
    loop {
        // Cancel safe: what is not given out stays queued.
        let next = tokio::select! {
            () = store.stop.triggered() => break,
            next = singles.next(1) => next,
        };
        for singles in next {
            tasks.spawn(resend::run(store.clone(), turns.clone(), singles));
        }
    }
    for left in singles.close() {
        left.writer.drop_singles(&left.channel);
    }
}
