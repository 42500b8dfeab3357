//! When keys are read again, which are believed, and for how long. A machine: the time
//! comes in, it waits for nothing.
//!
//! A token that names an unknown key is worth a look, since issuers rotate; so it is
//! refused for now, and for good only if a read that began after it was first seen did
//! not bring its key. Such looks are bounded in rate, whoever asks for them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Names of unknown keys that are remembered between two reads. Policy: past it, what is
/// not remembered is refused for now; it costs whoever sends them, not others.
pub(crate) const UNKNOWN_MAX: usize = 1024;
/// Wait after the first failed read; doubled with each, up to the interval.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Doublings that are counted: past it the longest wait is reached in any case.
const DOUBLINGS_MAX: u32 = 16;

/// How often keys are read, and how long they are believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Between two reads.
    pub interval: Duration,
    /// The least between two reads, whoever asks for one.
    pub least: Duration,
    /// How long keys are believed after they were read.
    pub stale_max: Duration,
}

/// What an unknown key means for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It may become known: a read is due.
    Later,
    /// There is no such key.
    Never,
}

/// The keys of one source, `K`.
pub(crate) struct Cache<K> {
    timing: Timing,
    held: Option<(Arc<K>, Instant)>,
    /// When the last read began.
    began: Option<Instant>,
    /// A read has ended, however it did.
    tried: bool,
    failures: u32,
    /// Names that were asked for since the last read began.
    wanted: HashSet<String>,
    /// Names that the read under way was begun with.
    asked: HashSet<String>,
    /// Names that the last read was asked for in vain.
    absent: HashSet<String>,
}

impl<K> Cache<K> {
    /// Holds nothing; the first read is due at once.
    pub(crate) fn new(timing: Timing) -> Self {
        Self {
            timing,
            held: None,
            began: None,
            tried: false,
            failures: 0,
            wanted: HashSet::new(),
            asked: HashSet::new(),
            absent: HashSet::new(),
        }
    }

    /// The keys, if they are fresh enough to be believed.
    pub(crate) fn keys(&self, now: Instant) -> Option<&Arc<K>> {
        let (keys, read_at) = self.held.as_ref()?;
        let age = now.saturating_duration_since(*read_at);
        (age <= self.timing.stale_max).then_some(keys)
    }

    /// Whether a read has ended, however it did: then waiting for more is of no use.
    pub(crate) fn is_tried(&self) -> bool {
        self.tried
    }

    /// When the next read is due; `None`: at once.
    pub(crate) fn due(&self) -> Option<Instant> {
        let began = self.began?;
        let wait = if self.failures > 0 {
            let doubled = RETRY_FIRST.saturating_mul(1 << (self.failures - 1).min(DOUBLINGS_MAX));
            doubled.min(self.timing.interval)
        } else if self.wanted.is_empty() {
            self.timing.interval
        } else {
            Duration::ZERO
        };
        Some(began + wait.max(self.timing.least))
    }

