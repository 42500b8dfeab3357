//! When an event that failed is tried again, and when that has an end.
//!
//! Owns nothing: a pure decision from limits, history and time.

use protocol::spec::FunctionLimits;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::progress::Waiting;

/// First wait; doubles with each attempt.
const DELAY_MS_FIRST: u64 = 100;
/// Longest wait of the host's own back-off.
const DELAY_MS_MAX: u64 = 10_000;
/// Bounds of the wait that a guest may ask for: a tight loop would only burn
/// attempts, and past the longest the age limit has come anyway.
const WISH_MS_MIN: u64 = 10;
const WISH_MS_MAX: u64 = 3_600_000;
/// A wait is lengthened by up to this share of it, in percent, so that channels
/// that failed together do not come back together.
const JITTER_PERCENT: u64 = 25;

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt, later.
    Again(Waiting),
    /// None: the limits of attempts or of age are reached.
    GiveUp {
        /// How often it was tried.
        attempts: u32,
    },
}

/// Decides about an event whose attempt at `now` (microseconds since 1970) failed.
/// `before` is how it stood before that attempt, `wish_ms` the guest's own wish or 0.
pub fn next(
    limits: &FunctionLimits,
    seq: u64,
    before: Option<Waiting>,
    wish_ms: u32,
    now: u64,
) -> Next {
    let tried = before.filter(|waiting| waiting.seq == seq && waiting.attempts > 0);
    let attempts = tried.map_or(0, |waiting| waiting.attempts) + 1;
    let since = tried.map_or(now, |waiting| waiting.since);
    let due = now + delay_us(seq, attempts, wish_ms);
    let age_us = limits.retry_age_ms.saturating_mul(1_000);
    if attempts >= limits.attempts || due.saturating_sub(since) > age_us {
        return Next::GiveUp { attempts };
    }
    Next::Again(Waiting {
        seq,
        attempts,
        since,
        due,
    })
}

fn delay_us(seq: u64, attempts: u32, wish_ms: u32) -> u64 {
    let base = match u64::from(wish_ms) {
        0 => DELAY_MS_FIRST
            .saturating_mul(1 << (attempts - 1).min(16))
            .min(DELAY_MS_MAX),
        wish => wish.clamp(WISH_MS_MIN, WISH_MS_MAX),
    } * 1_000;
    // The jitter follows from the event, so that the decision stays a pure one.
    let random = xxh3_64_with_seed(&seq.to_le_bytes(), attempts.into());
    base + random % (base * JITTER_PERCENT / 100 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    fn limits() -> FunctionLimits {
        FunctionLimits {
            attempts: 3,
            retry_age_ms: 60_000,
            ..FunctionLimits::default()
        }
    }

    #[test]
    fn attempts_are_used_up_and_not_exceeded() {
        let mut before = None;
        for expected in 1..3 {
            let Next::Again(waiting) = next(&limits(), 7, before, 0, NOW) else {
                panic!("gave up early")
            };
            assert_eq!((waiting.attempts, waiting.since), (expected, NOW));
            before = Some(waiting);
        }
        assert_eq!(
            next(&limits(), 7, before, 0, NOW),
            Next::GiveUp { attempts: 3 }
        );
    }

    #[test]
    fn age_ends_retries_before_attempts_do() {
        let first = Waiting {
            seq: 7,
            attempts: 1,
            since: NOW,
            due: NOW,
        };
        assert!(matches!(
            next(&limits(), 7, Some(first), 0, NOW + 59_000_000),
            Next::Again(_)
        ));
        assert_eq!(
            next(&limits(), 7, Some(first), 0, NOW + 60_000_000),
            Next::GiveUp { attempts: 2 }
        );
    }

    #[test]
    fn another_event_of_the_channel_starts_afresh() {
        let first = Waiting {
            seq: 6,
            attempts: 2,
            since: 1,
            due: 1,
        };
        assert!(matches!(
            next(&limits(), 7, Some(first), 0, NOW),
            Next::Again(Waiting {
                attempts: 1,
                since: NOW,
                ..
            })
        ));
    }

    #[test]
    fn the_guests_wish_is_honoured_within_bounds() {
        let due = |wish| match next(
            &FunctionLimits {
                retry_age_ms: u64::MAX,
                ..limits()
            },
            7,
            None,
            wish,
            NOW,
        ) {
            Next::Again(waiting) => waiting.due - NOW,
            Next::GiveUp { .. } => panic!("gave up"),
        };
        assert!((500_000..=625_000).contains(&due(500)));
        assert!((10_000..=12_500).contains(&due(1)));
        assert!(due(u32::MAX) <= 4_500_000_000);
        assert!((100_000..=125_000).contains(&due(0)));
    }
}
