//! Test-only switches: die, stop or leave out a step at a named point.
//!
//! Owns the hit counters, per instance, so that two services in one process can
//! fail differently. A release build has no switches: [`Faults::parse`] refuses
//! every text but the empty one, and [`Faults::hit`] is a constant.
//!
//! Text: `point=action@n` (the n-th hit, from 1), `point=action@n+` (that and all
//! later ones), `point=action%p/seed` (p percent of the hits, chosen by the seed);
//! several are separated by commas. Actions: `kill` (SIGKILL), `pause` (SIGSTOP),
//! `skip` (the caller leaves the step out).

#[cfg(debug_assertions)]
use std::sync::Arc;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a text with switches is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// The text does not follow the syntax.
    #[error("fault {rule:?} is not point=action@n, point=action@n+ or point=action%p/seed")]
    Syntax {
        /// The rule.
        rule: String,
    },
    /// A release build has no switches.
    #[error("faults are refused by a release build")]
    Release,
}

/// The switches of one service instance; clones share their counters.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    #[cfg(debug_assertions)]
    rules: Arc<[Rule]>,
}

#[cfg(not(debug_assertions))]
impl Faults {
    /// Accepts only the empty text.
    ///
    /// # Errors
    /// [`FaultError::Release`] for any other.
    pub fn parse(text: &str) -> Result<Self, FaultError> {
        if text.trim().is_empty() {
            Ok(Self {})
        } else {
            Err(FaultError::Release)
        }
    }

    /// Always false.
    #[inline(always)]
    pub const fn hit(&self, _point: &'static str) -> bool {
        false
    }

    /// Always false.
    #[inline(always)]
    pub const fn hit_with(&self, _point: &str) -> bool {
        false
    }
}

#[cfg(debug_assertions)]
#[derive(Debug)]
struct Rule {
    point: Box<str>,
    action: Action,
    when: When,
    hits: AtomicU64,
}

#[cfg(debug_assertions)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Pause,
    Skip,
}

#[cfg(debug_assertions)]
#[derive(Debug, Clone, Copy)]
enum When {
    Nth(u64),
    From(u64),
    /// Out of a million.
    Share(u64, u64),
}

#[cfg(debug_assertions)]
impl Faults {
    /// Reads switches; the empty text has none.
    ///
    /// # Errors
    /// [`FaultError::Syntax`] names the rule.
    pub fn parse(text: &str) -> Result<Self, FaultError> {
        let rules = text
            .split(',')
            .map(str::trim)
            .filter(|rule| !rule.is_empty());
        let rules = rules
            .map(|rule| parse_rule(rule).ok_or_else(|| FaultError::Syntax { rule: rule.into() }));
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// Counts a hit of a point and does what is due: `kill` and `pause` act on the
    /// process; true means that the caller must leave the step out.
    pub fn hit(&self, point: &'static str) -> bool {
        self.hit_with(point)
    }

    /// As [`Self::hit`], for a point whose name is put together at run time.
    pub fn hit_with(&self, point: &str) -> bool {
        let mut skip = false;
        for rule in self.rules.iter().filter(|rule| *rule.point == *point) {
            let hit = rule.hits.fetch_add(1, Ordering::Relaxed) + 1;
            if rule.when.is_due(hit) {
                match rule.action {
                    Action::Skip => skip = true,
                    Action::Kill => signal::raise(libc::SIGKILL),
                    Action::Pause => signal::raise(libc::SIGSTOP),
                }
            }
        }
        skip
    }
}

#[cfg(debug_assertions)]
impl When {
    fn is_due(self, hit: u64) -> bool {
        match self {
            Self::Nth(n) => hit == n,
            Self::From(n) => hit >= n,
            Self::Share(millionths, seed) => {
                let bytes = [seed.to_le_bytes(), hit.to_le_bytes()].concat();
                xxhash_rust::xxh3::xxh3_64(&bytes) % 1_000_000 < millionths
            }
        }
    }
}

#[cfg(debug_assertions)]
fn parse_rule(rule: &str) -> Option<Rule> {
    let (point, rest) = rule.split_once('=')?;
    let at = rest.find(['@', '%'])?;
    let (action, when) = rest.split_at(at);
    let action = match action {
        "kill" => Action::Kill,
        "pause" => Action::Pause,
        "skip" => Action::Skip,
        _ => return None,
    };
    let when = if let Some(n) = when.strip_prefix('@') {
        match n.strip_suffix('+') {
            Some(n) => When::From(n.parse().ok().filter(|n| *n > 0)?),
            None => When::Nth(n.parse().ok().filter(|n| *n > 0)?),
        }
    } else {
        let (percent, seed) = when.strip_prefix('%')?.split_once('/')?;
        let percent: f64 = percent.parse().ok().filter(|p| (0.0..=100.0).contains(p))?;
        When::Share((percent * 10_000.0).round() as u64, seed.parse().ok()?)
    };
    (!point.is_empty()).then(|| Rule {
        point: point.into(),
        action,
        when,
        hits: AtomicU64::new(0),
    })
}

#[cfg(debug_assertions)]
mod signal {
    /// Sends a signal to the calling thread, so that it has acted when this returns:
    /// SIGKILL ends, SIGSTOP stops the whole process all the same.
    #[allow(
        unsafe_code,
        reason = "there is no safe way to send oneself SIGKILL or SIGSTOP"
    )]
    pub(super) fn raise(signal: libc::c_int) {
        // SAFETY: raise takes and returns plain integers.
        unsafe {
            libc::raise(signal);
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn counts_are_per_rule_and_shared_by_clones() {
        let faults = Faults::parse("a=skip@2, b=skip@2+").unwrap();
        let clone = faults.clone();
        assert_eq!(
            [faults.hit("a"), clone.hit("a"), faults.hit("a")],
            [false, true, false]
        );
        assert_eq!(
            [faults.hit("b"), clone.hit("b"), faults.hit("b")],
            [false, true, true]
        );
        assert!(!faults.hit("c"));
    }

    #[test]
    fn a_share_is_seeded() {
        let run = |seed: u64| {
            let faults = Faults::parse(&format!("a=skip%25/{seed}")).unwrap();
            (0..1000).map(|_| faults.hit("a")).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let due = run(7).iter().filter(|due| **due).count();
        assert!((180..320).contains(&due), "{due} of 1000 at 25 %");
    }

    #[test]
    fn syntax_is_checked() {
        assert!(Faults::parse("").is_ok());
        for text in [
            "a",
            "a=skip",
            "a=skip@0",
            "a=jump@1",
            "=skip@1",
            "a=skip%101/1",
            "a=skip%5",
        ] {
            assert_eq!(
                Faults::parse(text).unwrap_err(),
                FaultError::Syntax { rule: text.into() }
            );
        }
    }
}
