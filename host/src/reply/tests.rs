//! Replies as a careless or hostile guest would write them.

use proptest::prelude::*;
use protocol::spec::FunctionLimits;

use super::*;
use crate::tests::{item, spec};

fn span(offset: u32, length: u32) -> Span {
    Span { offset, length }
}

fn outcome(verdict: Verdict) -> OutcomeRef {
    OutcomeRef {
        verdict,
        delay_ms: 0,
        reason: Span::default(),
    }
}

fn emit(source: u32) -> EmitRef {
    EmitRef {
        source,
        channel: Span::default(),
        content_type: Span::default(),
        headers: Span::default(),
        data: span(0, 2),
    }
}

fn two(outcomes: Vec<OutcomeRef>, emits: Vec<EmitRef>) -> Result<Vec<Handled>, ReplyFault> {
    let items = [item(1, "doc.a", "{}"), item(2, "doc.b", "{}")];
    check(
        Reply {
            outcomes,
            emits,
            arena: b"hi\xff\x01".to_vec(),
        },
        &items,
        &spec(FunctionLimits::default()),
        1 << 20,
    )
}

fn acks() -> Vec<OutcomeRef> {
    vec![outcome(Verdict::Ack); 2]
}

#[test]
fn exactly_one_outcome_for_each_event() {
    assert!(two(acks(), vec![]).is_ok());
    assert_eq!(
        two(vec![outcome(Verdict::Ack)], vec![]),
        Err(ReplyFault::Outcomes {
            found: 1,
            events: 2
        })
    );
    assert_eq!(
        two([acks(), acks()].concat(), vec![]),
        Err(ReplyFault::Outcomes {
            found: 4,
            events: 2
        })
    );
}

#[test]
fn sources_are_in_the_batch_in_order_and_acknowledged() {
    let handled = two(acks(), vec![emit(0), emit(1), emit(1)]).unwrap();
    assert!(
        matches!(&handled[..], [Handled::Ack(one), Handled::Ack(other)] if one.emits.len() == 1 && other.emits.len() == 2)
    );
    assert!(matches!(
        two(acks(), vec![emit(2)]),
        Err(ReplyFault::Source { .. })
    ));
    assert!(matches!(
        two(acks(), vec![emit(1), emit(0)]),
        Err(ReplyFault::Source { .. })
    ));
    assert!(matches!(
        two(
            vec![outcome(Verdict::Drop), outcome(Verdict::Ack)],
            vec![emit(0)]
        ),
        Err(ReplyFault::Source { .. })
    ));
}

#[test]
fn spans_stay_inside_the_arena() {
    let with = |data| two(acks(), vec![EmitRef { data, ..emit(0) }]);
    assert!(with(span(0, 4)).is_ok());
    assert!(
        with(span(u32::MAX, 0)).is_ok(),
        "an empty span's offset is not looked at"
    );
    assert_eq!(
        with(span(0, 5)),
        Err(ReplyFault::Span {
            field: "data",
            index: 0
        })
    );
    assert_eq!(
        with(span(u32::MAX, u32::MAX)),
        Err(ReplyFault::Span {
            field: "data",
            index: 0
        })
    );
    let reason = OutcomeRef {
        reason: span(4, 1),
        ..outcome(Verdict::Drop)
    };
    assert_eq!(
        two(vec![reason, outcome(Verdict::Ack)], vec![]),
        Err(ReplyFault::Span {
            field: "reason",
            index: 0
        })
    );
}

#[test]
fn fields_of_an_emission_are_checked() {
    let field = |emit: EmitRef| two(acks(), vec![emit]).unwrap_err();
    assert_eq!(
        field(EmitRef {
            content_type: span(2, 1),
            ..emit(0)
        }),
        ReplyFault::Field {
            field: "content type",
            index: 0
        }
    );
    assert_eq!(
        field(EmitRef {
            channel: span(2, 1),
            ..emit(0)
        }),
        ReplyFault::Field {
            field: "channel",
            index: 0
        }
    );
    assert_eq!(
        field(EmitRef {
            headers: span(0, 3),
            ..emit(0)
        }),
        ReplyFault::Field {
            field: "headers",
            index: 0
        }
    );
}

#[test]
fn reasons_are_cut_at_a_character_and_cleaned() {
    assert_eq!(cut_reason(b"fine"), "fine");
    assert_eq!(cut_reason(b"a\nb\xff"), "a b\u{fffd}");
    let long = "ä".repeat(REASON_BYTES_MAX);
    assert_eq!(cut_reason(long.as_bytes()).len(), REASON_BYTES_MAX);
    let odd = format!("a{long}");
    assert_eq!(cut_reason(odd.as_bytes()).len(), REASON_BYTES_MAX - 1);
}

fn any_span() -> impl Strategy<Value = Span> {
    (0_u32..80, 0_u32..80).prop_map(|(offset, length)| Span { offset, length })
}

prop_compose! {
    fn any_emit()(source in 0_u32..4, channel in any_span(), content_type in any_span(), headers in any_span(), data in any_span()) -> EmitRef {
        EmitRef { source, channel, content_type, headers, data }
    }
}

proptest! {
    #[test]
    fn any_reply_is_outcomes_or_a_fault(
        verdicts in prop::collection::vec(0_usize..5, 0..4),
        emits in prop::collection::vec(any_emit(), 0..6),
        arena in prop::collection::vec(any::<u8>(), 0..100),
        reason in any_span(),
    ) {
        let all = [Verdict::Ack, Verdict::Drop, Verdict::Reject, Verdict::Retry, Verdict::Halt];
        let outcomes: Vec<OutcomeRef> = verdicts.iter().map(|v| OutcomeRef { verdict: all[*v], delay_ms: 0, reason }).collect();
        let items: Vec<Item> = (1..=3).map(|seq| item(seq, "doc.a", "{}")).collect();
        if let Ok(handled) = check(Reply { outcomes, emits, arena }, &items, &spec(FunctionLimits::default()), 1 << 20) {
            prop_assert_eq!(handled.len(), 3);
        }
    }
}
