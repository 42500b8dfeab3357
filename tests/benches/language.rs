//! What a function costs in each language but Rust that has been built here by the tests
//! of the workbench; a language that has not is left out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use host::abi::Batch;
use host::cpu;
use host::pack::Item;
use tokio::time::Instant;

use crate::guest::{self, EMISSION_BYTES_MAX};
use crate::options::Options;
use crate::table::Row;

/// Languages, by the beginning of their guests' names.
const LANGUAGES: [(&str, &str); 4] = [
    ("js", "JavaScript"),
    ("python", "Python"),
    ("go", "Go"),
    ("c", "C"),
];
/// Where their guests are, from here.
const GUESTS: &str = "../target/guests";
/// Bytes of an event of JSON.
const EVENT_BYTES: usize = 84;
/// Events that are measured once an instance is warm.
const EVENTS: usize = 10_000;

/// Six rows for each language.
///
/// # Errors
/// A guest that has been built does not run.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let events = options.count(EVENTS);
    let rows = tokio::task::spawn_blocking(move || -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (begin, language) in LANGUAGES {
            match newest(begin) {
                Some(file) => rows.extend(measure(language, &std::fs::read(file)?, events)?),
                None => eprintln!("{language}: not built here; `make test` builds it"),
            }
        }
        Ok(rows)
    });
    rows.await?
}

/// The guest that was built last.
fn newest(begin: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(GUESTS);
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let built = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(&format!("{begin}-")) && name.ends_with(".wasm")
    });
    let newest = built.max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok());
    newest.map(|entry| entry.path())
}

fn measure(language: &str, wasm: &[u8], events: usize) -> anyhow::Result<Vec<Row>> {
    let event = guest::item(1, r#"{"do":"pass","value":""#, r#""}"#, EVENT_BYTES)?;
    let began = Instant::now();
    let program = guest::program("probe", wasm)?;
    let compiled = began.elapsed().as_secs_f64();
    // Once for what is lazy in the system, once measured.
    guest::start(&program)?;
    let began = cpu::thread_time();
    let mut instance = guest::start(&program)?;
    let mut buffer = Arc::new(Batch::default());
    let mut handle = |items: &[Item]| {
        let called = instance.handle(items, &mut buffer, EMISSION_BYTES_MAX);
        anyhow::ensure!(called.handled.len() == items.len(), "{:?}", called.fault);
        Ok(())
    };
    handle(std::slice::from_ref(&event))?;
    let first = cpu::thread_time().saturating_sub(began);
    let began = cpu::thread_time();
    for _ in 0..events {
        handle(std::slice::from_ref(&event))?;
    }
    let warm = cpu::thread_time().saturating_sub(began);
    let row = |what: &str, unit, ours| Row {
        what: format!("{language}: {what}"),
        unit,
        ours,
        bare: None,
        note: String::new(),
    };
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let handled = warm.as_secs_f64() * 1e6 / events as f64;
    Ok(vec![
        row("module", "MiB", mib(wasm.len())),
        row("compiled code", "MiB", mib(program.module_bytes())),
        row("to compile, on all cores", "s", compiled),
        row(
            "first event, instance and setup included",
            "ms of CPU",
            first.as_secs_f64() * 1e3,
        ),
        row("an event of 84 bytes of JSON, warm", "us of CPU", handled),
        row("memory after that", "MiB", mib(instance.memory_bytes())),
    ])
}
