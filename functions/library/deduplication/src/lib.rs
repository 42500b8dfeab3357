//! A gate that refuses what came before: events that have the same field, or the same
//! header, within a time.
//!
//! Owns its settings; what came before is in the channel's memory. Must not know a clock:
//! time is that of the events, so that a replay refuses the same ones.
//!
//! The page `README.md` beside this crate names the settings.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use recent_keys::{Kept, RecentKeys};
use sdk::{Config, Emitter, Event, Outcome, Worker, metrics};
use settings::{Refusal, Settings, json};

/// For how long an event is remembered, unless set.
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// By what events are told apart.
#[derive(Debug, PartialEq, Eq)]
enum By {
    /// A field, by JSON pointer.
    Field(String),
    Header(String),
}

impl FromStr for By {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("header.") {
            Some(name) if !name.is_empty() => Ok(Self::Header(name.to_owned())),
            None if text.is_empty() || text.starts_with('/') => Ok(Self::Field(text.to_owned())),
            _ => Err("not header.<name> or a JSON pointer"),
        }
    }
}

/// As publishers are told.
impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(pointer) => write!(f, "field {pointer:?}"),
            Self::Header(name) => write!(f, "header {name:?}"),
        }
    }
}

impl By {
    /// What events with the same value share, if the event has one.
    fn key(&self, event: &Event<'_>) -> Result<String, String> {
        match self {
            Self::Field(pointer) => {
                let document = json(event)?;
                let node = document.pointer(pointer);
                let node = node.ok_or_else(|| format!("it has no {self}"))?;
                Ok(node.canonical())
            }
            Self::Header(name) => match event.header(name) {
                Some(value) => Ok(value.to_owned()),
                None => Err(format!("it has no {self}")),
            },
        }
    }
}

/// What becomes of an event that has no such field or header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Reject,
    Pass,
}

impl FromStr for Missing {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "reject" => Ok(Self::Reject),
            "pass" => Ok(Self::Pass),
            _ => Err("not one of reject, pass"),
        }
    }
}

/// The gate.
pub struct Deduplication {
    by: By,
    within: Duration,
    /// Whether users are told apart: the same of another user is no double.
    per_user: bool,
    refuse: Refusal,
    missing: Missing,
}

impl Worker for Deduplication {
    fn init(config: &Config) -> Result<Self, String> {
        let keys = ["by", "within", "per_user", "refuse", "missing"];
        let settings = Settings::new(config, &keys)?;
        let by = settings.get("by");
        let by = by.ok_or_else(|| Settings::wrong("by", "is not set"))?;
        let wrong = |error| Settings::wrong("by", format!("{by:?}: {error}"));
        Ok(Self {
            by: by.parse().map_err(wrong)?,
            within: settings.time("within")?.unwrap_or(WITHIN),
            per_user: settings.parse_or("per_user", false)?,
            refuse: settings.parse_or("refuse", Refusal::Drop)?,
            missing: settings.parse_or("missing", Missing::Reject)?,
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let key = match (self.by.key(event), self.missing) {
            (Ok(key), _) => key,
            (Err(_), Missing::Pass) => {
                metrics::count("missing", 1);
                return out.pass();
            }
            (Err(reason), Missing::Reject) => return Outcome::reject(reason),
        };
        let user = if self.per_user { event.publisher() } else { "" };
        // The length first, so that no user and value look like another user's.
        let key = format!("{}:{user}{key}", user.len());
        let known = RecentKeys::of(event);
        if known.until(&key).is_some() {
            metrics::count("refused", 1);
            let within = humantime::format_duration(self.within);
            let reason = format!("a double: its {} came before, within {within}", self.by);
            return self.refuse.outcome(reason);
        }
        let within = u64::try_from(self.within.as_micros()).unwrap_or(u64::MAX);
        match known.keep(&key, event.time_us().saturating_add(within)) {
            Ok(Kept::Beside) => {}
            Ok(Kept::InsteadOfAnother) => metrics::count("forgotten", 1),
            Err(error) => return Outcome::reject(error.to_string()),
        }
        out.pass()
    }
}

sdk::export!(Deduplication);

#[cfg(test)]
mod tests;
