//! What goes wrong in a model, how often, and the dice. Owns the only source of
//! chance, so that a run is a function of its seed.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Everything that may go wrong by itself. Chances are per request, delivery or batch
/// as each says, 0 to 1; the default has none.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFaults {
    /// Seed of every choice; only [`crate::model::Model::start`] looks at it.
    pub seed: u64,
    /// How long a request, a reply or a delivery is under way.
    pub delay: RangeInclusive<Duration>,
    /// A request does not arrive: nothing happens, no answer comes.
    pub request_lost: f64,
    /// A request is carried out, its answer does not arrive.
    pub reply_lost: f64,
    /// A request is refused as not connected; nothing was sent.
    pub refused: f64,
    /// The connection breaks just after a request was sent: what is under way either
    /// way is lost.
    pub broken: f64,
    /// How long a broken connection takes to stand again.
    pub broken_for: RangeInclusive<Duration>,
    /// After how long a process notices that it is cut off; until then it waits for
    /// answers, and what it sends arrives if the cut is healed before.
    pub cut_noticed: Duration,
    /// A message does not reach a core subscription.
    pub delivery_lost: f64,
    /// A message reaches a core subscription twice.
    pub delivery_doubled: f64,
    /// A read that a follower may answer is answered by one that lags.
    pub lag: f64,
    /// How many events it lags behind at most.
    pub lag_events: u64,
    /// How long it lags behind at most: what is older it has.
    pub lag_for: Duration,
    /// A read from a leader finds one that was deposed and does not know it: for a
    /// while, reads are answered by either leader.
    pub stale_leader: f64,
    /// How long that lasts.
    pub stale_for: RangeInclusive<Duration>,
    /// Whether one process hears both leaders by turns; otherwise each process hears
    /// one of them for as long as that lasts.
    pub leaders_alternate: bool,
    /// A write makes its stream change the leader: open batches are given up, and for
    /// a while nobody leads.
    pub leader_change: f64,
    /// How long nobody leads.
    pub leaderless_for: RangeInclusive<Duration>,
    /// A condition on a subject is refused although it holds, because another write to
    /// the subject is in process, as several servers do.
    pub in_process: f64,
    /// A reader's consumer is lost, per batch.
    pub reader_cut: f64,
    /// One of the replies of a run does not arrive, which the proof of the run finds.
    pub run_reply_lost: f64,
    /// Runs are taken without their proof: a fault of ours, for tests of simulations.
    pub runs_unproved: bool,
}

impl Default for ModelFaults {
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self {
            seed: 0,
            delay: Duration::from_micros(100)..=millis(1),
            request_lost: 0.0,
            reply_lost: 0.0,
            refused: 0.0,
            broken: 0.0,
            broken_for: millis(1)..=millis(500),
            // Three of the connection's pings.
            cut_noticed: Duration::from_secs(15),
            delivery_lost: 0.0,
            delivery_doubled: 0.0,
            lag: 0.0,
            lag_events: 8,
            lag_for: Duration::from_secs(2),
            stale_leader: 0.0,
            stale_for: millis(100)..=Duration::from_secs(5),
            leaders_alternate: true,
            leader_change: 0.0,
            leaderless_for: millis(1)..=Duration::from_secs(2),
            in_process: 0.0,
            reader_cut: 0.0,
            run_reply_lost: 0.0,
            runs_unproved: false,
        }
    }
}

impl ModelFaults {
    /// A little of everything.
    pub fn rough(seed: u64) -> Self {
        Self {
            seed,
            delay: Duration::from_micros(100)..=Duration::from_millis(20),
            request_lost: 0.01,
            reply_lost: 0.01,
            refused: 0.01,
            broken: 0.003,
            delivery_lost: 0.03,
            delivery_doubled: 0.02,
            lag: 0.3,
            stale_leader: 0.003,
            leader_change: 0.003,
            in_process: 0.01,
            reader_cut: 0.02,
            run_reply_lost: 0.02,
            ..Self::default()
        }
    }
}

/// The dice.
#[derive(Debug)]
pub(super) struct Dice {
    random: StdRng,
    /// How often each fault has happened.
    pub happened: BTreeMap<&'static str, u64>,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            happened: BTreeMap::new(),
        }
    }

    /// Whether a fault of this chance happens now; it is counted. Nothing is thrown for
    /// a chance of 0, so that a fault left out does not move the others.
    pub(super) fn happens(&mut self, fault: &'static str, chance: f64) -> bool {
        let happens = chance > 0.0 && self.random.random_bool(chance.min(1.0));
        if happens {
            *self.happened.entry(fault).or_default() += 1;
        }
        happens
    }

    /// One of two.
    pub(super) fn coin(&mut self) -> bool {
        self.random.random()
    }

    /// A duration within a range, in microseconds.
    pub(super) fn micros(&mut self, range: &RangeInclusive<Duration>) -> u64 {
        let micros = |duration: &Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let (least, most) = (micros(range.start()), micros(range.end()));
        self.random.random_range(least..=most.max(least))
    }

    /// A number up to another.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        self.random.random_range(0..=most)
    }

    /// A number that nothing else has.
    pub(super) fn id(&mut self) -> u128 {
        self.random.random()
    }
}
