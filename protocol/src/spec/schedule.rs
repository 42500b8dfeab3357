//! When a function is called that handles no events: at stated times.
//!
//! A time becomes an event, a tick, on a channel; what follows is as with every event.
//! Pure; owns nothing. Times are whole seconds since 1970, in UTC; whose clock they are
//! of, and how a tick is stored once, is the lane's.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::cron::Cron;
use crate::lane::Lane;
use crate::name::{Channel, Tenant};

/// Least time between two ticks, seconds: each costs two commits and, where the mirror
/// runs, a record.
pub const EVERY_S_MIN: u64 = 1;
/// Longest interval, seconds: a week. What is rarer has a place in the calendar.
pub const EVERY_S_MAX: u64 = 7 * 86_400;
/// How late a tick may come that was not missed, seconds: longer than any lane that dies
/// takes to have another owner.
pub const LATE_S_MAX: u64 = 60;
/// Most ticks that are made up for, the latest ones: they fit one batch of events.
pub const MADE_UP_MAX: usize = 100;
/// How far back a tick counts as missed, seconds: a month. What fell due before that is
/// neither made nor counted.
pub const MISSED_S_MAX: u64 = 31 * 86_400;

// All ticks that are merely late can be made.
const _: () = assert!(LATE_S_MAX / EVERY_S_MIN < MADE_UP_MAX as u64);

/// At which times, and where the ticks go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Schedule {
    times: Times,
    tenant: Tenant,
    channel: Channel,
    missed: Missed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Times {
    /// Seconds, and as it is written.
    Every(u64, Box<str>),
    Cron(Cron),
}

/// What becomes of ticks that nobody made in time, because no worker ran or the function
/// was paused or halted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// None is made up for.
    Skip,
    /// The latest one is.
    #[default]
    Latest,
    /// The latest [`MADE_UP_MAX`] are, in order.
    All,
}

/// As it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    tenant: Tenant,
    channel: Channel,
    #[serde(default)]
    missed: Missed,
}

impl TryFrom<Written> for Schedule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let times = match (&written.every, &written.cron) {
            (Some(every), None) => read_every(every)?,
            (None, Some(cron)) => {
                Times::Cron(Cron::parse(cron).map_err(|problem| format!("cron: {problem}"))?)
            }
            _ => return Err("names either `every` or `cron`".into()),
        };
        Channel::for_client(written.channel.as_str()).map_err(|error| error.to_string())?;
        Ok(Self {
            times,
            tenant: written.tenant,
            channel: written.channel,
            missed: written.missed,
        })
    }
}

impl From<Schedule> for Written {
    fn from(schedule: Schedule) -> Self {
        let text = Some(schedule.times().to_owned());
        let (every, cron) = match schedule.times {
            Times::Every(..) => (text, None),
            Times::Cron(_) => (None, text),
        };
        Self {
            every,
            cron,
            tenant: schedule.tenant,
            channel: schedule.channel,
            missed: schedule.missed,
        }
    }
}

fn read_every(text: &str) -> Result<Times, String> {
    let wrong = || format!("every: {text:?} is no time such as 10s, 5m, 2h or 1d");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let seconds = count.saturating_mul(unit);
    if !(EVERY_S_MIN..=EVERY_S_MAX).contains(&seconds) {
        return Err(format!(
            "every: must be {EVERY_S_MIN}s to 7d; `cron` for less often"
        ));
    }
    Ok(Times::Every(seconds, text.into()))
}

/// Ticks that are to be made now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// When each was due, in order.
    pub make: Vec<u64>,
    /// How many before them are left out.
    pub left_out: u64,
    /// When the last was due that is made or left out; `None`: there was none.
    pub until: Option<u64>,
}

impl Schedule {
    /// The tenant whose events the ticks are.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The channel of the ticks.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// What becomes of missed ticks.
    pub fn missed(&self) -> Missed {
        self.missed
    }

    /// The lane of the ticks, in a store of so many.
    pub fn lane(&self, lanes: u16) -> Lane {
        Lane::of(&self.tenant, &self.channel, lanes)
    }

    /// The times, as they are written: `10s`, or the five fields of cron.
    pub fn times(&self) -> &str {
        match &self.times {
            Times::Every(_, text) => text,
            Times::Cron(cron) => cron.as_str(),
        }
    }

    /// When the first tick is due after a time. Intervals count from 1970 on, whenever the
    /// function was deployed.
    pub fn after(&self, time: u64) -> Option<u64> {
        match &self.times {
            Times::Every(every, _) => (time / every).checked_add(1)?.checked_mul(*every),
            Times::Cron(cron) => cron.after(time),
        }
    }

    /// What is to be made now, when every tick is settled that was due up to `last`. Ticks
    /// that are at most [`LATE_S_MAX`] late are all made; of others [`Missed`] says which.
    pub fn due(&self, last: u64, now: u64) -> Due {
        let mut due = Due::default();
        let mut first = None;
        let mut latest = VecDeque::new();
        let mut at = last.max(now.saturating_sub(MISSED_S_MAX));
        while let Some(next) = self.after(at).filter(|next| *next <= now) {
            first.get_or_insert(next);
            latest.push_back(next);
            if latest.len() > MADE_UP_MAX {
                latest.pop_front();
                due.left_out += 1;
            }
            due.until = Some(next);
            at = next;
        }
        let late = first.is_some_and(|first| now - first > LATE_S_MAX);
        let keep = match self.missed {
            Missed::Skip if late => 0,
            Missed::Latest if late => 1,
            _ => latest.len(),
        };
        let left_out = latest.len() - keep;
        due.left_out += left_out as u64;
        due.make = latest.into_iter().skip(left_out).collect();
        due
    }
}

#[cfg(test)]
mod tests;
