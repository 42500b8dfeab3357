//! How an event is refused that is well formed, and yet not to be stored.
//!
//! A value. Must not know why.

use std::str::FromStr;

use sdk::Outcome;

/// The outcome of an event that is refused. Its publisher is told either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is dropped: nothing of it is kept beside the input itself.
    Drop,
    /// It is rejected: a dead letter, for somebody to look at.
    Reject,
}

impl Refusal {
    /// The outcome, with a reason.
    pub fn outcome(self, reason: String) -> Outcome {
        match self {
            Self::Drop => Outcome::drop(reason),
            Self::Reject => Outcome::reject(reason),
        }
    }
}

impl FromStr for Refusal {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "drop" => Ok(Self::Drop),
            "reject" => Ok(Self::Reject),
            _ => Err("not one of drop, reject"),
        }
    }
}
