//! What a command logs to standard error: news of the services, and in `function dev` the
//! function's own lines as they are. Owns nothing but the subscriber that it installs.

use std::fmt;
use std::io::Write;

use service::telemetry::LOG_VARIABLE;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, filter};

use crate::output::harmless;

/// What is logged unless `EDDYLINE_LOG` says otherwise: what a person at a terminal
/// has to know. News of the services would bury the status line.
const DEFAULT: &str = "warn,async_nats=error,rdkafka=error,function=info";
/// The target under which the host logs what guests say.
const GUEST: &str = "function";

/// Installs the logs; with `guests_apart` the function's lines go without time and
/// target, because somebody reads them as they write the function.
pub(super) fn init(guests_apart: bool) {
    let settings = EnvFilter::try_from_env(LOG_VARIABLE);
    let filter = settings.unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let is_apart = move |target: &str| guests_apart && target == GUEST;
    let rest = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_filter(filter)
        .with_filter(filter::filter_fn(move |meta| !is_apart(meta.target())));
    let guests = GuestLines.with_filter(filter::filter_fn(move |meta| is_apart(meta.target())));
    // An error means that logs are installed already, by a test.
    let _ = tracing_subscriber::registry()
        .with(rest)
        .with(guests)
        .try_init();
}

/// Writes what a guest says.
struct GuestLines;

/// The text of one line.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: Subscriber> Layer<S> for GuestLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = event.metadata().level().as_str().to_lowercase();
        // Nobody reads it, then nobody misses it.
        let _ = writeln!(std::io::stderr(), "{level:>8}: {}", harmless(&line.0));
    }
}
