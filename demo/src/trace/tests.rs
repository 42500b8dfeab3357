//! What a trace may say, and what it is told when it says something else.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const SMALL: &str = r#"{
    "kind": "concurrent", "endContent": "b🌊", "numAgents": 2, "txns": [
        {"parents": [], "agent": 0, "patches": [[0, 0, "a"]], "numChildren": 1},
        {"parents": [0], "agent": 1, "patches": [[1, 0, "🌊"]]},
        {"parents": [0], "agent": 0, "patches": [[0, 1, ""], [0, 0, "b"]]}
    ]}"#;

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The message, with its cause, that `SMALL` gives after one replacement.
#[track_caller]
fn refused(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "nothing to replace");
    let fault = Trace::parse(SMALL.replacen(from, to, 1).as_bytes()).unwrap_err();
    match std::error::Error::source(&fault) {
        Some(source) => format!("{fault}: {source}"),
        None => fault.to_string(),
    }
}

#[test]
fn reads_plain_and_gzipped() {
    let trace = Trace::parse(SMALL.as_bytes()).unwrap();
    assert_eq!(trace.end_content, "b🌊");
    assert_eq!((trace.agents, trace.txns.len()), (2, 3));
    let expected = Txn {
        parents: vec![0],
        agent: 0,
        patches: vec![
            Patch {
                pos: 0,
                del: 1,
                ins: String::new(),
            },
            Patch {
                pos: 0,
                del: 0,
                ins: "b".into(),
            },
        ],
    };
    assert_eq!(trace.txns[2], expected);
    assert_eq!(Trace::parse(&gzipped(SMALL.as_bytes())).unwrap(), trace);
}

#[test]
fn reads_a_file_and_names_one_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.json.gz");
    let fault = Trace::load(&path).unwrap_err();
    assert!(
        matches!(&fault, TraceError::Read { path: named, .. } if *named == path),
        "{fault:?}"
    );
    std::fs::write(&path, gzipped(SMALL.as_bytes())).unwrap();
    assert_eq!(
        Trace::load(&path).unwrap(),
        Trace::parse(SMALL.as_bytes()).unwrap()
    );
}

#[test]
fn unpacks_up_to_the_limit_and_not_beyond() {
    let packed = gzipped(&[b' '; 1000]);
    assert_eq!(unpack(&packed, 1000).unwrap().len(), 1000);
    let fault = unpack(&packed, 999).unwrap_err();
    assert!(
        matches!(fault, TraceError::TooLarge { limit_bytes: 999 }),
        "{fault:?}"
    );
}

#[test]
fn a_broken_archive_is_not_taken_for_json() {
    let mut packed = gzipped(SMALL.as_bytes());
    packed.truncate(packed.len() / 2);
    let fault = Trace::parse(&packed).unwrap_err();
    assert!(matches!(fault, TraceError::Unpack(_)), "{fault:?}");
}

#[test]
fn what_is_not_a_trace() {
    for bytes in [
        &b""[..],
        b"[]",
        b"7",
        b"{\"endContent\": \"\xff\"}",
        b"{} {}",
    ] {
        let fault = Trace::parse(bytes).unwrap_err();
        assert!(matches!(fault, TraceError::Json(_)), "{bytes:?}: {fault:?}");
    }
}

#[test]
fn faults_of_the_trace_name_the_field() {
    let check = |from, to, expected: &str| {
        let message = refused(from, to);
        assert!(message.contains(expected), "{message}");
    };
    check(
        "\"endContent\"",
        "\"content\"",
        "the trace has no field endContent",
    );
    check(
        "\"numAgents\"",
        "\"agents\"",
        "the trace has no field numAgents",
    );
    check("\"txns\"", "\"edits\"", "the trace has no field txns");
    check(
        "\"b🌊\"",
        "7",
        "field endContent of the trace is malformed: invalid type",
    );
    check(
        "\"numAgents\": 2",
        "\"numAgents\": -2",
        "field numAgents of the trace is malformed",
    );
}

#[test]
fn faults_of_a_transaction_name_it_and_the_field() {
    let check = |from, to, expected: &str| {
        let message = refused(from, to);
        assert!(message.contains(expected), "{message}");
    };
    check(
        "{\"parents\": [], ",
        "7, {\"parents\": [], ",
        "transaction 0 is not a JSON object",
    );
    check(
        "\"parents\": []",
        "\"after\": []",
        "transaction 0 has no field parents",
    );
    check(
        "\"agent\": 1",
        "\"who\": 1",
        "transaction 1 has no field agent",
    );
    check(
        "[[1, 0, \"🌊\"]]",
        "null",
        "transaction 1 has no field patches",
    );
    check(
        "[[1, 0, \"🌊\"]]",
        "[[1, 0]]",
        "field patches of transaction 1 is malformed",
    );
    check(
        "[[1, 0, \"🌊\"]]",
        "[[-1, 0, \"\"]]",
        "field patches of transaction 1 is malformed",
    );
    check(
        "\"agent\": 1",
        "\"agent\": \"x\"",
        "field agent of transaction 1 is malformed",
    );
    check(
        "\"parents\": [0]",
        "\"parents\": 0",
        "field parents of transaction 1 is malformed",
    );
}

#[test]
fn parents_stand_before_their_children() {
    for (parent, child) in [("0", 0), ("2", 0), ("4294967295", 0)] {
        let message = refused("\"parents\": []", &format!("\"parents\": [{parent}]"));
        let expected = format!("parents of transaction {child} names {parent}, which is not an");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn agents_exist() {
    let message = refused("\"agent\": 1", "\"agent\": 2");
    assert_eq!(
        message,
        "field agent of transaction 1 is 2, but numAgents is 2"
    );
}

#[test]
fn agents_are_as_many_as_allowed_and_not_more() {
    let with =
        |agents: usize| SMALL.replace("\"numAgents\": 2", &format!("\"numAgents\": {agents}"));
    Trace::parse(with(AGENTS_MAX).as_bytes()).unwrap();
    let fault = Trace::parse(with(AGENTS_MAX + 1).as_bytes()).unwrap_err();
    assert!(
        matches!(fault, TraceError::TooManyAgents { .. }),
        "{fault:?}"
    );
}

#[test]
fn an_agent_has_seen_what_it_typed() {
    let message = refused("\"agent\": 1", "\"agent\": 0");
    assert_eq!(
        message,
        "field parents of transaction 2 leaves out 1, typed before it by agent 0"
    );
}

#[test]
fn arbitrary_damage_gives_a_trace_or_an_error() {
    let mut rng = StdRng::seed_from_u64(7);
    let originals = [SMALL.as_bytes().to_vec(), gzipped(SMALL.as_bytes())];
    for round in 0..5_000 {
        let mut bytes = originals[round % 2].clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..3) {
                0 => bytes[at] = rng.random(),
                1 => bytes.insert(at, rng.random()),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Ok(trace) = Trace::parse(&bytes) {
            trace.check().unwrap();
        }
    }
}
