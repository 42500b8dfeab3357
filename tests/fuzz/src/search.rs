//! The search: inputs are damaged, tried, and kept where they did something new.
//!
//! Owns the inputs that are kept, and its random numbers.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::mutate::mutated;
use crate::property::Target;
use crate::shrink::shrunk;

/// Inputs that are kept, beside the committed ones. Policy: the oldest of them give way.
const KEPT_MAX: usize = 4_096;
/// Outcomes that are told apart. Policy: past it no input is new any more; what is kept
/// goes on being damaged.
const OUTCOMES_MAX: usize = 1 << 20;
/// Of so many inputs one is made anew by the target, where it can: structure that damage
/// alone would not find.
const MADE_ONE_IN: u32 = 4;

/// An input of which something does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The input, as short as it could be made.
    pub input: Vec<u8>,
    /// What does not hold.
    pub problem: String,
}

/// A search that goes on for as long as it is asked.
pub struct Search<'a> {
    target: &'a Target,
    rng: StdRng,
    committed: Vec<Vec<u8>>,
    kept: Vec<Vec<u8>>,
    seen: HashSet<u64>,
    tried: u64,
}

/// Tries one input; what it did, or what does not hold of it.
///
/// # Errors
/// The property that does not hold, or the panic.
pub fn attempt(target: &Target, input: &[u8]) -> Result<u64, String> {
    let check = AssertUnwindSafe(|| (target.check)(input));
    catch_unwind(check).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("it panics: {}", text.unwrap_or("without words")))
    })
}

impl<'a> Search<'a> {
    /// A search that begins with these inputs, and follows from the seed.
    ///
    /// # Errors
    /// One of them fails.
    pub fn new(target: &'a Target, committed: Vec<Vec<u8>>, seed: u64) -> Result<Self, Failure> {
        let mut search = Self {
            target,
            rng: StdRng::seed_from_u64(seed),
            committed: Vec::new(),
            kept: Vec::new(),
            seen: HashSet::new(),
            tried: 0,
        };
        for input in committed {
            search.try_out(&input)?;
            search.committed.push(input);
        }
        search.kept.clear();
        Ok(search)
    }

    /// Tries so many more.
    ///
    /// # Errors
    /// The first that fails.
    pub fn run(&mut self, count: u64) -> Result<(), Failure> {
        for _ in 0..count {
            let input = self.next_input();
            self.try_out(&input)?;
        }
        Ok(())
    }

    /// Inputs that were tried.
    pub fn tried(&self) -> u64 {
        self.tried
    }

    /// Outcomes that were told apart.
    pub fn outcomes(&self) -> usize {
        self.seen.len()
    }

    fn next_input(&mut self) -> Vec<u8> {
        let make = self.target.make;
        if let Some(make) = make.filter(|_| self.rng.random_ratio(1, MADE_ONE_IN)) {
            return make(&mut self.rng);
        }
        let (one, other) = (self.any(), self.any());
        mutated(&mut self.rng, &one, &other, self.target.words)
    }

    /// Any of the inputs that are known, those that were found as often as the others.
    fn any(&mut self) -> Vec<u8> {
        let found = !self.kept.is_empty() && self.rng.random_bool(0.5);
        let list = if found { &self.kept } else { &self.committed };
        list.choose(&mut self.rng).cloned().unwrap_or_default()
    }

    fn try_out(&mut self, input: &[u8]) -> Result<(), Failure> {
        self.tried += 1;
        match attempt(self.target, input) {
            Ok(outcome) => {
                if self.seen.len() < OUTCOMES_MAX && self.seen.insert(outcome) {
                    if self.kept.len() == KEPT_MAX {
                        self.kept.remove(0);
                    }
                    self.kept.push(input.to_vec());
                }
                Ok(())
            }
            Err(_) => {
                let input = shrunk(input, |input| attempt(self.target, input).is_err());
                let problem = attempt(self.target, &input).err().unwrap_or_default();
                Err(Failure { input, problem })
            }
        }
    }
}
