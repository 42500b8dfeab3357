//! A function's own metrics: its counters, gauges and histograms, under a bounded set of
//! names.
//!
//! Owns the names, and a handle to each metric: a guest may count for each event, and to
//! name a metric to the recorder costs several times as much as to find its handle.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram};
use parking_lot::Mutex;
use protocol::name::FunctionName;

/// Most names of metrics of one function.
pub const METRIC_NAMES_MAX: usize = 64;
/// Longest name of a guest's metric, bytes.
const METRIC_NAME_BYTES_MAX: usize = 64;

type Labels = [(&'static str, String); 2];

/// The metrics of one function on this worker.
pub struct Meters {
    function: FunctionName,
    names: Mutex<BTreeMap<String, Handles>>,
    ignored: OnceLock<Counter>,
}

/// What there is under one name.
#[derive(Default)]
struct Handles {
    counter: Option<Counter>,
    gauge: Option<Gauge>,
    histogram: Option<Histogram>,
}

impl Meters {
    /// No name yet.
    pub fn new(function: FunctionName) -> Self {
        Self {
            function,
            names: Mutex::default(),
            ignored: OnceLock::new(),
        }
    }

    /// Adds to a counter. Here and below: a name that is none, or one too many, is
    /// ignored and counted.
    pub fn count(&self, name: &str, delta: u64) {
        self.with(name, |handles, labels| {
            let new = || metrics::counter!("function_custom_total", &labels());
            handles.counter.get_or_insert_with(new).increment(delta);
        });
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &str, value: f64) {
        self.with(name, |handles, labels| {
            let new = || metrics::gauge!("function_custom", &labels());
            handles.gauge.get_or_insert_with(new).set(value);
        });
    }

    /// Adds to a histogram.
    pub fn observe(&self, name: &str, value: f64) {
        self.with(name, |handles, labels| {
            let new = || metrics::histogram!("function_custom_observed", &labels());
            handles.histogram.get_or_insert_with(new).record(value);
        });
    }

    fn with(&self, name: &str, measure: impl FnOnce(&mut Handles, &dyn Fn() -> Labels)) {
        let labels = || {
            let function = self.function.as_str().to_owned();
            [("function", function), ("name", name.to_owned())]
        };
        if is_name(name) {
            let mut names = self.names.lock();
            if let Some(handles) = names.get_mut(name) {
                return measure(handles, &labels);
            }
            if names.len() < METRIC_NAMES_MAX {
                return measure(names.entry(name.to_owned()).or_default(), &labels);
            }
        }
        let ignored = || metrics::counter!("function_metrics_ignored_total", "function" => self.function.to_string());
        self.ignored.get_or_init(ignored).increment(1);
    }
}

fn is_name(name: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= METRIC_NAME_BYTES_MAX
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name.bytes().all(rest)
}

#[cfg(test)]
impl Meters {
    /// Whether the function has a metric of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.lock().contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_checked() {
        let meters = Meters::new(FunctionName::parse("probe").unwrap());
        let names: Vec<String> = (0..1_000).map(|n| format!("n{n}")).collect();
        for (n, name) in names.iter().enumerate() {
            match n % 3 {
                0 => meters.count(name, 1),
                1 => meters.gauge(name, 1.0),
                _ => meters.observe(name, 1.0),
            }
        }
        let admitted = names.iter().filter(|name| meters.has(name)).count();
        assert_eq!(admitted, METRIC_NAMES_MAX);
        // One name may be of several kinds.
        meters.observe("n0", 1.0);
        let other = Meters::new(FunctionName::parse("other").unwrap());
        for name in ["", "9", "A", "a-b", &"a".repeat(METRIC_NAME_BYTES_MAX + 1)] {
            other.count(name, 1);
            assert!(!other.has(name), "{name}");
        }
        let longest = "a".repeat(METRIC_NAME_BYTES_MAX);
        other.count(&longest, 1);
        assert!(other.has(&longest));
    }
}
