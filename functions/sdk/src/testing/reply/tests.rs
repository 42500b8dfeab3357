//! Each rule of the reply, broken once.

use super::*;
use crate::bindings::{EmitRef, OutcomeRef, Reply};

fn span(offset: u32, length: u32) -> Span {
    Span { offset, length }
}

fn outcome(verdict: Verdict) -> OutcomeRef {
    OutcomeRef {
        verdict,
        delay_ms: 0,
        reason: span(0, 0),
    }
}

fn emit(source: u32) -> EmitRef {
    EmitRef {
        source,
        channel: span(0, 0),
        content_type: span(0, 0),
        headers: span(0, 0),
        data: span(0, 2),
    }
}

fn reply(verdicts: &[Verdict], emits: Vec<EmitRef>) -> Reply {
    Reply {
        outcomes: verdicts.iter().copied().map(outcome).collect(),
        emits,
        arena: b"{}\xff".to_vec(),
    }
}

fn check(reply: &Reply, expected: &Refused) {
    let inputs = vec![Input::json("doc.a", "{}"); 2];
    assert_eq!(unpack(&inputs, reply), Err(expected.clone()));
}

#[test]
fn a_reply_that_keeps_the_rules_is_taken() {
    let inputs = vec![Input::json("doc.a", "{}"); 2];
    let reply = reply(
        &[Verdict::Ack, Verdict::Ack],
        vec![emit(0), emit(1), emit(1)],
    );
    let handled = unpack(&inputs, &reply).unwrap();
    assert_eq!(handled[0].outputs.len(), 1);
    assert_eq!(handled[1].outputs.len(), 2);
    assert_eq!(handled[0].outputs[0].channel, "doc.a");
}

#[test]
fn wrong_outcome_counts_are_refused() {
    check(
        &reply(&[Verdict::Ack], vec![]),
        &Refused::OutcomeCount(1, 2),
    );
    check(
        &reply(&[Verdict::Ack; 3], vec![]),
        &Refused::OutcomeCount(3, 2),
    );
}

#[test]
fn wrong_sources_are_refused() {
    let acks = [Verdict::Ack, Verdict::Ack];
    check(&reply(&acks, vec![emit(2)]), &Refused::Source(0));
    check(&reply(&acks, vec![emit(1), emit(0)]), &Refused::Source(1));
    check(
        &reply(&[Verdict::Drop, Verdict::Ack], vec![emit(0)]),
        &Refused::Source(0),
    );
}

#[test]
fn spans_outside_the_arena_are_refused() {
    for data in [span(0, 4), span(3, 1), span(u32::MAX, u32::MAX)] {
        let emit = EmitRef { data, ..emit(0) };
        check(&reply(&[Verdict::Ack; 2], vec![emit]), &Refused::Span);
    }
}

#[test]
fn malformed_text_and_headers_are_refused() {
    let channel = EmitRef {
        channel: span(2, 1),
        ..emit(0)
    };
    check(&reply(&[Verdict::Ack; 2], vec![channel]), &Refused::Text);
    let headers = EmitRef {
        headers: span(0, 3),
        ..emit(0)
    };
    check(
        &reply(&[Verdict::Ack; 2], vec![headers]),
        &Refused::Headers(0),
    );
}
