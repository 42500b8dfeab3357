//! Whose turn it is on a thread: the function that has used the least of it, so that one
//! that is slow or poisonous delays the others by one call and no more. One that fails rests
//! as well, for as long as others use the thread: between their calls it would have all of
//! it, and each of them would come in the middle of a call that runs into its deadline.
//! A plain machine.
//!
//! Owns the waiting calls, each function's time while any call waits, and who rests. Must
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

/// Calls that wait, by function.
#[derive(Debug)]
pub struct Turns<T> {
    functions: BTreeMap<FunctionName, Queue<T>>,
    /// The time that the function of the last turn had used: whoever comes anew starts
    /// here, because time that nobody wanted is not saved up.
    floor: Duration,
    waiting: usize,
    /// Until when a function rests.
    resting: BTreeMap<FunctionName, Instant>,
    /// When each had its last turn, of those within [`ACTIVE`].
    turns: BTreeMap<FunctionName, Instant>,
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
            functions: BTreeMap::new(),
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

    /// Another call waits, behind those of its function.
    pub fn push(&mut self, function: &FunctionName, call: T) {
        self.waiting += 1;
        if let Some(queue) = self.functions.get_mut(function) {
            queue.calls.push_back(call);
            return;
        }
        let queue = Queue {
            calls: VecDeque::from([call]),
            used: self.floor,
        };
        self.functions.insert(function.clone(), queue);
    }

    /// Takes the next call, and says whether it has to wait because its function rests:
    /// such a call comes only where no other waits.
    pub fn pop(&mut self, now: Instant) -> Option<(T, bool)> {
        self.resting.retain(|_, until| now < *until);
        self.turns
            .retain(|_, last| now.saturating_duration_since(*last) < ACTIVE);
        let (resting, turns) = (&self.resting, &self.turns);
        let rests = |name: &FunctionName| {
            resting.contains_key(name) && turns.keys().any(|other| other != name)
        };
        let ready = self.functions.iter_mut();
        let ready = ready.filter(|(_, queue)| !queue.calls.is_empty());
        let (name, queue) = ready.min_by_key(|(name, queue)| (rests(name), queue.used))?;
        let waits = rests(name);
        self.waiting -= 1;
        if !waits {
            self.floor = queue.used;
            self.turns.insert(name.clone(), now);
        }
        Some((queue.calls.pop_front()?, waits))
    }

    /// A call of a function has failed, after so long.
    pub fn failed(&mut self, function: &FunctionName, time: Duration, now: Instant) {
        self.resting
            .insert(function.clone(), now + REST_TIMES * time);
    }

    /// A call has taken its time. Once nothing waits, nobody is owed anything.
    pub fn charge(&mut self, function: &FunctionName, time: Duration) {
        if self.waiting == 0 {
            self.functions.clear();
        } else if let Some(queue) = self.functions.get_mut(function) {
            queue.used += time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_millis(100);
    const FAST: Duration = Duration::from_millis(1);

    fn name(text: &str) -> FunctionName {
        FunctionName::parse(text).unwrap()
    }

    /// Takes a turn; each function's calls take as long as its name says.
    fn turn(turns: &mut Turns<&'static str>) -> &'static str {
        let (taken, waits) = turns.pop(Instant::now()).unwrap();
        assert!(!waits, "nobody rests");
        turns.charge(&name(taken), if taken == "slow" { SLOW } else { FAST });
        taken
    }

    #[test]
    fn a_slow_function_delays_the_others_by_one_call() {
        let mut turns = Turns::default();
        for function in ["slow", "slow", "slow", "fast", "fast", "fast"] {
            turns.push(&name(function), function);
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
                let queue = turns.functions.get(&name(function));
                if queue.is_none_or(|queue| queue.calls.is_empty()) {
                    turns.push(&name(function), function);
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
            turns.push(&name("slow"), "slow");
        }
        for _ in 0..50 {
            turn(&mut turns);
        }
        for _ in 0..300 {
            turns.push(&name("fast"), "fast");
        }
        let taken: Vec<&str> = (0..250).map(|_| turn(&mut turns)).collect();
        let slow = taken.iter().filter(|taken| **taken == "slow").count();
        assert_eq!(slow, 2, "all that wait come within their share");
    }

    #[test]
    fn who_is_owed_nothing_is_forgotten() {
        let mut turns = Turns::default();
        for n in 0..100 {
            let function = name(&format!("f{n}"));
            turns.push(&function, "call");
            turns.pop(Instant::now());
            turns.charge(&function, FAST);
        }
        assert!(turns.functions.is_empty());
    }

    #[test]
    fn who_fails_rests_while_others_use_the_thread() {
        let (mut turns, began) = (Turns::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        let ask = |turns: &mut Turns<&'static str>, function, ms| {
            turns.push(&name(function), function);
            turns.pop(at(ms)).unwrap()
        };
        assert_eq!(ask(&mut turns, "slow", 0), ("slow", false));
        turns.failed(&name("slow"), SLOW, at(100));
        // Nobody else is there.
        assert_eq!(ask(&mut turns, "slow", 100), ("slow", false));
        assert_eq!(ask(&mut turns, "fast", 200), ("fast", false));
        assert_eq!(ask(&mut turns, "slow", 201), ("slow", true));
        turns.push(&name("slow"), "slow");
        assert_eq!(
            ask(&mut turns, "fast", 999),
            ("fast", false),
            "it comes first"
        );
        assert_eq!(turns.pop(at(999)), Some(("slow", true)));
        // Ten times what it took after it began, it has its turn.
        assert_eq!(ask(&mut turns, "slow", 1_000), ("slow", false));
        turns.failed(&name("slow"), SLOW, at(1_100));
        assert_eq!(ask(&mut turns, "slow", 1_998), ("slow", true));
        assert_eq!(
            ask(&mut turns, "slow", 2_000),
            ("slow", false),
            "the other has gone"
        );
    }
}
