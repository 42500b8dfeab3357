//! A host with one function on one lane, and what the function logged. Owns both.

use std::sync::Arc;

use parking_lot::Mutex;
use protocol::spec::{self, FunctionLimits, FunctionSpec};

use crate::log::{Line, Sink};
use crate::module::Program;
use crate::pack::Item;
use crate::pool::Guest;
use crate::reply::Handled;
use crate::tests::{EVENT_BYTES_MAX, item, spec};
use crate::{Host, HostConfig};

/// Keeps every line.
#[derive(Default)]
pub struct Lines(Mutex<Vec<Line>>);

impl Sink for Lines {
    fn take(&self, line: Line) -> bool {
        self.0.lock().push(line);
        true
    }
}

/// One function at work.
pub struct Stage {
    pub program: Arc<Program>,
    guest: Guest,
    lines: Arc<Lines>,
    _host: Host,
}

impl Stage {
    /// Compiles the function; compiled code is kept beside what tests build.
    pub fn new(wasm: &[u8], limits: FunctionLimits) -> Self {
        Self::pipeline(wasm, limits, Vec::new())
    }

    /// The same of a pipeline, each stage of which has the same module.
    pub fn pipeline(wasm: &[u8], limits: FunctionLimits, then: Vec<spec::Stage>) -> Self {
        let config = HostConfig {
            threads: 1,
            event_bytes_max: EVENT_BYTES_MAX,
            compiled: Some(super::kept()),
        };
        let lines = Arc::new(Lines::default());
        let host = Host::configured(&config, lines.clone()).unwrap();
        let spec = FunctionSpec {
            digest: super::digest(wasm),
            then,
            ..spec(limits)
        };
        let module = host.compile(&spec.digest, wasm).unwrap();
        let modules = vec![module; spec.then.len() + 1];
        Self {
            program: Program::new(Arc::new(spec), modules),
            guest: host.attach(3),
            lines,
            _host: host,
        }
    }

    /// Hands one event for each order to the function, on channels of their own, until
    /// each has been handled.
    pub async fn run(&self, orders: &[String]) -> Vec<Handled> {
        let items: Vec<_> = (1..)
            .zip(orders)
            .map(|(seq, order)| item(seq, &format!("doc.{seq}"), order))
            .collect();
        self.hand(items).await
    }

    /// Hands these events to the function until each has been handled.
    pub async fn hand(&self, items: Vec<Item>) -> Vec<Handled> {
        let mut handled = Vec::new();
        while handled.len() < items.len() {
            let rest = items[handled.len()..].to_vec();
            let some = self.guest.run(self.program.clone(), rest).await.unwrap();
            assert!(!some.is_empty(), "a run handles something");
            handled.extend(some);
        }
        handled
    }

    /// Hands over one event.
    pub async fn one(&self, order: impl Into<String>) -> Handled {
        self.run(&[order.into()]).await.remove(0)
    }

    /// What was logged since the last look.
    pub fn lines(&self) -> Vec<Line> {
        std::mem::take(&mut self.lines.0.lock())
    }

    /// The texts of what was logged since the last look.
    pub fn texts(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.text).collect()
    }
}

/// The data of a handled event's emissions, as text.
pub fn data(handled: &Handled) -> Vec<String> {
    let emits = super::emitted(handled).iter();
    emits
        .map(|emit| String::from_utf8(emit.data.to_vec()).unwrap())
        .collect()
}
