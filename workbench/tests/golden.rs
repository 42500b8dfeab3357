//! A real component in a folder of its author: checked, and run against golden events,
//! by the host that workers use. The component is the probe, which does what each event
//! tells it to (`make functions` builds it).

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

use std::path::Path;

use tempfile::TempDir;
use workbench::build::{BuildError, Built, build};
use workbench::golden::record::{Outcome, Record};
use workbench::golden::{Runner, file};
use workbench::project::Project;

/// The deadline is the longest: to fill its memory may take a guest longer than the usual
/// one on a machine that is short of it, and would be another fault.
const MANIFEST: &str = "[namespaces.probe]\ngate = \"probe\"\n
[functions.probe]\nmodule = \"probe.wasm\"\nemits = [\"side.>\"]
limits = { deadline_ms = 10000 }\n";

/// A folder with the probe and these golden events, one in each line.
fn folder(lines: &str) -> (TempDir, Project) {
    let folder = tempfile::tempdir().unwrap();
    let probe = "../target/wasm32-wasip2/release/probe.wasm";
    let probe = Path::new(env!("CARGO_MANIFEST_DIR")).join(probe);
    let copied = std::fs::copy(&probe, folder.path().join("probe.wasm"));
    copied.unwrap_or_else(|error| panic!("{error}: run `make functions` first"));
    std::fs::write(folder.path().join("eddyline.toml"), MANIFEST).unwrap();
    let golden = folder.path().join(file::FOLDER);
    std::fs::create_dir_all(&golden).unwrap();
    std::fs::write(golden.join("probe.jsonl"), lines).unwrap();
    let project = Project::read(folder.path(), None).unwrap();
    (folder, project)
}

async fn built(project: &Project) -> Result<Built, BuildError> {
    build(project, None, &mut |_| {}).await
}

async fn run(project: &Project) -> Vec<Record> {
    let built = built(project).await.unwrap();
    let spec = project.spec(&built.modules).unwrap();
    let runner = Runner::new(spec, built.modules, None).await.unwrap();
    let files = file::list(&project.folder).unwrap();
    let mut records = file::read(&files[0]).unwrap();
    let became = runner.run(&records).await.unwrap();
    for (record, becomes) in records.iter_mut().zip(became) {
        record.becomes = Some(becomes);
    }
    file::write(&files[0], &records).unwrap();
    file::read(&files[0]).unwrap()
}

#[tokio::test]
async fn every_outcome_is_recorded_and_the_same_the_next_time() {
    let lines = [
        r#"{"channel":"probe.a","data":{"do":"pass"},"headers":{"room":"blue"}}"#,
        r#"{"channel":"probe.a","data":{"do":"drop"}}"#,
        r#"{"channel":"probe.a","data":{"do":"reject"}}"#,
        r#"{"channel":"probe.a","data":{"do":"retry","delay_ms":20}}"#,
        r#"{"channel":"probe.a","data":{"do":"trap"}}"#,
        r#"{"channel":"probe.a","data":{"do":"memory"}}"#,
        r#"{"channel":"probe.a","data":{"do":"emit","times":2,"channel":"side.a","value":7}}"#,
        r#"{"channel":"probe.a","data":{"do":"emit","channel":"other.a"}}"#,
        r#"{"channel":"probe.a","data":{"do":"retry","until_attempt":3},"attempt":3}"#,
        r#"{"channel":"probe.a","text":"no order"}"#,
    ];
    let (_folder, project) = folder(&lines.join("\n"));
    let records = run(&project).await;
    let outcomes: Vec<Outcome> = became(&records).map(|becomes| becomes.outcome).collect();
    use Outcome::{Ack, Drop, Fault, Reject, Retry};
    let expected = [
        Ack, Drop, Reject, Retry, Fault, Fault, Ack, Fault, Ack, Reject,
    ];
    assert_eq!(outcomes, expected);
    let all: Vec<_> = became(&records).collect();
    assert_eq!(all[0].outputs[0].headers["room"], "blue");
    assert_eq!(all[2].reason.as_deref(), Some("rejected as told"));
    assert_eq!(all[3].delay_ms, Some(20));
    assert!(all[5].reason.as_deref().unwrap().contains("memory"));
    assert_eq!(all[6].outputs[1].data.as_ref().unwrap()["n"], 1);
    assert!(all[7].reason.as_deref().unwrap().contains("other.a"));
    let again = run(&project).await;
    assert!(became(&again).eq(became(&records)));
}

fn became(records: &[Record]) -> impl Iterator<Item = &workbench::golden::record::Becomes> {
    records
        .iter()
        .map(|record| record.becomes.as_ref().unwrap())
}

#[tokio::test]
async fn a_record_that_is_no_event_is_named() {
    let lines =
        "{\"channel\":\"probe.a\",\"text\":\"x\"}\n{\"channel\":\"no channel\",\"text\":\"x\"}\n";
    let (_folder, project) = folder(lines);
    let built = built(&project).await.unwrap();
    let spec = project.spec(&built.modules).unwrap();
    let runner = Runner::new(spec, built.modules, None).await.unwrap();
    let files = file::list(&project.folder).unwrap();
    let refused = runner.run(&file::read(&files[0]).unwrap()).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.starts_with("event 2: channel"), "{said}");
}

#[tokio::test]
async fn what_the_host_would_not_run_is_not_built() {
    let (folder, project) = folder("");
    std::fs::write(folder.path().join("probe.wasm"), b"\0asm").unwrap();
    let refused = built(&project).await;
    assert!(matches!(refused, Err(BuildError::Check(_))), "{refused:?}");
    std::fs::remove_file(folder.path().join("probe.wasm")).unwrap();
    let missing = built(&project).await.unwrap_err().to_string();
    assert!(missing.contains("probe.wasm cannot be used"), "{missing}");
}
