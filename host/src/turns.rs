//! Whose turn it is on a thread: the function that has used the least of it, so that one
//! that is slow or poisonous delays the others by one call and no more. One that fails rests
//! as well, for as long as others use the thread: between their calls it would have all of
//! it, and each of them would come in the middle of a call that runs into its deadline.
//! A plain machine.
//!
//! A version of a function stands for itself: one that fails on trial must not keep the one
//! beside it from the event that it is asked about.
//!
//! Owns the waiting calls, each version's time while any call waits, and who rests. Must
//! not know what a call is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::name::FunctionName;
use tokio::time::Instant;

/// How many times as long as a failed call took its function rests: it has a tenth of the
/// thread then, and the others lose less than the fifth that is promised to them.
const REST_TIMES: u32 = 9;
/// How long a function counts as one that uses the thread: longer than a commit takes.
const ACTIVE: Duration = Duration::from_secs(1);

/// A function, and which version of it.
pub type Who = (FunctionName, u64);

/// Calls that wait, by version.
#[derive(Debug)]
pub struct Turns<T> {
    versions: BTreeMap<Who, Queue<T>>,
    /// The time that the function of the last turn had used: whoever comes anew starts
    /// here, because time that nobody wanted is not saved up.
    floor: Duration,
    waiting: usize,
    /// Until when a version rests.
    resting: BTreeMap<Who, Instant>,
    /// When each had its last turn, of those within [`ACTIVE`].
    turns: BTreeMap<Who, Instant>,
}

#[derive(Debug)]
struct Queue<T> {
    calls: VecDeque<T>,
    used: Duration,
}

/// Nothing waits.
impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            versions: BTreeMap::new(),
            floor: Duration::ZERO,
            waiting: 0,
            resting: BTreeMap::new(),
            turns: BTreeMap::new(),
        }
    }
}

impl<T> Turns<T> {
    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Another call waits, behind those of its version.
    pub fn push(&mut self, who: Who, call: T) {
        self.waiting += 1;
        if let Some(queue) = self.versions.get_mut(&who) {
            queue.calls.push_back(call);
            return;
        }
        let queue = Queue {
            calls: VecDeque::from([call]),
            used: self.floor,
        };
        self.versions.insert(who, queue);
    }

    /// Takes the next call, and says whether it has to wait because its version rests:
    /// such a call comes only where no other waits.
    pub fn pop(&mut self, now: Instant) -> Option<(T, bool)> {
        self.resting.retain(|_, until| now < *until);
        self.turns
            .retain(|_, last| now.saturating_duration_since(*last) < ACTIVE);
        let (resting, turns) = (&self.resting, &self.turns);
        let rests = |who: &Who| resting.contains_key(who) && turns.keys().any(|other| other != who);
        let ready = self.versions.iter_mut();
        let ready = ready.filter(|(_, queue)| !queue.calls.is_empty());
        let (who, queue) = ready.min_by_key(|(who, queue)| (rests(who), queue.used))?;
        let waits = rests(who);
        self.waiting -= 1;
        if !waits {
            self.floor = queue.used;
            self.turns.insert(who.clone(), now);
        }
        Some((queue.calls.pop_front()?, waits))
    }

    /// A call has failed, after so long.
    pub fn failed(&mut self, who: &Who, time: Duration, now: Instant) {
        self.resting.insert(who.clone(), now + REST_TIMES * time);
    }

