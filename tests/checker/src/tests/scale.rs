//! Large histories: the work stays proportional to the records, and reports stay readable.
//!
//! State: none. Must not know: clocks; quadratic work would show as a test that never ends.

use super::generator::{Knobs, history};
use crate::{
    Acked, Delivered, History, KEPT_PER_KIND, Kind, Mirrored, MirroredStream, Sent, Stored,
    StreamState, Subscription,
};

const EVENTS: u64 = 200_000;
const STREAM: &str = "EVENTS-main";

/// `EVENTS` events of ten publishers on ten channels: five records each, a million in all.
fn million() -> History {
    let mut history = History::default();
    for seq in 1..=EVENTS {
        seen_by_clients(&mut history, seq);
        kept(&mut history, seq);
    }
    for room in 0..10 {
        history.push(Subscription {
            subscriber: "s".into(),
            channel: channel(room),
            stream: STREAM.into(),
            from_seq: 0,
            until_seq: EVENTS,
            gaps: Vec::new(),
        });
    }
    history.push(MirroredStream {
        stream: STREAM.into(),
        until_seq: EVENTS,
    });
    history.push(StreamState {
        stream: STREAM.into(),
        retained_from: 1,
        last_seq: EVENTS,
    });
    history
}

fn channel(seq: u64) -> String {
    format!("acme/chat.{}", seq % 10)
}

fn publisher(seq: u64) -> String {
    format!("acme/u{}/tab", seq % 10)
}

fn id(seq: u64) -> String {
    format!("{}/{}", publisher(seq), seq / 10 + 1)
}

fn seen_by_clients(history: &mut History, seq: u64) {
    history.push(Sent {
        publisher: publisher(seq),
        n: seq / 10 + 1,
        channel: channel(seq),
        body: seq,
        first_us: seq,
    });
    history.push(Acked {
        publisher: publisher(seq),
        n: seq / 10 + 1,
        channel: channel(seq),
        stream: STREAM.into(),
        seq,
        duplicate: false,
    });
    history.push(Delivered {
        subscriber: "s".into(),
        channel: channel(seq),
        seq,
        prev: seq.saturating_sub(10),
        body: seq,
        id: id(seq),
    });
}

fn kept(history: &mut History, seq: u64) {
    history.push(Stored {
        stream: STREAM.into(),
        seq,
        lane: 0,
        channel: channel(seq),
        kind: Kind::Ev,
        id: id(seq),
        body: seq,
        source: None,
        function: None,
        ordinal: None,
        outcome: false,
        receipt: false,
        tick: None,
    });
    history.push(Mirrored {
        stream: STREAM.into(),
        seq,
        topic: "eddyline.ev".into(),
        partition: (seq % 10) as i32,
        offset: seq as i64,
        key: channel(seq),
        channel: channel(seq),
        body: seq,
        id: id(seq),
    });
}

#[test]
fn a_million_records_are_checked() {
    let mut history = million();
    let report = history.check();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.counts.deliveries_owed, EVENTS);
    // Everything delivered and mirrored is lost: many violations, few kept, all counted.
    history.delivered.clear();
    history.mirrored.clear();
    let report = history.check();
    assert_eq!(report.total(), 2 * EVENTS);
    assert_eq!(report.violations.len() as u64, 2 * KEPT_PER_KIND);
}

#[test]
fn a_report_is_written_for_people() {
    let mut history = history(&Knobs {
        seed: 1,
        steps: 40,
        removed: 0,
        subscribers: 1,
    });
    history.streams.clear();
    let clean = history.check().to_string();
    expect_test::expect![[r#"
        the history is clean
        sent 31, acknowledged 21 (4 as duplicates), refused 5, stored 77, delivered 38, mirrored 51
        judged 38 owed deliveries, 16 function inputs, 51 owed mirror records"#]]
    .assert_eq(&clean);
    let seq = history.acked[0].seq;
    let stream = history.acked[0].stream.clone();
    history
        .stored
        .retain(|s| s.stream != stream || s.seq != seq);
    let lost = history.check().to_string();
    expect_test::expect![[r#"
        3 violations: AckedLost 1, DeliveredInvented 1, MirroredInvented 1
        sent 31, acknowledged 21 (4 as duplicates), refused 5, stored 76, delivered 38, mirrored 51
        judged 37 owed deliveries, 16 function inputs, 50 owed mirror records
        - AckedLost: event acme/u3/c3/1 was acknowledged at EVENTS-main:1, but is not stored
        - DeliveredInvented: s0 received acme/u3/c3/1 as 1 of acme/chat.room3, which the stream does not hold there
        - MirroredInvented: the mirror holds acme/u3/c3/1 as EVENTS-main:1 at eddyline.ev.acme[2]@1, which the stream does not hold"#]].assert_eq(&lost);
}
