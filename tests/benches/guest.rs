//! Guests without streams: what a call through the host costs per event, beside the bare
//! call of the same guest, and how many events a second one core handles.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use host::abi::Batch;
use host::account::Accounts;
use host::event::Event;
use host::instance::Instance;
use host::log::ToTracing;
use host::module::{Modules, Program};
use host::pack::{Item, pack};
use host::{cpu, engine};
use protocol::bus::Stored;
use protocol::checkpoint::Digest;
use protocol::envelope::Envelope;
use protocol::id::Publisher;
use protocol::name::{Channel, Tenant};
use protocol::spec::FunctionSpec;
use serde_json::json;

use crate::options::Options;
use crate::table::{Row, median};

/// Events of a batch.
const BATCH_EVENTS: usize = 64;
/// Bytes of an event.
const EVENT_BYTES: usize = 256;
/// Batches of a round.
const BATCHES: usize = 4_000;
/// Data of one emission, at most.
pub const EMISSION_BYTES_MAX: usize = 1 << 20;
/// Where the guests are, from here.
const GUESTS: &str = "../target/wasm32-wasip2/release";

/// All rows.
///
/// # Errors
/// A guest has not been built or does not run.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let options = (options.rounds(), options.count(BATCHES));
    tokio::task::spawn_blocking(move || rows(options)).await?
}

fn rows((rounds, batches): (usize, usize)) -> anyhow::Result<Vec<Row>> {
    let items = |begin: &str, end: &str| -> anyhow::Result<Vec<Item>> {
        let seqs = (1..).take(BATCH_EVENTS);
        seqs.map(|seq| item(seq, begin, end, EVENT_BYTES)).collect()
    };
    let (items, plain) = (
        items(r#"{"do":"pass","value":""#, r#""}"#)?,
        items("pass ", "")?,
    );
    let mut probe = instance("probe")?;
    let mut single = instance("single")?;
    let mut packed = Arc::new(Batch::default());
    pack(
        &items,
        Arc::get_mut(&mut packed).context("nobody else has it")?,
    );
    let (mut ours, mut bare, mut one) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(through(&mut probe, &items, batches)?);
        bare.push(measure(batches, || Ok(probe.call_bare(&packed)?))?);
        one.push(through(&mut single, &plain, batches / 10)?);
    }
    let (ours, bare, one) = (median(ours), median(bare), median(one));
    let row = |what: &str, unit, ours, bare, note: &str| Row {
        what: what.into(),
        unit,
        ours,
        bare,
        note: note.into(),
    };
    Ok(vec![
        row(
            "Function: an event through the host, batches of 64, 256 B",
            "ns of CPU",
            ours,
            Some(bare),
            "yardstick: the same guest called with the same packed batch, the reply dropped; the difference is the dispatch",
        ),
        row(
            "Function: typed JSON events on one core, all limits on",
            "events/s",
            1e9 / ours,
            None,
            "the guest parses each event with serde and passes it on",
        ),
        row(
            "Function of the world simple: an event through the host, 256 B",
            "ns of CPU",
            one,
            None,
            "one call for each event; a guest in Rust that passes it on",
        ),
    ])
}

/// Nanoseconds of this thread for one event through the host.
fn through(instance: &mut Instance, items: &[Item], batches: usize) -> anyhow::Result<f64> {
    let mut buffer = Arc::new(Batch::default());
    measure(batches, || {
        let called = instance.handle(items, &mut buffer, EMISSION_BYTES_MAX);
        anyhow::ensure!(called.handled.len() == items.len(), "{:?}", called.fault);
        Ok(())
    })
}

fn measure(batches: usize, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    call()?;
    let began = cpu::thread_time();
    for _ in 0..batches {
        call()?;
    }
    let time: Duration = cpu::thread_time().saturating_sub(began);
    Ok(time.as_nanos() as f64 / (batches * BATCH_EVENTS) as f64)
}

fn instance(name: &str) -> anyhow::Result<Instance> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(GUESTS)
        .join(format!("{name}.wasm"));
    let wasm = std::fs::read(&file);
    let wasm = wasm.with_context(|| format!("{}: run `make functions`", file.display()))?;
    let program = program(name, &wasm)?;
    start(&program)
}

/// Compiles a guest.
///
/// # Errors
/// The host refuses it.
pub fn program(name: &str, wasm: &[u8]) -> anyhow::Result<Arc<Program>> {
    let modules = engine::pooled(None).and_then(|engine| Modules::new(&engine));
    // Wasmtime's errors are no `std::error::Error`.
    let modules = modules.map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let digest = Digest::from_bytes([1; 32]);
    let module = modules.get(&digest, wasm)?;
    // Whatever is not said is as it is for every function.
    let spec: FunctionSpec = serde_json::from_value(json!({
        "name": name,
        "digest": digest.as_str(),
        "store": "main",
        "trigger": "gate",
        "limits": { "deadline_ms": 1_000 },
    }))?;
    Ok(Program::new(Arc::new(spec), vec![module]))
}

/// Starts an instance.
///
/// # Errors
/// It does not start.
pub fn start(program: &Program) -> anyhow::Result<Instance> {
    let account = Accounts::new(Arc::new(ToTracing)).of(&program.spec.name);
    Ok(Instance::new(program, 0, account)?)
}

/// An event of which a guest reads the beginning.
///
/// # Errors
/// None: the names in it are valid.
pub fn item(seq: u64, begin: &str, end: &str, bytes: usize) -> anyhow::Result<Item> {
    let envelope = Envelope {
        id: format!("acme/alice/c1/{seq}"),
        publisher: Publisher::parse("alice/c1").ok(),
        ..Envelope::default()
    };
    let filling = "x".repeat(bytes - begin.len() - end.len());
    let data = format!("{begin}{filling}{end}");
    let stored = Stored {
        seq,
        time_us: 1_000_000 + seq,
        subject: format!("in.main.0.acme.doc.{seq}"),
        headers: envelope.to_headers(),
        payload: Bytes::from(data),
    };
    let channel = Channel::parse(&format!("doc.{seq}"))?;
    let event =
        Event::read(Tenant::parse("acme")?, channel, stored).map_err(|refused| refused.1)?;
    Ok(Item {
        attempt: 1,
        event: Arc::new(event),
        memory: None,
    })
}
