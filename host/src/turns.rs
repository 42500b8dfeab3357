//! Whose turn it is on a thread: the function that has used the least of it, so that one
//! that is slow or poisonous delays the others by one call and no more. A plain machine.
//!
//! Owns the waiting calls, and each function's time while any call waits. Must not know what
//! a call is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::name::FunctionName;

/// Calls that wait, by function.
#[derive(Debug)]
pub struct Turns<T> {
    functions: BTreeMap<FunctionName, Queue<T>>,
    /// The time that the function of the last turn had used: whoever comes anew starts
    /// here, because time that nobody wanted is not saved up.
    floor: Duration,
    waiting: usize,
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

    /// Takes the next call.
    pub fn pop(&mut self) -> Option<T> {
        let ready = self.functions.values_mut();
        let ready = ready.filter(|queue| !queue.calls.is_empty());
        let queue = ready.min_by_key(|queue| queue.used)?;
        self.floor = queue.used;
        self.waiting -= 1;
        queue.calls.pop_front()
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
        let taken = turns.pop().unwrap();
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
        assert!(turns.pop().is_none() && turns.waiting() == 0);
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
            turns.pop();
            turns.charge(&function, FAST);
        }
        assert!(turns.functions.is_empty());
    }
}
