//! What a guest may ask for: log, config, metrics, clock. Nothing else answers:
//! WASI imports that a language's runtime brings along are linked to traps, any
//! other import refuses the module.
//!
//! Owns nothing but the linker it fills; the state of a call is in the instance's
//! [`Ambient`]. No import blocks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::spec::FunctionSpec;
use tokio::time::Instant;
use wasmtime::component::{Component, Linker, LinkerInstance};
use wasmtime::{Engine, StoreContextMut};

use super::abi::Level;
use super::limits::{LOG_LINE_BYTES_MAX, Limits, LogBudget};

/// Most names of metrics that one instance may use.
pub const METRIC_NAMES_MAX: usize = 64;
/// Longest name of a guest's metric, bytes.
const METRIC_NAME_BYTES_MAX: usize = 64;
/// The version of the interfaces that the host answers.
const PACKAGE: &str = "eddyline:function/";
const VERSION: &str = "@1.0.0";

/// The state of one instance, within reach of its imports.
#[derive(Debug)]
pub struct Ambient {
    /// The deployed spec.
    pub spec: Arc<FunctionSpec>,
    /// Which lane the instance serves; for the log.
    pub lane: u16,
    /// What it has taken.
    pub limits: Limits,
    /// Processor time of the thread when the call began.
    pub call_began: Duration,
    /// Whether the call was ended for its deadline.
    pub overran: bool,
    log: LogBudget,
    metrics: BTreeSet<String>,
}

impl Ambient {
    /// The state of a fresh instance.
    pub fn new(spec: Arc<FunctionSpec>, lane: u16) -> Self {
        let limits = Limits::new(spec.limits.memory_bytes);
        let log = LogBudget::new(Instant::now());
        Self {
            spec,
            lane,
            limits,
            call_began: Duration::ZERO,
            overran: false,
            log,
            metrics: BTreeSet::new(),
        }
    }

    fn write(&mut self, level: Level, message: &str) {
        let function = self.spec.name.as_str();
        if !self.log.take(Instant::now()) {
            metrics::counter!("function_log_dropped_total", "function" => function.to_owned())
                .increment(1);
            return;
        }
        let mut end = message.len().min(LOG_LINE_BYTES_MAX);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let (message, lane, digest) =
            (&message[..end], self.lane, &self.spec.digest.as_str()[..12]);
        match level {
            Level::Trace => {
                tracing::trace!(target: "function", function, lane, digest, "{message}")
            }
            Level::Debug => {
                tracing::debug!(target: "function", function, lane, digest, "{message}")
            }
            Level::Info => tracing::info!(target: "function", function, lane, digest, "{message}"),
            Level::Warn => tracing::warn!(target: "function", function, lane, digest, "{message}"),
            Level::Error => {
                tracing::error!(target: "function", function, lane, digest, "{message}")
            }
        }
    }

    /// The labels of a guest's metric, if its name is allowed.
    fn metric(&mut self, name: String) -> Option<[(&'static str, String); 2]> {
        let function = self.spec.name.as_str().to_owned();
        let known = self.metrics.contains(&name);
        if !known && (self.metrics.len() >= METRIC_NAMES_MAX || !is_metric_name(&name)) {
            metrics::counter!("function_metrics_ignored_total", "function" => function)
                .increment(1);
            return None;
        }
        if !known {
            self.metrics.insert(name.clone());
        }
        Some([("function", function), ("name", name)])
    }
}

fn is_metric_name(name: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= METRIC_NAME_BYTES_MAX
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name.bytes().all(rest)
}

/// A linker with everything that the host answers.
///
/// # Errors
/// Wasmtime's, if a name is defined twice.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Ambient>> {
    let mut linker = Linker::new(engine);
    let interface = |name: &str| format!("{PACKAGE}{name}{VERSION}");
    let mut log = linker.instance(&interface("log"))?;
    log.func_wrap(
        "write",
        |mut store: StoreContextMut<'_, Ambient>, (level, message): (Level, String)| {
            store.data_mut().write(level, &message);
            Ok(())
        },
    )?;
    let mut config = linker.instance(&interface("config"))?;
    config.func_wrap(
        "get",
        |store: StoreContextMut<'_, Ambient>, (key,): (String,)| {
            Ok((store.data().spec.config.get(&key).cloned(),))
        },
    )?;
    link_metrics(&mut linker.instance(&interface("metrics"))?)?;
    let mut clock = linker.instance(&interface("clock"))?;
    // No spec grants the wall clock yet: event time is all the time there is.
    clock.func_wrap("wall-us", |_: StoreContextMut<'_, Ambient>, (): ()| {
        Ok((None::<u64>,))
    })?;
    Ok(linker)
}

fn link_metrics(metrics: &mut LinkerInstance<'_, Ambient>) -> wasmtime::Result<()> {
    metrics.func_wrap(
        "count",
        |mut store: StoreContextMut<'_, Ambient>, (name, delta): (String, u64)| {
            if let Some(labels) = store.data_mut().metric(name) {
                metrics::counter!("function_custom_total", &labels).increment(delta);
            }
            Ok(())
        },
    )?;
    metrics.func_wrap(
        "gauge",
        |mut store: StoreContextMut<'_, Ambient>, (name, value): (String, f64)| {
            if let Some(labels) = store.data_mut().metric(name) {
                metrics::gauge!("function_custom", &labels).set(value);
            }
            Ok(())
        },
    )?;
    metrics.func_wrap(
        "observe",
        |mut store: StoreContextMut<'_, Ambient>, (name, value): (String, f64)| {
            if let Some(labels) = store.data_mut().metric(name) {
                metrics::histogram!("function_custom_observed", &labels).record(value);
            }
            Ok(())
        },
    )
}

/// The linker of one component: WASI is linked to traps.
///
/// # Errors
/// An import that is neither the host's nor WASI, by name.
pub fn link(base: &Linker<Ambient>, component: &Component) -> wasmtime::Result<Linker<Ambient>> {
    let engine = component.engine();
    for (name, _) in component.component_type().imports(engine) {
        let ours = name.starts_with(PACKAGE) && name.ends_with(VERSION);
        if !ours && !name.starts_with("wasi:") {
            return Err(wasmtime::Error::msg(format!(
                "the module imports {name:?}, which the host does not offer"
            )));
        }
    }
    let mut linker = base.clone();
    linker.define_unknown_imports_as_traps(component)?;
    Ok(linker)
}