    /// A call has taken its time. Once nothing waits, nobody is owed anything.
    pub fn charge(&mut self, who: &Who, time: Duration) {
        if self.waiting == 0 {
            self.versions.clear();
        } else if let Some(queue) = self.versions.get_mut(who) {
            queue.used += time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_millis(100);
    const FAST: Duration = Duration::from_millis(1);

    fn who(text: &str) -> Who {
        (FunctionName::parse(text).unwrap(), 1)
    }

    /// Takes a turn; each function's calls take as long as its name says.
    fn turn(turns: &mut Turns<&'static str>) -> &'static str {
        let (taken, waits) = turns.pop(Instant::now()).unwrap();
        assert!(!waits, "nobody rests");
        turns.charge(&who(taken), if taken == "slow" { SLOW } else { FAST });
        taken
    }

    #[test]
    fn a_slow_function_delays_the_others_by_one_call() {
        let mut turns = Turns::default();
        for function in ["slow", "slow", "slow", "fast", "fast", "fast"] {
            turns.push(who(function), function);
        }
        let taken: Vec<&str> = (0..6).map(|_| turn(&mut turns)).collect();
        assert_eq!(taken, ["fast", "slow", "fast", "fast", "slow", "slow"]);
        assert!(turns.pop(Instant::now()).is_none() && turns.waiting() == 0);
    }

    #[test]
    fn a_function_that_never_stops_asking_waits_for_its_share() {
        let mut turns = Turns::default();
        let mut taken = Vec::new();
        for _ in 0..200 {
            for function in ["slow", "fast"] {
                let queue = turns.versions.get(&who(function));
                if queue.is_none_or(|queue| queue.calls.is_empty()) {
                    turns.push(who(function), function);
                }
            }
            taken.push(turn(&mut turns));
        }
        let slow = taken.iter().filter(|taken| **taken == "slow").count();
        assert!((1..=3).contains(&slow), "{slow} of 200 turns");
    }

    #[test]
    fn time_that_was_not_used_is_not_saved_up() {
        let mut turns = Turns::default();
        for _ in 0..52 {
            turns.push(who("slow"), "slow");
        }
        for _ in 0..50 {
            turn(&mut turns);
        }
        for _ in 0..300 {
            turns.push(who("fast"), "fast");
        }
        let taken: Vec<&str> = (0..250).map(|_| turn(&mut turns)).collect();
        let slow = taken.iter().filter(|taken| **taken == "slow").count();
        assert_eq!(slow, 2, "all that wait come within their share");
    }

    #[test]
    fn who_is_owed_nothing_is_forgotten() {
        let mut turns = Turns::default();
        for n in 0..100 {
            let function = who(&format!("f{n}"));
            turns.push(function.clone(), "call");
            turns.pop(Instant::now());
            turns.charge(&function, FAST);
        }
        assert!(turns.versions.is_empty());
    }

    #[test]
    fn who_fails_rests_while_others_use_the_thread() {
        let (mut turns, began) = (Turns::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        let ask = |turns: &mut Turns<&'static str>, function, ms| {
            turns.push(who(function), function);
            turns.pop(at(ms)).unwrap()
        };
        assert_eq!(ask(&mut turns, "slow", 0), ("slow", false));
        turns.failed(&who("slow"), SLOW, at(100));
        // Nobody else is there.
        assert_eq!(ask(&mut turns, "slow", 100), ("slow", false));
        assert_eq!(ask(&mut turns, "fast", 200), ("fast", false));
        assert_eq!(ask(&mut turns, "slow", 201), ("slow", true));
        turns.push(who("slow"), "slow");
        assert_eq!(
            ask(&mut turns, "fast", 999),
            ("fast", false),
            "it comes first"
        );
        assert_eq!(turns.pop(at(999)), Some(("slow", true)));
        // Ten times what it took after it began, it has its turn.
        assert_eq!(ask(&mut turns, "slow", 1_000), ("slow", false));
        turns.failed(&who("slow"), SLOW, at(1_100));
        assert_eq!(ask(&mut turns, "slow", 1_998), ("slow", true));
        assert_eq!(
            ask(&mut turns, "slow", 2_000),
            ("slow", false),
            "the other has gone"
        );
    }

    #[test]
    fn a_version_that_fails_leaves_the_one_beside_it_its_turn() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let version = |version| (who("gate").0, version);
        for (who, call) in [(who("other"), "other"), (version(2), "candidate")] {
            turns.push(who, call);
            assert_eq!(turns.pop(now), Some((call, false)));
        }
        turns.failed(&version(2), SLOW, now);
        turns.push(version(2), "candidate");
        turns.push(version(1), "beside it");
        assert_eq!(turns.pop(now), Some(("beside it", false)));
        assert_eq!(turns.pop(now), Some(("candidate", true)));
    }
}
