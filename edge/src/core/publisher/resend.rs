//! Events of one writer and channel that are stored one by one: resends, those that expect
//! a sequence, and what was sent behind them.
//!
//! The stream forgets ids after its duplicate window. A resend near or past it is
//! looked up in the channel first, from the time of its first attempt on. What is not
//! found is stored under its id, without a condition on the channel: a copy that was
//! stored before the look-up began would have been found, and one that was stored since
//! is younger than the window, so that the stream knows it by its id. So a busy channel
//! is no hindrance; only the look-up and the publish together must stay well inside the
//! window. One task per writer and channel, so that a long look-up delays nobody else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError, PUBLISH_TIMEOUT};
use futures_util::StreamExt;
use protocol::bus::Expect;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::header;
use tokio::time::Instant;

use super::answer::{Outcome, refusal};
use super::duplicate;
use super::expected;
use super::job::{Job, Singles};
use super::store::Store;
use crate::core::draft::Draft;
use service::clock::now_us;
use shares::turns::Turns;

/// How far a client's reckoning of our time, and our clock and the store's, may be
/// apart: the look-up starts earlier by this.
const CLOCK_SLACK: Duration = Duration::from_secs(60);
/// How often a resend is looked up again because it took too long, or because others
/// wrote in between; each round reads only what was added.
const ROUNDS_MAX: usize = 5;
/// A shorter window is nothing to rest on: a publish may take half of it. Deployments
/// have none so short, tests do.
const WINDOW_MIN: Duration = Duration::from_secs(2 * PUBLISH_TIMEOUT.as_secs());

/// Stores a channel's singles, in its tenant's turn, until none is left.
pub async fn run(store: Arc<Store>, turns: Turns, singles: Singles) {
    let Singles {
        tenant,
        writer,
        channel,
    } = singles;
    let work = async {
        let _turn = turns.take(&tenant).await;
        let mut lookup = Lookup::new();
        loop {
            let Some(job) = writer.next_single(&channel) else {
                return;
            };
            let Some(job) = job.admitted() else { continue };
            match job.draft.first_sent {
                Some(first_sent) => resend(&store, job, first_sent, &mut lookup).await,
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
    match look_up_and_store(store, &job, first_sent, window, lookup).await {
        Ok(outcome) => job.answer(outcome),
        Err(error) => job.answer(Err(refusal(&error))),
    }
}

/// Whether the stream surely still knows the id of an attempt so old, and will until
/// this one has been stored. The age is the client's word, and may be too low by as much
/// as clocks are apart.
fn is_remembered(age: Duration, window: Duration) -> bool {
    age < window / 2 && age + CLOCK_SLACK + PUBLISH_TIMEOUT < window
}

/// How an event is stored that a look-up has not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Under its id alone.
    Free,
    /// On condition that the channel has not moved.
    Guarded,
    /// Not before it was looked up again.
    Again,
}

/// `since` is how long ago the channel's end was taken, up to which it was looked up.
fn way(since: Duration, window: Duration) -> Way {
    if window <= WINDOW_MIN {
        Way::Guarded
    } else if since + PUBLISH_TIMEOUT < window - window / 4 {
        Way::Free
    } else {
        Way::Again
    }
}

async fn look_up_and_store(
    store: &Store,
    job: &Job,
    first_sent: u64,
    window: Duration,
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
        let expect = match (job.draft.expected_seq, way(lookup.taken.elapsed(), window)) {
            (_, Way::Again) => continue,
            (Some(seq), _) => Some(Expect::LastOnSubject(seq)),
            (None, Way::Free) => None,
            (None, Way::Guarded) => Some(Expect::LastOnSubject(lookup.through)),
        };
        match store.store(job, expect).await {
            Ok(ack) if ack.duplicate => {
                return Ok(duplicate::answer(&store.bus, job, ack.seq).await);
            }
            Ok(ack) => {
                let guarded = expect == Some(Expect::LastOnSubject(lookup.through));
                lookup.stored(&job.draft, ack.seq, guarded);
                return Ok(Ok(job.published(ack.seq, false)));
            }
            Err(BusError::GuardRefused) if job.draft.expected_seq.is_some() => {
                return Ok(expected::answer(&store.bus, job).await);
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
#[derive(Debug)]
struct Lookup {
    /// The ids looked for; empty: nothing has been read.
    wanted: HashSet<String>,
    found: HashMap<String, u64>,
    /// Read from events stored at this time on, microseconds since 1970,
    since: u64,
    /// through this sequence, the last of the channel then.
    through: u64,
    /// which was asked for at this time.
    taken: Instant,
    /// The stream keeps everything since this time; 0: since ever.
    kept_from: u64,
}

impl Lookup {
    /// Nothing has been read.
    fn new() -> Self {
        Self {
            wanted: HashSet::new(),
            found: HashMap::new(),
            since: 0,
            through: 0,
            taken: Instant::now(),
            kept_from: 0,
        }
    }

    /// Reads what has not been read of the channel since `since`.
    async fn cover(&mut self, bus: &Bus, job: &Job, since: u64) -> Result<(), BusError> {
        let Draft {
            stream, subject, ..
        } = &job.draft;
        let mut taken = Instant::now();
        let mut last = last_on(bus, job).await?;
        if since < self.since || !self.wanted.contains(&job.draft.id) {
            let state = bus.stream_state(stream).await?;
            let kept_from = match state.first_seq {
                0 | 1 => 0,
                first if first > state.last_seq => u64::MAX,
                _ => state.first_time_us,
            };
            let from = bus.first_since(stream, subject, since).await?;
            // Nothing that recent: everything up to `last` is older.
            let through = from.map_or(last, |from| from - 1);
            *self = Self {
                wanted: job.ids_from_here().into_iter().collect(),
                found: HashMap::new(),
                since,
                through,
                taken,
                kept_from,
            };
            taken = Instant::now();
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
        (self.through, self.taken) = (last, taken);
        Ok(())
    }

    /// Our own event is stored; guarded, it is the channel's next after `through`.
    fn stored(&mut self, draft: &Draft, seq: u64, guarded: bool) {
        self.found.insert(draft.id.clone(), seq);
        if guarded {
            self.through = seq;
        }
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
        assert!(
            !is_remembered(Duration::ZERO, CLOCK_SLACK + PUBLISH_TIMEOUT),
            "a client's clock may be late by as much"
        );
    }

    #[test]
    fn what_was_looked_up_is_stored_freely_well_inside_the_window() {
        let (window, margin) = (Duration::from_secs(40), Duration::from_secs(10));
        let last = window - margin - PUBLISH_TIMEOUT;
        assert_eq!(way(Duration::ZERO, window), Way::Free);
        assert_eq!(way(last - Duration::from_millis(1), window), Way::Free);
        assert_eq!(way(last, window), Way::Again);
        assert_eq!(way(Duration::ZERO, WINDOW_MIN), Way::Guarded);
    }
}
