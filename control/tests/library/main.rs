//! The library of functions as it is deployed: each component with its own
//! `eddyline.toml`, in the real host, and the examples of its page.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod examples;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use control::app::{App, FILE, FunctionEntry};
use examples::EXAMPLES;
use host::Host;
use host::event::Event;
use host::pack::Item;
use host::remembered::Remembered;
use host::reply::Handled;
use protocol::bus::Stored;
use protocol::checkpoint::Digest;
use protocol::envelope::Envelope;
use protocol::id::Publisher;
use protocol::name::{Channel, FunctionName, Tenant};
use protocol::spec::{FunctionLimits, FunctionSpec, Trigger};
use serde_json::json;
use tokio::time::Instant;

/// Data of one emission in these tests, at most.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// Events of a batch, and batches, when the time of one event is measured.
const BATCH: usize = 64;
const BATCHES: usize = 200;

/// Every function of the library: its folder, its entry in the file there, and its
/// component.
fn library() -> Vec<(PathBuf, FunctionSpec, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/library");
    let folders = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders
        .filter(|folder| folder.join(FILE).exists())
        .collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let app = App::read(&folder.join(FILE)).unwrap();
        assert_eq!(app.functions.len(), 1, "{}", folder.display());
        let (name, entry) = app.functions.into_iter().next().unwrap();
        let gated = app
            .namespaces
            .values()
            .any(|entry| entry.gate == Some(name.clone()));
        assert!(gated, "{name} is the gate of a namespace");
        let module = entry.module_file(&folder, &name);
        let wasm = std::fs::read(&module).unwrap_or_else(|error| {
            panic!("{}: {error}: run `make functions` first", module.display())
        });
        (folder, spec(&name, entry), wasm)
    };
    folders.into_iter().map(read).collect()
}

/// The digest is of the name: it tells the modules of one host apart.
fn spec(name: &FunctionName, entry: FunctionEntry) -> FunctionSpec {
    let mut digest = [0; 32];
    let bytes = name.as_str().as_bytes();
    digest[..bytes.len()].copy_from_slice(bytes);
    // What is tested is not how busy this machine is.
    let limits = FunctionLimits {
        deadline_ms: 5_000,
        ..entry.limits
    };
    let spec = json!({
        "name": name,
        "digest": Digest::from_bytes(digest),
        "store": entry.store,
        "trigger": Trigger::Gate,
        "emits": entry.emits,
        "config": entry.config,
        "limits": limits,
    });
    serde_json::from_value(spec).unwrap()
}

/// An event of alice, of the tenant acme, a second after the one before it.
fn item(seq: u64, channel: &str, data: &str) -> Item {
    let envelope = Envelope {
        id: format!("acme/alice/c1/{seq}"),
        publisher: Publisher::parse("alice/c1").ok(),
        content_type: Some("application/json".into()),
        ..Envelope::default()
    };
    let stored = Stored {
        seq,
        time_us: 1_000_000 * seq,
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

#[test]
fn every_function_starts_with_its_own_file() {
    for (folder, spec, wasm) in library() {
        spec.check().unwrap();
        let checked = host::check(spec, &[wasm.into()], None);
        checked.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        assert!(folder.join("README.md").exists(), "{}", folder.display());
    }
}

#[tokio::test]
async fn every_page_says_what_happens() {
    let host = Host::start(1, EVENT_BYTES_MAX, None).unwrap();
    for (folder, spec, wasm) in library() {
        let name = spec.name.as_str().to_owned();
        let program = host.program(Arc::new(spec), &[wasm.into()]).unwrap();
        let lane = host.attach(0);
        let examples: Vec<_> = EXAMPLES.iter().filter(|(of, ..)| *of == name).collect();
        assert!(!examples.is_empty(), "{name} has an example");
        let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let mut remembered = Remembered::default();
        for (seq, (_, channel, data, expected)) in (1..).zip(examples) {
            let reason = expected.err().unwrap_or_default();
            assert!(
                page.contains(data) && page.contains(reason),
                "{name}: {data}"
            );
            let mut item = item(seq, channel, data);
            remembered.give(&mut item);
            let handled = lane.run(program.clone(), vec![item.clone()]).await;
            let handled = handled.unwrap().remove(0);
            remembered.take(&item, &handled);
            match (handled, expected) {
                (Handled::Ack(done), Ok(expected)) => {
                    let emits = done.emits;
                    assert_eq!(emits.len(), expected.len(), "{name} {data}");
                    for (emit, (channel, begins)) in emits.iter().zip(*expected) {
                        let data = String::from_utf8_lossy(&emit.data);
                        assert_eq!(emit.channel.as_str(), *channel);
                        assert!(data.starts_with(begins), "{name}: {data}");
                    }
                }
                (Handled::Reject(reason), Err(expected)) => assert_eq!(reason, *expected),
                (Handled::Drop(reason), Err(expected)) => {
                    assert_eq!(reason, *expected);
                    let told = format!("dropped: `{reason}`");
                    assert!(page.contains(&told), "{name}: {told}");
                }
                (other, _) => panic!("{name} {data}: {other:?}"),
            }
        }
    }
}

/// What the table in `functions/README.md` shows.
#[tokio::test]
#[ignore = "measures: cargo test --test library -- --ignored --nocapture"]
async fn how_large_a_component_is_and_how_long_a_warm_event_takes() {
    let host = Host::start(1, EVENT_BYTES_MAX, None).unwrap();
    for (_, spec, wasm) in library() {
        let name = spec.name.as_str().to_owned();
        let kib = wasm.len() / 1024;
        let program = host.program(Arc::new(spec), &[wasm.into()]).unwrap();
        let lane = host.attach(0);
        let (_, channel, data, _) = EXAMPLES.iter().find(|(of, ..)| *of == name).unwrap();
        // What remembers is asked on as many channels, of which it knows nothing yet.
        let remembers = program.remembers();
        let channel = |seq| match remembers {
            true => format!("{channel}.{seq}"),
            false => (*channel).to_owned(),
        };
        let items: Vec<_> = (1..)
            .map(|seq| item(seq, &channel(seq), data))
            .take(BATCH)
            .collect();
        let mut times = Vec::new();
        for _ in 0..BATCHES {
            let begin = Instant::now();
            lane.run(program.clone(), items.clone()).await.unwrap();
            times.push(begin.elapsed());
        }
        times.sort();
        let median = times[BATCHES / 2] / u32::try_from(BATCH).unwrap();
        println!("{name}: {kib} KiB, {median:?} an event");
    }
}
