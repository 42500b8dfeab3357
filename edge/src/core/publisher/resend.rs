//! Events of one writer and channel that are stored one by one: resends, and what
//! was sent behind them.
//!
//! The stream forgets ids after its duplicate window. A resend near or past it is
//! looked up in the channel first, from the time of its first attempt on, and then
//! stored under the condition that nothing was added since. One task per writer and
//! channel, so that a long look-up delays nobody else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError, PUBLISH_TIMEOUT};
use futures_util::StreamExt;
use protocol::bus::Expect;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::header;
use protocol::name::Channel;

use super::answer::{Outcome, refusal};
use super::duplicate;
use super::job::{Job, Writer};
use super::store::Store;
use crate::core::clock::now_us;
use crate::core::draft::Draft;

/// How far a client's reckoning of our time, and our clock and the store's, may be
/// apart: the look-up starts earlier by this.
const CLOCK_SLACK: Duration = Duration::from_secs(60);
/// How often a resend is looked up again because others wrote in between; each round
/// reads only what was added.
const ROUNDS_MAX: usize = 5;

/// Stores a channel's singles until none is left.
pub async fn run(store: Arc<Store>, writer: Arc<Writer>, channel: Channel) {
    let work = async {
        let mut lookup = Lookup::default();
        loop {
            let Some(job) = writer.next_single(&channel) else {
                return;
            };
            let Some(job) = job.admitted() else { continue };
            match job.draft.first_sent {
                Some(first_sent) => {
                    resend(&store, job, first_sent.min(now_us()), &mut lookup).await
                }
                None => store.store_single(job).await,
            }
        }
    };
    // Not cancel safe, but then the node stops: what is left is answered below.
    tokio::select! {
        () = store.stop.triggered() => {}
        () = work => return,
    }
    writer.drop_singles(&channel);
}

async fn resend(store: &Store, job: Job, first_sent: u64, lookup: &mut Lookup) {
    let window = match store.bus.stream_state(&job.draft.stream).await {
        Ok(state) => state.duplicate_window,
        Err(error) => return job.answer(Err(refusal(&error))),
    };
    // Left out only by tests, which must find it.
    let blind = store.faults.hit("edge.no_lookup");
    let age = Duration::from_micros(now_us().saturating_sub(first_sent));
    if blind || is_remembered(age, window) {
        return store.store_single(job).await;
    }
    match look_up_and_store(store, &job, first_sent, lookup).await {
        Ok(outcome) => job.answer(outcome),
        Err(error) => job.answer(Err(refusal(&error))),
    }
}

/// Whether the stream surely still knows the id of an attempt so old, and will until
/// this one has been stored.
fn is_remembered(age: Duration, window: Duration) -> bool {
    age < window / 2 && age + PUBLISH_TIMEOUT < window
}

async fn look_up_and_store(
    store: &Store,
    job: &Job,
    first_sent: u64,
    lookup: &mut Lookup,
) -> Result<Outcome, BusError> {
    let since = first_sent.saturating_sub(CLOCK_SLACK.as_micros() as u64);
    for _ in 0..ROUNDS_MAX {
        lookup.cover(&store.bus, job, since).await?;
        if let Some(seq) = lookup.found.get(&job.draft.id) {
            return Ok(duplicate::answer(&store.bus, job, *seq).await);
        }
        if lookup.kept_from > since {
            let message = "the store no longer keeps the time of the first attempt";
            return Ok(Err(ErrorBody::new(ErrorCode::OutcomeUnknown, message)));
        }
        match store
            .store(job, Some(Expect::LastOnSubject(lookup.through)))
            .await
        {
            Ok(ack) if ack.duplicate => {
                return Ok(duplicate::answer(&store.bus, job, ack.seq).await);
            }
            Ok(ack) => {
                lookup.stored(&job.draft, ack.seq);
                return Ok(Ok(job.published(ack.seq, false)));
            }
            Err(BusError::GuardRefused) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Err(ErrorBody::new(
        ErrorCode::Unavailable,
        "others write to the channel faster than it can be looked up",
    )))
}

/// What is known of the ids on one channel; a run of resends shares it, so that the
/// channel is read once.
#[derive(Debug, Default)]
struct Lookup {
    /// The ids looked for; empty: nothing has been read.
    wanted: HashSet<String>,
    found: HashMap<String, u64>,
    /// Read from events stored at this time on, microseconds since 1970,
    since: u64,
    /// through this sequence, the last of the channel then.
    through: u64,
    /// The stream keeps everything since this time; 0: since ever.
    kept_from: u64,
}

impl Lookup {
    /// Reads what has not been read of the channel since `since`.
    async fn cover(&mut self, bus: &Bus, job: &Job, since: u64) -> Result<(), BusError> {
        let Draft {
            stream, subject, ..
        } = &job.draft;
        let mut last = last_on(bus, job).await?;
        if since < self.since || !self.wanted.contains(&job.draft.id) {
            let state = bus.stream_state(stream).await?;
            let kept_from = match state.first_seq {
                0 | 1 => 0,
                first if first > state.last_seq => u64::MAX,
                _ => state.first_time_us,
            };
            let from = bus.from_time(stream, subject, since).await?;
            // Nothing that recent: everything up to `last` is older.
            let through = from.map_or(last, |from| from - 1);
            *self = Self {
                wanted: job.ids_from_here().into_iter().collect(),
                found: HashMap::new(),
                since,
                through,
                kept_from,
            };
            last = last_on(bus, job).await?;
        }
        if last > self.through {
            let mut events = bus.scan(stream, subject, self.through + 1, last).await;
            while let Some(event) = events.next().await {
                let event = event?;
                if let Some(id) = event
                    .headers
                    .get(header::ID)
                    .filter(|id| self.wanted.contains(*id))
                {
                    self.found.entry(id.to_owned()).or_insert(event.seq);
                }
            }
        }
        self.through = last;
        Ok(())
    }

    /// Our own event is the channel's last now.
    fn stored(&mut self, draft: &Draft, seq: u64) {
        self.found.insert(draft.id.clone(), seq);
        self.through = seq;
    }
}

async fn last_on(bus: &Bus, job: &Job) -> Result<u64, BusError> {
    Ok(bus
        .last_on(&job.draft.stream, &job.draft.subject)
        .await?
        .map_or(0, |event| event.seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_window_is_never_leaned_on() {
        let seconds = Duration::from_secs;
        assert!(is_remembered(seconds(10), seconds(600)));
        assert!(!is_remembered(seconds(300), seconds(600)));
        assert!(!is_remembered(Duration::ZERO, seconds(5)));
        assert!(!is_remembered(Duration::ZERO, Duration::from_millis(100)));
    }
}
