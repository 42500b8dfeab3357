//! Many runs, one seed after the other: how many steps there were, what was injected,
//! and the first failure, shrunk.
//!
//! Owns the sums.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::{Plant, Scenario, Schedule};
use crate::run::run;
use crate::shrink::{Shrunk, shrink};

/// What a number of runs came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// Steps of all of them.
    pub steps: u64,
    /// What was injected how often, by scenario.
    pub injected: BTreeMap<Scenario, BTreeMap<&'static str, u64>>,
    /// What the checker looked at: stored, acknowledged, delivered, mirrored.
    pub looked_at: [u64; 4],
}

/// A run that failed.
#[derive(Debug)]
pub struct Failure {
    /// The schedule of the seed.
    pub schedule: Schedule,
    /// What shrinking led to.
    pub shrunk: Shrunk,
}

impl Summary {
    /// Runs one schedule and adds it.
    ///
    /// # Errors
    /// [`Failure`], shrunk.
    pub fn run(&mut self, schedule: Schedule, plant: Option<Plant>) -> Result<(), Box<Failure>> {
        let outcome = run(&schedule, plant);
        self.runs += 1;
        self.steps += schedule.steps.len() as u64;
        let injected = self.injected.entry(schedule.scenario).or_default();
        for (what, count) in outcome.injected {
            *injected.entry(what).or_default() += count;
        }
        let counts = outcome.counts;
        let looked_at = [
            counts.stored,
            counts.acked,
            counts.delivered,
            counts.mirrored,
        ];
        for (sum, count) in self.looked_at.iter_mut().zip(looked_at) {
            *sum += count;
        }
        if outcome.problems.is_empty() {
            return Ok(());
        }
        let shrunk = shrink(&schedule, plant, outcome.problems);
        Err(Box::new(Failure { schedule, shrunk }))
    }

    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.steps += other.steps;
        for (scenario, all) in other.injected {
            let injected = self.injected.entry(scenario).or_default();
            for (what, count) in all {
                *injected.entry(what).or_default() += count;
            }
        }
        for (sum, count) in self.looked_at.iter_mut().zip(other.looked_at) {
            *sum += count;
        }
    }

    /// What should have been injected in a scenario and was not.
    pub fn never(&self, scenario: Scenario) -> Vec<&'static str> {
        let injected = self.injected.get(&scenario);
        let mix = crate::scenario::mix(scenario).iter();
        let acts = mix.map(|(_, act, ..)| act.word());
        // Work and time are no faults, and weather is counted by what it brings.
        let faults =
            acts.filter(|word| !["work", "pass", "weather", "again", "crash"].contains(word));
        let faults = faults.chain(["request_lost", "reply_lost", "refused", "broken"]);
        faults
            .filter(|word| injected.is_none_or(|all| !all.contains_key(word)))
            .collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [stored, acked, delivered, mirrored] = self.looked_at;
        write!(
            f,
            "{} runs, {} steps; the checker saw {stored} stored, {acked} acknowledged, {delivered} delivered, {mirrored} mirrored",
            self.runs, self.steps
        )?;
        for (scenario, injected) in &self.injected {
            let all: Vec<_> = injected
                .iter()
                .map(|(what, count)| format!("{what} {count}"))
                .collect();
            write!(f, "\n  {scenario}: {}", all.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedule, shrunk } = self;
        let (again, of) = (shrunk.again, Shrunk::AGAIN);
        writeln!(
            f,
            "{} fails with seed {}; run again, it failed {again} of {of} times",
            schedule.scenario, schedule.seed
        )?;
        writeln!(f, "of {} steps these are left:", schedule.steps.len())?;
        writeln!(f, "make simulate ARGS='{}'", shrunk.schedule)?;
        write!(f, "{}", shrunk.problems.join("\n"))
    }
}
