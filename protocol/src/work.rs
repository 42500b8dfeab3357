//! What a worker has done for a function, counted since the worker started: part of its
//! report. Plain data; whoever wants a rate takes the difference of two reports.

use serde::{Deserialize, Serialize};

/// Upper bounds of the classes of [`Latency`], milliseconds: about a third apart where
/// people look, so that a quantile is right within that. The last class has none.
pub const LATENCY_BOUNDS_MS: [u64; 25] = [
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000,
    3_000, 5_000, 10_000, 30_000, 60_000,
];
/// The classes of [`Latency`].
const CLASSES: usize = LATENCY_BOUNDS_MS.len() + 1;

/// Counts of one function on one worker, over all of its lanes and versions there. What
/// is handled again counts again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    /// Events acknowledged.
    #[serde(skip_serializing_if = "is_zero")]
    pub ack: u64,
    /// Events filtered out.
    #[serde(skip_serializing_if = "is_zero")]
    pub drop: u64,
    /// Events refused as poison.
    #[serde(skip_serializing_if = "is_zero")]
    pub reject: u64,
    /// Attempts that asked for another one.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry: u64,
    /// Attempts on which the guest failed: traps, deadlines, memory, refused replies.
    #[serde(skip_serializing_if = "is_zero")]
    pub fault: u64,
    /// Halts.
    #[serde(skip_serializing_if = "is_zero")]
    pub halt: u64,
    /// Events whose attempts or time were used up, or that were not readable.
    #[serde(skip_serializing_if = "is_zero")]
    pub dead_letter: u64,
    /// Events emitted.
    #[serde(skip_serializing_if = "is_zero")]
    pub emitted: u64,
    /// How often a lane took up another version.
    #[serde(skip_serializing_if = "is_zero")]
    pub swaps: u64,
    /// Processor time of the guests, microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub cpu_us: u64,
    /// From when an input was stored to when what became of it was committed.
    #[serde(skip_serializing_if = "Latency::is_empty")]
    pub latency: Latency,
}

impl Work {
    /// Inputs that were settled.
    pub fn settled(&self) -> u64 {
        self.ack + self.drop + self.reject + self.dead_letter
    }

    /// What was done since an earlier report of the same worker. A count that is less
    /// than it was has begun anew, and says nothing of the time between.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    /// What two workers have done together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn with(&self, other: &Self, join: impl Fn(u64, u64) -> u64) -> Self {
        let mut latency = self.latency.clone();
        for (class, count) in latency.0.iter_mut().zip(other.latency.0) {
            *class = join(*class, count);
        }
        Self {
            ack: join(self.ack, other.ack),
            drop: join(self.drop, other.drop),
            reject: join(self.reject, other.reject),
            retry: join(self.retry, other.retry),
            fault: join(self.fault, other.fault),
            halt: join(self.halt, other.halt),
            dead_letter: join(self.dead_letter, other.dead_letter),
            emitted: join(self.emitted, other.emitted),
            swaps: join(self.swaps, other.swaps),
            cpu_us: join(self.cpu_us, other.cpu_us),
            latency,
        }
    }
}

/// How many events took how long, by classes: as many as [`LATENCY_BOUNDS_MS`] and one
/// for what took longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct Latency([u64; CLASSES]);

impl Default for Latency {
    fn default() -> Self {
        Self([0; CLASSES])
    }
}

/// Classes of a later version than this one count as the last.
impl From<Vec<u64>> for Latency {
    fn from(counts: Vec<u64>) -> Self {
        let mut latency = Self::default();
        for (at, count) in counts.into_iter().enumerate() {
            latency.0[at.min(CLASSES - 1)] += count;
        }
        latency
    }
}

/// Without the empty classes at the end: most functions are fast.
impl From<Latency> for Vec<u64> {
    fn from(latency: Latency) -> Self {
        let filled = latency.0.iter().rposition(|count| *count > 0);
        latency.0[..filled.map_or(0, |last| last + 1)].to_vec()
    }
}

impl Latency {
    /// Counts an event that took so long, microseconds.
    pub fn record(&mut self, us: u64) {
        let class = LATENCY_BOUNDS_MS.partition_point(|bound| bound * 1_000 < us);
        self.0[class] += 1;
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// How long that part of all events took at most, milliseconds: `part` is within 0 to
    /// 1, and in a class events are taken to lie evenly. `None` without events; more than
    /// the last bound is told as that bound.
    pub fn quantile_ms(&self, part: f64) -> Option<f64> {
        let total: u64 = self.0.iter().sum();
        let wanted = part * total as f64;
        let mut before = 0.0;
        let mut low = 0;
        for (count, high) in self.0.iter().zip(LATENCY_BOUNDS_MS) {
            let count = *count as f64;
            if count > 0.0 && before + count >= wanted {
                let within = (wanted - before) / count;
                return Some(low as f64 + within * (high - low) as f64);
            }
            before += count;
            low = high;
        }
        (total > 0).then_some(low as f64)
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_done_is_not_said() {
        assert_eq!(serde_json::to_string(&Work::default()).unwrap(), "{}");
        let mut work = Work {
            ack: 7,
            cpu_us: 3,
            ..Work::default()
        };
        work.latency.record(1_500);
        let json = serde_json::to_string(&work).unwrap();
        assert_eq!(json, r#"{"ack":7,"cpu_us":3,"latency":[0,1]}"#);
        assert_eq!(serde_json::from_str::<Work>(&json).unwrap(), work);
    }

    #[test]
    fn a_report_of_more_classes_is_read_all_the_same() {
        let many = serde_json::to_string(&[1; CLASSES + 5]).unwrap();
        let latency: Latency = serde_json::from_str(&many).unwrap();
        assert_eq!(latency.0[CLASSES - 1], 6);
    }

    #[test]
    fn quantiles_lie_within_their_class() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile_ms(0.5), None);
        for _ in 0..98 {
            latency.record(4_000);
        }
        latency.record(80_000);
        latency.record(u64::MAX);
        let at = |part| latency.quantile_ms(part).unwrap();
        assert!((3.0..=5.0).contains(&at(0.5)), "{}", at(0.5));
        assert!((70.0..=100.0).contains(&at(0.99)), "{}", at(0.99));
        assert!((at(1.0) - 60_000.0).abs() < f64::EPSILON);
    }

    #[test]
    fn bounds_belong_to_their_class() {
        for (class, bound) in LATENCY_BOUNDS_MS.into_iter().enumerate() {
            let mut latency = Latency::default();
            latency.record(bound * 1_000);
            latency.record(bound * 1_000 + 1);
            assert_eq!((latency.0[class], latency.0[class + 1]), (1, 1), "{bound}");
        }
        assert!(LATENCY_BOUNDS_MS.is_sorted());
    }

    #[test]
    fn a_difference_of_two_reports_is_what_was_done_between_them() {
        let mut before = Work {
            ack: 5,
            fault: 1,
            ..Work::default()
        };
        before.latency.record(10);
        let mut now = Work {
            ack: 9,
            reject: 2,
            fault: 1,
            ..before.clone()
        };
        now.latency.record(10);
        let done = now.since(&before);
        assert_eq!((done.ack, done.reject, done.fault), (4, 2, 0));
        assert_eq!(done.settled(), 6);
        assert_eq!(done.latency.0[0], 1);
        assert_eq!(before.since(&now).ack, 0, "it has begun anew");
        assert_eq!(done.and(&before), now);
    }
}
