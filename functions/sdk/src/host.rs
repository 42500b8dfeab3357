//! What a function may ask of its host: log, metrics and the clock.
//!
//! In a guest each call is an import; natively there is no host, and
//! [`testing`](crate::testing) records the calls instead. Owns nothing; must not
//! know rates and limits, which are the host's.

/// Log lines, which go to the function's log.
///
/// Lines beyond the function's log rate are dropped and counted; longer than
/// 4,096 bytes they are cut.
pub mod log {
    /// How much a line matters.
    pub use crate::bindings::eddyline::function::log::Level;

    /// Writes one line.
    pub fn write(level: Level, message: &str) {
        #[cfg(target_arch = "wasm32")]
        crate::bindings::eddyline::function::log::write(level, message);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| host.lines.push((level, message.to_owned())));
    }

    /// Writes one line for those who look into the function itself.
    pub fn debug(message: &str) {
        write(Level::Debug, message);
    }

    /// Writes one line about what usually happens.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// Writes one line about what should not happen but was dealt with.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }

    /// Writes one line about what went wrong.
    pub fn error(message: &str) {
        write(Level::Error, message);
    }
}

/// Metrics under the function's name.
///
/// Names match `[a-z][a-z0-9_]{0,63}`; others are ignored and counted. An event
/// that is handled again counts again.
pub mod metrics {
    /// Adds to a counter.
    pub fn count(name: &str, delta: u64) {
        #[cfg(target_arch = "wasm32")]
        crate::bindings::eddyline::function::metrics::count(name, delta);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| *host.counters.entry(name.to_owned()).or_default() += delta);
    }

    /// Sets a gauge.
    pub fn gauge(name: &str, value: f64) {
        #[cfg(target_arch = "wasm32")]
        crate::bindings::eddyline::function::metrics::gauge(name, value);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| {
            host.gauges.insert(name.to_owned(), value);
        });
    }

    /// Adds an observation to a histogram.
    pub fn observe(name: &str, value: f64) {
        #[cfg(target_arch = "wasm32")]
        crate::bindings::eddyline::function::metrics::observe(name, value);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| {
            host.observations
                .entry(name.to_owned())
                .or_default()
                .push(value);
        });
    }
}

/// Time. Prefer event time: [`Event::time_us`](crate::Event::time_us) is the
/// same at every replay.
pub mod clock {
    use crate::Event;

    /// The host's clock, in microseconds since the Unix epoch, if the function
    /// was granted it.
    #[must_use]
    pub fn wall_us() -> Option<u64> {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::eddyline::function::clock::wall_us();
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| host.wall_us)
    }

    /// The time to use while handling an event: the wall clock if it was
    /// granted, the event's own time otherwise.
    #[must_use]
    pub fn now_us(event: &Event<'_>) -> u64 {
        wall_us().unwrap_or_else(|| event.time_us())
    }
}
