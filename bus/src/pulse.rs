//! Whether JetStream answers, and how far its clock is from ours.
//!
//! Owns one task that asks a stream's leader for the stream's state every few seconds.
//! A socket that stands proves nothing: a server that has lost its cluster answers
//! pings and stores nothing.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::stream::StreamName;
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::time::Instant;

use crate::bus::Bus;

/// How often the stream's leader is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long JetStream may be silent before the process says that it is not ready: a
/// change of leader takes some seconds, a request gives up after five.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How far the clocks may differ before the process says that it is not ready. Resends
/// are looked up from the client's first attempt on, by the server's clock, with 60 s
/// of slack; half of it is for this.
pub const SKEW_MAX: Duration = Duration::from_secs(30);

/// What was heard so far.
#[derive(Debug)]
struct Heard {
    last: Option<Instant>,
    started: Instant,
    skew_us: i64,
}

/// A stream's leader, asked again and again. Clones share it.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Mutex<Heard>>);

impl Pulse {
    /// Starts asking, until `stop`.
    pub fn start(bus: Bus, stream: StreamName, stop: Shutdown) -> Self {
        let heard = Heard {
            last: None,
            started: Instant::now(),
            skew_us: 0,
        };
        let pulse = Self(Arc::new(Mutex::new(heard)));
        let told = pulse.clone();
        tokio::spawn(async move {
            loop {
                // Cancel safe: both only wait, or ask.
                tokio::select! {
                    () = stop.triggered() => return,
                    () = told.ask(&bus, &stream) => {}
                }
                tokio::select! {
                    () = stop.triggered() => return,
                    () = tokio::time::sleep(INTERVAL) => {}
                }
            }
        });
        pulse
    }

    async fn ask(&self, bus: &Bus, stream: &StreamName) {
        let (asked, before) = (Instant::now(), now_us());
        match bus.server_time(stream).await {
            Ok(server_us) => self.hear(asked.elapsed(), before, server_us),
            Err(error) => tracing::debug!(%error, "jetstream does not answer"),
        }
        metrics::gauge!("jetstream_silent_seconds").set(self.silent().as_secs_f64());
    }

    /// The server said its time; it lies between the question and the answer.
    fn hear(&self, took: Duration, before_us: u64, server_us: u64) {
        let middle = before_us as i64 + (took.as_micros() / 2) as i64;
        let skew_us = server_us as i64 - middle;
        metrics::gauge!("clock_skew_seconds").set(skew_us as f64 / 1e6);
        let mut heard = self.0.lock();
        heard.last = Some(Instant::now());
        heard.skew_us = skew_us;
    }

    /// How long there has been no answer.
    pub fn silent(&self) -> Duration {
        let heard = self.0.lock();
        heard.last.unwrap_or(heard.started).elapsed()
    }

    /// How far the server's clock is ahead of this machine's, microseconds, as measured
    /// last; 0 before the first answer.
    pub fn skew_us(&self) -> i64 {
        self.0.lock().skew_us
    }

    /// What keeps the process from being ready, in words.
    pub fn waiting(&self) -> Vec<String> {
        let (silent, skew_us) = (self.silent(), self.skew_us());
        let unheard = self.0.lock().last.is_none();
        let mut waiting = Vec::new();
        if unheard {
            waiting.push("jetstream has not answered yet".to_owned());
        } else if silent > SILENCE_MAX {
            waiting.push(format!(
                "jetstream has not answered for {} s",
                silent.as_secs()
            ));
        }
        if skew_us.unsigned_abs() > SKEW_MAX.as_micros() as u64 {
            let (seconds, side) = (skew_us.unsigned_abs() / 1_000_000, direction(skew_us));
            waiting.push(format!(
                "this machine's clock is {seconds} s {side} jetstream's"
            ));
        }
        waiting
    }
}

fn direction(skew_us: i64) -> &'static str {
    if skew_us > 0 { "behind" } else { "ahead of" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse() -> Pulse {
        Pulse(Arc::new(Mutex::new(Heard {
            last: None,
            started: Instant::now(),
            skew_us: 0,
        })))
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_told_after_its_limit_and_forgotten_with_an_answer() {
        let pulse = pulse();
        assert_eq!(pulse.waiting(), ["jetstream has not answered yet"]);
        pulse.hear(Duration::ZERO, 5, 5);
        tokio::time::advance(SILENCE_MAX).await;
        assert!(pulse.waiting().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pulse.waiting(), ["jetstream has not answered for 11 s"]);
        pulse.hear(Duration::ZERO, 5, 5);
        assert!(pulse.waiting().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_within_and_beyond_its_limit() {
        let pulse = pulse();
        let limit = SKEW_MAX.as_micros() as u64;
        pulse.hear(Duration::from_micros(20), 1_000, 1_010 + limit);
        assert!(pulse.waiting().is_empty());
        pulse.hear(Duration::from_micros(20), 1_000, 1_011 + limit);
        assert_eq!(
            pulse.waiting(),
            ["this machine's clock is 30 s behind jetstream's"]
        );
        pulse.hear(Duration::ZERO, 2 * limit, 1);
        assert_eq!(
            pulse.waiting(),
            ["this machine's clock is 59 s ahead of jetstream's"]
        );
    }
}