    /// A read begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began = Some(now);
        self.asked = std::mem::take(&mut self.wanted);
    }

    /// The read brought these keys, as they were when it began.
    pub(crate) fn succeeded(&mut self, keys: K) {
        if let Some(began) = self.began {
            self.held = Some((Arc::new(keys), began));
        }
        (self.tried, self.failures) = (true, 0);
        self.absent = std::mem::take(&mut self.asked);
    }

    /// The read brought nothing: what was known stays, until it is too old.
    pub(crate) fn failed(&mut self) {
        self.tried = true;
        self.failures = self.failures.saturating_add(1);
        self.wanted.extend(std::mem::take(&mut self.asked));
    }

    /// A token names a key that is not among them.
    pub(crate) fn unknown(&mut self, id: &str) -> Unknown {
        if self.absent.contains(id) {
            return Unknown::Never;
        }
        let known = self.wanted.len() + self.asked.len();
        // A read that is under way may have been answered before the key was there.
        if known < UNKNOWN_MAX {
            self.wanted.insert(id.to_owned());
        }
        Unknown::Later
    }

    /// Whether anything is awaited of the next read but that it keeps keys fresh.
    #[cfg(test)]
    fn is_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        interval: Duration::from_secs(300),
        least: Duration::from_secs(10),
        stale_max: Duration::from_secs(3_600),
    };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn read(cache: &mut Cache<u32>, at: Instant, keys: u32) {
        cache.begin(at);
        cache.succeeded(keys);
    }

    fn held(cache: &Cache<u32>, at: Instant) -> Option<u32> {
        cache.keys(at).map(|keys| **keys)
    }

    #[test]
    fn keys_are_read_at_once_and_then_at_the_interval() {
        let (mut cache, start) = (Cache::new(TIMING), Instant::now());
        assert_eq!((cache.due(), held(&cache, start)), (None, None));
        assert!(!cache.is_tried());
        read(&mut cache, start, 1);
        assert_eq!(cache.due(), Some(start + TIMING.interval));
        assert_eq!(held(&cache, start), Some(1));
    }

    #[test]
    fn stale_keys_within_and_beyond_their_limit() {
        let (mut cache, start) = (Cache::new(TIMING), Instant::now());
        read(&mut cache, start, 1);
        cache.begin(start + seconds(300));
        cache.failed();
        assert_eq!(held(&cache, start + TIMING.stale_max), Some(1));
        let beyond = start + TIMING.stale_max + Duration::from_millis(1);
        assert_eq!(held(&cache, beyond), None);
        read(&mut cache, beyond, 2);
        assert_eq!(held(&cache, beyond), Some(2));
    }

    #[test]
    fn failed_reads_are_repeated_ever_later_but_never_past_the_interval() {
        let timing = Timing {
            least: Duration::ZERO,
            ..TIMING
        };
        let (mut cache, mut at) = (Cache::<u32>::new(timing), Instant::now());
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            cache.begin(at);
            cache.failed();
            assert_eq!(cache.due(), Some(at + seconds(wait)));
            at += seconds(wait);
        }
        read(&mut cache, at, 1);
        assert_eq!(cache.due(), Some(at + timing.interval));
    }

    #[test]
    fn an_unknown_key_asks_for_a_read_under_the_limit_of_the_rate() {
        let (mut cache, start) = (Cache::new(TIMING), Instant::now());
        read(&mut cache, start, 1);
        assert_eq!(cache.unknown("new"), Unknown::Later);
        assert_eq!(cache.due(), Some(start + TIMING.least));
        cache.begin(start + seconds(10));
        assert_eq!(
            cache.unknown("new"),
            Unknown::Later,
            "the read is under way"
        );
        cache.succeeded(2);
        assert_eq!(cache.unknown("new"), Unknown::Never);
        assert_eq!(
            cache.due(),
            Some(start + seconds(20)),
            "it was asked for while the read was under way"
        );
        read(&mut cache, start + seconds(20), 2);
        assert_eq!(cache.due(), Some(start + seconds(20) + TIMING.interval));
    }

    #[test]
    fn only_a_read_that_began_after_a_key_was_seen_can_say_that_there_is_none() {
        let (mut cache, start) = (Cache::new(TIMING), Instant::now());
        cache.begin(start);
        assert_eq!(cache.unknown("late"), Unknown::Later);
        cache.succeeded(1);
        assert_eq!(cache.unknown("late"), Unknown::Later);
        cache.begin(start + seconds(10));
        cache.failed();
        assert_eq!(cache.unknown("late"), Unknown::Later, "nothing was learnt");
        read(&mut cache, start + seconds(20), 1);
        assert_eq!(cache.unknown("late"), Unknown::Never);
    }

    #[test]
    fn unknown_keys_remembered_up_to_their_limit() {
        let (mut cache, start) = (Cache::new(TIMING), Instant::now());
        read(&mut cache, start, 1);
        for n in 0..=UNKNOWN_MAX {
            assert_eq!(cache.unknown(&format!("k{n}")), Unknown::Later);
        }
        assert!(cache.is_wanted() && cache.wanted.len() == UNKNOWN_MAX);
        read(&mut cache, start + seconds(10), 1);
        assert_eq!(cache.unknown("k0"), Unknown::Never);
        assert_eq!(cache.unknown(&format!("k{UNKNOWN_MAX}")), Unknown::Later);
    }
}
