//! A host with one function on one lane, and what the function logged. Owns both.

use std::sync::{Arc, Mutex};

use host::event::Event;
use host::log::{Line, Sink};
use host::module::Program;
use host::pack::Item;
use host::pool::Guest;
use host::reply::{Emit, Handled};
use host::{Host, HostConfig};
use protocol::bus::Stored;
use protocol::envelope::Envelope;
use protocol::id::Publisher;
use protocol::name::{Channel, FunctionName, StoreName, Tenant};
use protocol::spec::{FunctionLimits, FunctionSpec, Trigger};

use crate::guests;

/// Data of one emission in these tests, at most.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Keeps every line.
#[derive(Default)]
struct Lines(Mutex<Vec<Line>>);

impl Sink for Lines {
    fn take(&self, line: Line) -> bool {
        self.0.lock().unwrap().push(line);
        true
    }
}

/// One function at work.
pub struct Stage {
    program: Arc<Program>,
    guest: Guest,
    lines: Arc<Lines>,
    _host: Host,
}

/// Limits that a guest meets only where it means to: the processor time of a second.
pub fn wide() -> FunctionLimits {
    FunctionLimits {
        deadline_ms: 1_000,
        ..FunctionLimits::default()
    }
}

/// A gate named `probe`.
pub fn spec(wasm: &[u8], limits: FunctionLimits) -> FunctionSpec {
    let name = FunctionName::parse("probe").unwrap();
    let store = StoreName::parse("main").unwrap();
    FunctionSpec {
        limits,
        ..FunctionSpec::new(name, control::digest(wasm), store, Trigger::Gate)
    }
}

/// An event for its first attempt, published by alice.
pub fn item(seq: u64, channel: &str, data: &str) -> Item {
    let envelope = Envelope {
        id: format!("acme/alice/c1/{seq}"),
        publisher: Publisher::parse("alice/c1").ok(),
        content_type: Some("application/json".into()),
        ..Envelope::default()
    };
    let stored = Stored {
        seq,
        time_us: 1_000_000 + seq,
        subject: format!("in.main.0.acme.{channel}"),
        headers: envelope.to_headers(),
        payload: data.to_owned().into(),
    };
    let (tenant, channel) = (
        Tenant::parse("acme").unwrap(),
        Channel::parse(channel).unwrap(),
    );
    Item {
        attempt: 1,
        event: Arc::new(Event::read(tenant, channel, stored).unwrap()),
        memory: None,
    }
}

impl Stage {
    /// Compiles the function; compiled code is kept beside what tests build.
    pub fn new(wasm: &[u8], limits: FunctionLimits) -> Self {
        let config = HostConfig {
            threads: 1,
            event_bytes_max: EVENT_BYTES_MAX,
            compiled: Some(guests::folder().join("kept")),
        };
        let lines = Arc::new(Lines::default());
        let host = Host::configured(&config, lines.clone()).unwrap();
        let spec = spec(wasm, limits);
        let module = host.compile(&spec.digest, wasm).unwrap();
        Self {
            program: Program::new(Arc::new(spec), vec![module]),
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

    /// Linear memory that the instance holds, bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.guest.cost().memory_bytes()
    }

    /// What was logged since the last look.
    pub fn lines(&self) -> Vec<Line> {
        std::mem::take(&mut self.lines.0.lock().unwrap())
    }

    /// The texts of what was logged since the last look.
    pub fn texts(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.text).collect()
    }
}

/// What a handled event has emitted.
pub fn emitted(handled: &Handled) -> &[Emit] {
    match handled {
        Handled::Ack(done) => &done.emits,
        other => panic!("{other:?}"),
    }
}

/// The data of a handled event's emissions, as text.
pub fn data(handled: &Handled) -> Vec<String> {
    let emits = emitted(handled).iter();
    emits
        .map(|emit| String::from_utf8(emit.data.to_vec()).unwrap())
        .collect()
}
