//! A gate that refuses what comes too often: of one user on a channel, on a channel
//! altogether, or both.
//!
//! Owns its limits; what was taken is in the channel's memory. Must not know a clock:
//! time is that of the events, so that a replay refuses the same ones.
//!
//! The page `README.md` beside this crate names the settings.

use std::time::Duration;

use recent_keys::{Kept, RecentKeys};
use sdk::{Config, Emitter, Event, Outcome, State, StateError, Worker, metrics};
use settings::{Refusal, Settings};

mod rate;

use rate::Rate;

/// Under what the channel's own bucket is remembered.
const CHANNEL: &str = "channel";

/// The gate.
pub struct RateLimit {
    user: Option<Rate>,
    channel: Option<Rate>,
    refuse: Refusal,
}

impl Worker for RateLimit {
    fn init(config: &Config) -> Result<Self, String> {
        let settings = Settings::new(config, &["user", "channel", "refuse"])?;
        let rate = |key| {
            let read = |text: &str| text.parse().map_err(|error| Settings::wrong(key, error));
            settings.get(key).map(read).transpose()
        };
        let (user, channel) = (rate("user")?, rate("channel")?);
        if user.is_none() && channel.is_none() {
            return Err(Settings::wrong("user", "neither user nor channel is set"));
        }
        Ok(Self {
            user,
            channel,
            refuse: settings.parse_or("refuse", Refusal::Drop)?,
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        match self.take(event) {
            Ok(Ok(())) => out.pass(),
            Ok(Err(reason)) => {
                metrics::count("refused", 1);
                self.refuse.outcome(reason)
            }
            Err(error) => Outcome::reject(error.to_string()),
        }
    }
}

impl RateLimit {
    /// Takes from the buckets; what is taken from one for an event that the other refuses
    /// was never taken, because a refused event leaves nothing behind.
    fn take(&self, event: &Event<'_>) -> Result<Result<(), String>, StateError> {
        let now = event.time_us();
        if let Some(rate) = &self.user {
            let users = RecentKeys::of(event);
            let full = match rate.take(users.until(event.publisher()), now) {
                Ok(full) => full,
                Err(wait) => return Ok(Err(reason(rate, "of one user", wait))),
            };
            if users.keep(event.publisher(), full)? == Kept::InsteadOfAnother {
                metrics::count("forgotten", 1);
            }
        }
        if let Some(rate) = &self.channel {
            let state = State::of(event);
            let full = match rate.take(state.parse(CHANNEL), now) {
                Ok(full) => full,
                Err(wait) => return Ok(Err(reason(rate, "on the channel", wait))),
            };
            let left = Duration::from_micros(full.saturating_sub(now));
            // A millisecond more: what is left of one counts.
            let left = left + Duration::from_millis(1);
            state.put_for(CHANNEL, full.to_string(), left)?;
        }
        Ok(Ok(()))
    }
}

/// What publishers are told.
fn reason(rate: &Rate, whose: &str, wait: Duration) -> String {
    let wait = wait.as_micros().div_ceil(1_000);
    format!("more than {rate} {whose}: come again in {wait} ms")
}

sdk::export!(RateLimit);

#[cfg(test)]
mod tests;
