//! The steps that follow from what is stored.

use bytes::Bytes;
use protocol::checkpoint::{Checkpoint, Digest, Parked};
use protocol::header::Headers;

use super::*;

const INPUT: &str = "INGRESS-main@0a:7";

fn gate() -> FunctionName {
    FunctionName::parse("gate").unwrap()
}

fn stored(seq: u64, subject: &str, headers: &[(&'static str, &str)], data: &str) -> Stored {
    let mut all = Headers::new();
    for (name, value) in headers {
        all.push(name, *value);
    }
    Stored {
        seq,
        time_us: seq * 10,
        subject: subject.into(),
        headers: all,
        payload: Bytes::from(data.to_owned()),
    }
}

fn input(subject: &str, stream: &str) -> Station {
    let headers = [
        (header::ID, "acme/ann/c/1"),
        (header::PUBLISHER, "ann/c"),
        (header::TIME, "5"),
        (header::EDGE, "edge-1"),
    ];
    let stream = StreamName::parse(stream).unwrap();
    let stored = stored(7, subject, &headers, "{}");
    Station::read(&stream, &Epoch::parse("0a").unwrap(), stored).unwrap()
}

fn ingress() -> Station {
    input("in.main.3.acme.doc.a", "INGRESS-main")
}

fn by(batch: Vec<Stored>) -> Settlement {
    let checkpoint: Checkpoint = serde_json::from_str(&format!(
        r#"{{"stream":"INGRESS-main","epoch":"0a","seq":9,"time":1,"digest":"{}","lease":3}}"#,
        Digest::from_bytes([1; 32])
    ))
    .unwrap();
    Settlement::By {
        mark: Box::new(Mark {
            seq: 40,
            time_us: 400,
            checkpoint,
            parked: Vec::new(),
        }),
        batch,
        cut: false,
    }
}

fn handled(station: &Station, settlement: Settlement) -> (Way, Vec<Station>) {
    let mut way = Way::default();
    let ran = |mark: &Mark| Ran {
        version: Some(3),
        digest: mark.checkpoint.digest.clone(),
    };
    let sees = |channel: &Channel| channel.namespace() == "doc";
    let next = way.handled(station, &gate(), settlement, ran, &sees);
    (way, next)
}

fn output(seq: u64, channel: &str, source: &str) -> Stored {
    let headers = [
        (header::ID, "gate/x/0"),
        (header::FUNCTION, "gate"),
        (header::SOURCE, source),
    ];
    stored(seq, &format!("ev.main.3.acme.{channel}"), &headers, "{}")
}

/// Outcome, reason and attempts of the one step that a function is.
fn told(way: &Way) -> (Handling, Option<&str>, Option<u32>) {
    let mut steps = way.hops.iter().filter_map(|hop| match hop {
        Hop::Handled {
            outcome,
            reason,
            attempts,
            ..
        } => Some((*outcome, reason.as_deref(), *attempts)),
        _ => None,
    });
    let step = steps.next().unwrap();
    assert!(steps.next().is_none());
    step
}

#[test]
fn an_event_was_accepted_and_is_stored_and_shown_once() {
    let (mut way, station) = (Way::default(), ingress());
    assert!(way.stored(&station));
    assert!(!way.stored(&station));
    let accepted = Hop::Accepted {
        time: 5,
        edge: Some("edge-1".into()),
        publisher: Some("ann/c".into()),
    };
    assert_eq!(way.hops[0], accepted);
    assert!(matches!(
        &way.hops[1],
        Hop::Stored {
            seq: 7,
            time: 70,
            ..
        }
    ));
    assert_eq!(way.hops.len(), 2);
    assert_eq!(way.wanted.len(), 1);
}

#[test]
fn outputs_are_those_of_the_input_and_what_may_not_be_seen_is_counted() {
    let foreign = [
        output(30, "doc.b", "INGRESS-main@0a:6"),
        output(31, "doc.b", "INGRESS-main@0b:7"),
        Stored {
            headers: {
                let mut headers = Headers::new();
                headers.push(header::FUNCTION, "other");
                headers.push(header::SOURCE, INPUT);
                headers
            },
            ..output(32, "doc.b", INPUT)
        },
    ];
    let own = [output(33, "doc.a", INPUT), output(34, "chat.a", INPUT)];
    let (way, next) = handled(&ingress(), by([foreign.to_vec(), own.to_vec()].concat()));
    assert_eq!(told(&way), (Handling::Passed, None, None));
    let next: Vec<u64> = next.iter().map(|station| station.stored.seq).collect();
    assert_eq!((next, way.hidden), (vec![33], 1));
    assert!(matches!(
        &way.hops[0],
        Hop::Handled {
            version: Some(3),
            checkpoint: Some(40),
            time: Some(400),
            ..
        }
    ));
}

fn letter(attempts: &str) -> Stored {
    let headers = [
        (dead_letter::SOURCE, INPUT),
        (dead_letter::REASON, "no schema"),
        (dead_letter::ATTEMPTS, attempts),
    ];
    stored(35, "rej.main.3.gate", &headers, "{}")
}

#[test]
fn a_refusal_has_its_reason_from_whom_it_was_told_to_or_from_the_letter() {
    let outcome = r#"{"outcome":"rejected","id":"acme/ann/c/1","n":1,"channel":"doc.a","position":{"epoch":"0a","seq":7},"function":"gate","reason":"not base64"}"#;
    let told_of = Stored {
        payload: Bytes::from(outcome),
        ..output(34, "_outcome.ann.c.doc", INPUT)
    };
    let (way, next) = handled(&ingress(), by(vec![told_of.clone(), letter("1")]));
    assert_eq!(
        told(&way),
        (Handling::Rejected, Some("not base64"), Some(1))
    );
    assert!(next.is_empty());
    assert_eq!(way.hidden, 0, "what a publisher is told is no output");
    assert!(matches!(
        &way.hops[1],
        Hop::DeadLetter {
            seq: 35,
            attempts: 1,
            ..
        }
    ));
    let wanted = way.wanted.last().unwrap();
    assert_eq!(wanted.letter_of, Some(gate()));
    // Nobody was told.
    let (way, _) = handled(&ingress(), by(vec![letter("10")]));
    let failed = (Handling::DeadLettered, Some("no schema"), Some(10));
    assert_eq!(told(&way), failed);
    let dropped = Stored {
        payload: Bytes::from(
            outcome
                .replace("rejected", "dropped")
                .replace("not base64", ""),
        ),
        ..told_of
    };
    let (way, _) = handled(&ingress(), by(vec![dropped]));
    assert_eq!(told(&way), (Handling::Dropped, None, None));
}

#[test]
fn a_letters_end_is_no_letter() {
    let mut end = letter("1");
    end.headers.push(dead_letter::SETTLED, "dropped");
    let (way, _) = handled(&ingress(), by(vec![end]));
    assert_eq!(told(&way).0, Handling::Dropped, "nothing is left of it");
}

#[test]
fn nothing_stored_is_filtered_by_a_gate_and_done_by_others() {
    let (way, _) = handled(&ingress(), by(Vec::new()));
    assert_eq!(told(&way).0, Handling::Dropped);
    let event = input("ev.main.3.acme.doc.a", "EVENTS-main");
    let (way, _) = handled(&event, by(Vec::new()));
    assert_eq!(told(&way).0, Handling::Done);
}

#[test]
fn what_waits_says_for_what() {
    let parked = |seq| {
        let input = ingress().input;
        Settlement::Open(Standing::Parked(Parked {
            tenant: input.tenant,
            channel: input.channel,
            seq,
            attempts: 2,
            since: 1,
            due: 9,
        }))
    };
    let (way, _) = handled(&ingress(), parked(7));
    let again = (Handling::Waiting, Some("it is tried again"), Some(2));
    assert_eq!(told(&way), again);
    let (way, _) = handled(&ingress(), parked(5));
    let behind = "its channel waits for another attempt at 5";
    assert_eq!(told(&way), (Handling::Waiting, Some(behind), None));
    let (way, _) = handled(&ingress(), Settlement::Open(Standing::Behind));
    assert_eq!(told(&way).0, Handling::Waiting);
    let (way, _) = handled(&ingress(), Settlement::Open(Standing::Foreign));
    assert_eq!(told(&way).0, Handling::Unknown);
    let (way, _) = handled(&ingress(), Settlement::Gone);
    assert_eq!(told(&way).0, Handling::Unknown);
}

#[test]
fn a_way_ends_where_there_is_no_more_room() {
    let mut way = Way::default();
    for _ in 0..=HOPS_MAX {
        way.push(Hop::Accepted {
            time: 1,
            edge: None,
            publisher: None,
        });
    }
    assert_eq!((way.hops.len(), way.cut), (HOPS_MAX, true));
}
