//! A bucket of tokens, of which each event takes one and which fills up evenly.
//!
//! A value. Must not know whose bucket it is. All that a bucket remembers is when it will
//! be full again: what is missing from it follows from that.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How many events in which time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Tokens of a full bucket, and how many come in a period.
    events: u64,
    period: Duration,
    /// Microseconds in which one token comes, rounded up.
    token_us: u64,
}

impl Rate {
    /// Takes a token at `now`, from a bucket that is full at `full` (now, if it says
    /// nothing), both in microseconds: when it will be full now.
    ///
    /// # Errors
    /// How long it is until there is one.
    pub fn take(&self, full: Option<u64>, now: u64) -> Result<u64, Duration> {
        let empty = now.saturating_add(self.events * self.token_us);
        // No bucket is more than empty: where one seems so, another rate was set before,
        // or the store's clock has been set back.
        let full = full.unwrap_or(now).clamp(now, empty);
        let then = full.saturating_add(self.token_us);
        match then.checked_sub(empty) {
            None | Some(0) => Ok(then),
            Some(wait) => Err(Duration::from_micros(wait)),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || format!("{text:?} is not <events>/<time>, such as 5/10s");
        let (events, time) = text.split_once('/').ok_or_else(form)?;
        let events: u64 = events.trim().parse().map_err(|_| form())?;
        let period = settings::time(time.trim()).map_err(|error| format!("{text:?}: {error}"))?;
        let period_us = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
        // A token takes a microsecond at least: events have no finer time. And a bucket
        // is full within the years that a time can say.
        if events == 0 || events > period_us || period > PERIOD_MAX {
            return Err(format!(
                "{text:?}: at least one event, at most one each microsecond, within at most a year"
            ));
        }
        Ok(Self {
            events,
            period,
            token_us: period_us.div_ceil(events),
        })
    }
}

/// Longest period: event times are microseconds in 64 bits, with room for many of it.
const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

/// As publishers are told.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = humantime::format_duration(self.period);
        write!(f, "{} events in {period}", self.events)
    }
}

#[cfg(test)]
mod tests;
