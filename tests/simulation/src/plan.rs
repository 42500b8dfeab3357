//! A run's schedule: steps made from a seed, as text that can be run again.
//!
//! Owns nothing. Must not know what a step does to a scenario.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use rand::rngs::StdRng;

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Edges that die between storing and answering; clients that send again elsewhere.
    Publisher,
    /// Subscribers that must be able to prove that they missed nothing.
    Feed,
    /// Workers that take a lane over from one another.
    Lane,
    /// Bridges that mirror a stream into transactions.
    Mirror,
    /// Processes that want one lease.
    Lease,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Publisher,
        Self::Feed,
        Self::Lane,
        Self::Mirror,
        Self::Lease,
    ];
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|scenario| scenario.to_string() == text)
            .ok_or_else(|| format!("{text:?} is no scenario"))
    }
}

/// A fault of ours, put in on purpose: a simulation that does not find it is worth
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// A lane's commits are not guarded.
    NoGuard,
    /// A takeover reads where to begin before the owner before is fenced off.
    ReadBeforeFence,
    /// A reply of a batched read that was lost is not noticed.
    ReplyUnnoticed,
    /// A resend is stored without looking for the first attempt.
    NoLookup,
    /// The mirror's progress is written beside the transaction, not in it.
    ProgressOutside,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NoGuard,
        Self::ReadBeforeFence,
        Self::ReplyUnnoticed,
        Self::NoLookup,
        Self::ProgressOutside,
    ];

    /// Where it is put in.
    pub const fn scenario(self) -> Scenario {
        match self {
            Self::NoGuard | Self::ReadBeforeFence => Scenario::Lane,
            Self::ReplyUnnoticed => Scenario::Feed,
            Self::NoLookup => Scenario::Publisher,
            Self::ProgressOutside => Scenario::Mirror,
        }
    }
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident $word:literal),+ $(,)?) => {
        /// What a step does. The two numbers beside it mean what each says.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Act {
            $($(#[$doc])* $name,)+
        }

        impl Act {
            /// As it is written.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

acts! {
    /// A party does its ordinary work: who, on which channel.
    Work "work",
    /// A party begins anew elsewhere and does again what is open: who, where.
    Again "again",
    /// A process dies: which, after so many more turns of its task.
    Crash "crash",
    /// A process stands still: which, for how many milliseconds.
    Sleep "sleep",
    /// A process is cut off: which, for how many milliseconds.
    Cut "cut",
    /// A process's connection breaks: which, for how many milliseconds.
    Break "break",
    /// Other faults by themselves from now on: none, some, many.
    Weather "weather",
    /// A deposed leader answers too: of which stream, for how many milliseconds.
    Stale "stale",
    /// A stream has no leader: which, for how many milliseconds.
    Leader "leader",
    /// A stream's consumers are lost: which.
    Readers "readers",
    /// A batch is left open on a stream.
    Batch "batch",
    /// The store's clock is set: to so many seconds before or after the true time,
    /// counted from [`CLOCK_MIDDLE`].
    Clock "clock",
    /// Time passes: seconds.
    Pass "pass",
}

/// The second number of a [`Act::Clock`] that means the true time.
pub const CLOCK_MIDDLE: u32 = 20;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub act: Act,
    /// Who, or which.
    pub who: u32,
    /// How much, or where.
    pub much: u32,
    /// The time until the next step, milliseconds.
    pub pause_ms: u32,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            act,
            who,
            much,
            pause_ms,
        } = self;
        write!(f, "{} {who} {much} +{pause_ms}", act.word())
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no step");
        let mut words = text.split_whitespace();
        let act = words.next().and_then(Act::of).ok_or_else(bad)?;
        let mut number = |sign: &str| {
            let word = words.next()?.strip_prefix(sign)?;
            word.parse().ok()
        };
        let (who, much, pause_ms) = (number(""), number(""), number("+"));
        match (who, much, pause_ms) {
            (Some(who), Some(much), Some(pause_ms)) => Ok(Self {
                act,
                who,
                much,
                pause_ms,
            }),
            _ => Err(bad()),
        }
    }
}

/// How often a scenario takes each kind of step, and the bounds of its numbers.
pub type Mix = &'static [(u32, Act, u32, u32)];

/// A run to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What is simulated.
    pub scenario: Scenario,
    /// Seed of the model's choices.
    pub seed: u64,
    /// The steps.
    pub steps: Vec<Step>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            seed,
            steps,
        } = self;
        let steps: Vec<_> = steps.iter().map(Step::to_string).collect();
        let steps = steps.join("; ");
        write!(f, "--scenario {scenario} --seed {seed} --steps \"{steps}\"")
    }
}

/// Reads steps as a schedule prints them.
///
/// # Errors
/// Names the step that cannot be read.
pub fn read_steps(text: &str) -> Result<Vec<Step>, String> {
    let steps = text.split(';').filter(|step| !step.trim().is_empty());
    steps.map(str::parse).collect()
}

/// One step by chance.
pub fn draw(mix: Mix, dice: &mut StdRng) -> Step {
    let all: u32 = mix.iter().map(|(weight, ..)| weight).sum();
    let mut left = dice.random_range(0..all);
    let found = mix.iter().find(|(weight, ..)| {
        let here = left < *weight;
        left = left.saturating_sub(*weight);
        here
    });
    let (_, act, who, much) = found.copied().unwrap_or((0, Act::Pass, 0, 0));
    // Mostly at once or soon, so that steps meet what is under way.
    let longest = [0, 3, 20, 200][dice.random_range(0..4)];
    Step {
        act,
        who: dice.random_range(0..=who),
        much: dice.random_range(0..=much),
        pause_ms: dice.random_range(0..=longest),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const MIX: Mix = &[(3, Act::Work, 2, 4), (1, Act::Clock, 0, 40)];

    #[test]
    fn a_schedule_is_a_function_of_its_seed_and_can_be_read_again() {
        let steps = |seed| {
            let mut dice = StdRng::seed_from_u64(seed);
            (0..50).map(|_| draw(MIX, &mut dice)).collect::<Vec<_>>()
        };
        assert_eq!(steps(1), steps(1));
        assert_ne!(steps(1), steps(2));
        let schedule = Schedule {
            scenario: Scenario::Lane,
            seed: 1,
            steps: steps(1),
        };
        let text = schedule.to_string();
        let text = text.split('"').nth(1);
        assert_eq!(text.map(read_steps), Some(Ok(schedule.steps)));
        assert!(read_steps("work 1 2 3").is_err() && read_steps("jump 1 2 +3").is_err());
        assert_eq!("lane".parse(), Ok(Scenario::Lane));
    }
}
