//! Logs and metrics of the process.
//!
//! Owns the two process-wide things there are: the log subscriber and the metrics
//! recorder. Installing either twice is harmless, since tests and `eddyline dev`
//! run several services in one process.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// The variable with the log filter, in `tracing`'s directive syntax.
pub const LOG_VARIABLE: &str = "EDDYLINE_LOG";
/// What is logged without it: our own news, and only warnings of the libraries
/// (async-nats reports every connection event, which we do ourselves).
const LOG_DEFAULT: &str =
    "info,async_nats=warn,async_nats::connector=off,rdkafka=warn,hyper=warn,tonic=warn";
/// How often histograms fold their raw samples, which would pile up otherwise.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Bounds of every `*_seconds` histogram: 100 µs to 10 s.
const SECONDS_BUCKETS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Sends the process's logs to standard error, filtered by `EDDYLINE_LOG`. The
/// first caller in a process wins.
pub fn init_logs(service: &str) {
    let filter =
        EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    let installed = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    if installed.is_ok() {
        tracing::debug!(service, "logs start");
    }
}

/// The process's metrics; installs the recorder at the first call.
pub fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(install).clone()
}

fn install() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS_BUCKETS)
        .expect("the list of buckets is not empty")
        .build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another metrics recorder is installed; this process's metrics go there");
        return handle;
    }
    let upkeep = handle.clone();
    let thread = std::thread::Builder::new()
        .name("metrics-upkeep".into())
        .spawn(move || {
            loop {
                std::thread::sleep(UPKEEP_INTERVAL);
                upkeep.run_upkeep();
            }
        });
    if let Err(error) = thread {
        tracing::warn!(%error, "histograms are folded only when they are read");
    }
    handle
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_recorder_is_installed_once() {
        let first = super::metrics_handle();
        metrics::counter!("telemetry_test_total").increment(2);
        assert!(
            super::metrics_handle()
                .render()
                .contains("telemetry_test_total 2")
        );
        assert!(first.render().contains("telemetry_test_total 2"));
    }
}
