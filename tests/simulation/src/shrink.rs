//! The shortest schedule that still fails: steps are left out, halves first.
//!
//! Owns nothing. A run that fails only sometimes is tried several times, and a shorter
//! schedule is taken only if it failed; so what comes out did fail, if not always.

use crate::plan::{Plant, Schedule, Step};
use crate::run::run;

/// Runs of one schedule before it counts as one that passes: what the seed does not
/// decide rarely matters.
const TRIES: usize = 2;
/// Runs for one shrinking: a minute or so of the slowest scenario.
const RUNS_MAX: usize = 1_500;

/// What shrinking led to.
#[derive(Debug)]
pub struct Shrunk {
    /// The shortest schedule found that failed.
    pub schedule: Schedule,
    /// What was wrong when it failed last.
    pub problems: Vec<String>,
    /// How often the first schedule failed when it was run again, of [`Shrunk::AGAIN`].
    pub again: usize,
}

impl Shrunk {
    /// Times that a failing schedule is run again before it is shrunk.
    pub const AGAIN: usize = 3;
}

/// Shrinks a schedule that failed with these problems.
pub fn shrink(schedule: &Schedule, plant: Option<Plant>, problems: Vec<String>) -> Shrunk {
    let again = (0..Shrunk::AGAIN).filter(|_| !run(schedule, plant).problems.is_empty());
    let mut shrunk = Shrunk {
        schedule: schedule.clone(),
        problems,
        again: again.count(),
    };
    if shrunk.again == 0 {
        return shrunk;
    }
    let (steps, problems) = shortest(schedule.steps.clone(), RUNS_MAX, |steps| {
        let tried = Schedule {
            steps: steps.to_vec(),
            ..schedule.clone()
        };
        let outcomes = (0..TRIES).map(|_| run(&tried, plant).problems);
        outcomes.into_iter().find(|problems| !problems.is_empty())
    });
    shrunk.schedule.steps = steps;
    if let Some(problems) = problems {
        shrunk.problems = problems;
    }
    shrunk
}

/// Leaves out ever smaller parts for as long as that helps.
fn shortest<P>(
    mut steps: Vec<Step>,
    mut runs_left: usize,
    fails: impl Fn(&[Step]) -> Option<P>,
) -> (Vec<Step>, Option<P>) {
    let mut last = None;
    let mut part = steps.len().div_ceil(2);
    while part > 0 && runs_left > 0 {
        let (mut at, mut shorter) = (0, false);
        while at < steps.len() && runs_left > 0 {
            runs_left -= 1;
            let mut tried = steps.clone();
            tried.drain(at..(at + part).min(steps.len()));
            if let Some(problems) = fails(&tried) {
                (steps, last, shorter) = (tried, Some(problems), true);
            } else {
                at += part;
            }
        }
        // Single steps as long as one of them can go.
        part = if part == 1 && shorter { 1 } else { part / 2 };
    }
    (steps, last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Act;

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let step = |who| Step {
            act: Act::Work,
            who,
            much: 0,
            pause_ms: 0,
        };
        let steps: Vec<_> = (0..100).map(step).collect();
        let needs = |steps: &[Step]| {
            let has = |who| steps.iter().any(|step| step.who == who);
            (has(17) && has(71)).then_some(())
        };
        let (left, last) = shortest(steps, usize::MAX, needs);
        assert_eq!(left, [step(17), step(71)]);
        assert!(last.is_some());
    }
}
