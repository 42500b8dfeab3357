//! One planted corruption for every kind of violation, each of which must be seen as that kind.
//!
//! State: none. Must not know: how a check works; it bends one valid history.

use std::collections::BTreeSet;

use super::bend::{
    again, expect_verdict, find, from_gate, is_checkpoint, is_direct, is_output, is_progress, pair,
    refuse, swap, ticking, unanswer,
};
use super::generator::{EVENTS, INGRESS, Knobs, history};
use crate::{History, Kind, MirrorGap, Parked, Verdict, Violation};

/// Bends a valid history.
type Bend = fn(&mut History);

fn base() -> History {
    history(&Knobs {
        seed: 1,
        steps: 300,
        removed: 0,
        subscribers: 3,
    })
}

const PLANTED: &[(&str, Bend)] = &[
    ("SequenceReused", |h| {
        let copy = h.stored[5].clone();
        h.push(copy);
    }),
    ("StreamHole", |h| {
        let seq = find(h, is_checkpoint).seq;
        h.stored.retain(|s| s.stream != EVENTS || s.seq != seq);
    }),
    ("StreamHole", |h| {
        h.streams[0].last_seq += 1;
    }),
    ("ChannelInTwoStreams", |h| {
        find(h, is_direct).stream = "EVENTS-other".into()
    }),
    ("ChannelInTwoLanes", |h| find(h, is_direct).lane += 1),
    ("StoredTwice", |h| again(h, is_direct, |_| {})),
    ("StoredTwice", |h| again(h, is_output, |_| {})),
    ("StoredTwice", |h| again(h, |s| s.kind == Kind::In, |_| {})),
    ("StoredInvented", |h| {
        again(h, is_direct, |s| s.id = "acme/mallory/tab/1".into())
    }),
    ("StoredInvented", |h| {
        again(h, is_direct, |s| s.id = "nobody".into())
    }),
    ("StoredInvented", |h| find(h, is_output).source = None),
    ("StoredBodyDiffers", |h| find(h, is_direct).body ^= 1),
    ("StoredChannelDiffers", |h| {
        find(h, is_direct).channel = "acme/chat.elsewhere".into()
    }),
    ("RefusedButStored", |h| {
        let a = h.acked[9].clone();
        h.acked.retain(|k| k.n != a.n);
        refuse(h, a.publisher, a.n);
    }),
    ("AckInvented", |h| h.acked[9].n += 100_000),
    ("AckedLost", |h| {
        let a = h.acked[9].clone();
        h.stored.retain(|s| s.stream != a.stream || s.seq != a.seq);
    }),
    ("AckPositionWrong", |h| h.acked[9].seq += 1),
    ("AckPositionWrong", |h| {
        h.acked[9].stream = "EVENTS-other".into()
    }),
    ("AckChannelWrong", |h| {
        h.acked[9].channel = "acme/chat.elsewhere".into()
    }),
    ("AcksDisagree", |h| {
        let mut a = h.acked[9].clone();
        a.seq += 1;
        a.duplicate = true;
        h.push(a);
    }),
    ("AckedFreshTwice", |h| {
        let a = h.acked.iter().find(|a| !a.duplicate).expect("one").clone();
        h.push(a);
    }),
    ("AckedAndRefused", |h| {
        let a = h.acked[9].clone();
        refuse(h, a.publisher, a.n);
    }),
    ("PublisherReordered", |h| {
        let (a, b) = pair(h, is_direct, |s| {
            format!("{} {}", s.channel, s.id.rsplit_once('/').expect("id").0)
        });
        swap(h, EVENTS, a.seq, b.seq);
    }),
    ("PublisherReordered", |h| {
        let (a, b) = pair(
            h,
            |s| s.kind == Kind::In,
            |s| format!("{} {}", s.channel, s.id.rsplit_once('/').expect("id").0),
        );
        swap(h, INGRESS, a.seq, b.seq);
    }),
    ("NotSubscribed", |h| {
        h.delivered[9].subscriber = "stranger".into()
    }),
    ("DeliveredOutsideRange", |h| {
        let owed = h
            .subscriptions
            .iter_mut()
            .find(|s| s.subscriber == "s0")
            .expect("one");
        owed.from_seq = owed.until_seq;
    }),
    ("DeliveredTwice", |h| {
        let d = h.delivered[9].clone();
        h.delivered.insert(12, d);
    }),
    ("DeliveredOutOfOrder", |h| h.delivered.swap(9, 10)),
    ("ChainBroken", |h| {
        h.delivered.remove(9);
    }),
    ("ChainBroken", |h| h.delivered[9].prev = h.delivered[9].seq),
    ("DeliveredInvented", |h| h.delivered[9].seq = 900_000),
    ("DeliveredInvented", |h| {
        let seq = find(h, is_checkpoint).seq;
        h.delivered[9].seq = seq;
    }),
    ("DeliveredBodyDiffers", |h| h.delivered[9].body ^= 1),
    ("DeliveredIdDiffers", |h| h.delivered[9].id.push('0')),
    ("DeliveryMissing", |h| {
        h.delivered.remove(9);
    }),
    ("DeliveryMissing", |h| {
        // The last event before a quiet period has no successor whose prev would tell.
        let last = h
            .delivered
            .iter()
            .rposition(|d| d.subscriber == "s0" && d.channel == "acme/chat.room0");
        h.delivered.remove(last.expect("one"));
    }),
    ("GapFalse", |h| {
        let seq = h.delivered[9].seq;
        let (s, c) = (
            h.delivered[9].subscriber.clone(),
            h.delivered[9].channel.clone(),
        );
        h.delivered.remove(9);
        let owed = h
            .subscriptions
            .iter_mut()
            .find(|o| o.subscriber == s && o.channel == c);
        owed.expect("one").gaps.push((seq, seq));
    }),
    ("UnknownFunction", |h| {
        find(h, is_output).function = Some("ghost".into())
    }),
    ("ResultWithoutInput", |h| {
        find(h, is_output).source.as_mut().expect("output").seq = 900_000
    }),
    ("ResultWithoutInput", |h| {
        h.functions[0].channels = vec!["acme/other.>".into()]
    }),
    ("ResultMisplaced", |h| {
        h.functions[0].output_stream = "EVENTS-other".into()
    }),
    ("OutputIdWrong", |h| {
        find(h, is_output).id = "gate/INGRESS-main@7f3a:1/77".into()
    }),
    ("OutputIdWrong", |h| find(h, is_output).ordinal = None),
    ("OrdinalRepeated", |h| {
        again(h, is_output, |s| s.id = s.id.replace("7f3a", "0000"))
    }),
    ("OrdinalMissing", |h| {
        let gone = h
            .stored
            .iter()
            .find(|s| s.ordinal == Some(1))
            .expect("one")
            .source
            .clone();
        h.stored
            .retain(|s| s.source != gone || s.ordinal != Some(0));
    }),
    ("ResultRepeated", |h| {
        again(h, |s| s.outcome, |s| s.id.push('+'))
    }),
    ("ResultRepeated", |h| {
        again(h, |s| s.kind == Kind::DeadLetter, |_| {})
    }),
    ("ResultMixed", |h| {
        let source = find(h, |s| is_output(s) && from_gate(s)).source.clone();
        again(
            h,
            |s| s.outcome,
            |s| {
                s.id.push('+');
                s.source = source.clone();
            },
        );
    }),
    ("ReceiptWrong", |h| {
        let answered = h.stored.iter().filter(|s| s.receipt && s.outcome);
        let source = answered
            .filter_map(|s| s.source.clone())
            .next()
            .expect("one");
        for s in h.stored.iter_mut().filter(|s| s.kind == Kind::In) {
            s.receipt &= s.seq != source.seq;
        }
    }),
    ("ReceiptWrong", |h| {
        again(h, |s| s.receipt && s.outcome, |s| s.id.push('+'))
    }),
    ("ReceiptWrong", |h| {
        let lost = find(h, |s| s.receipt && s.outcome);
        (lost.receipt, lost.source, lost.function) = (false, None, None);
        lost.outcome = false;
    }),
    ("InputUnanswered", |h| {
        unanswer(h, |s| is_output(s) && from_gate(s))
    }),
    ("InputUnanswered", |h| unanswer(h, |s| s.outcome)),
    ("ResultAheadOfCheckpoint", |h| {
        for s in &mut h.stored {
            if let Kind::Checkpoint { input_seq, .. } = &mut s.kind {
                *input_seq = 0;
            }
        }
    }),
    ("ResultAheadOfCheckpoint", |h| {
        for s in &mut h.stored {
            if let Kind::Checkpoint { parked, .. } = &mut s.kind {
                parked.extend((0..4).map(|room| Parked {
                    channel: format!("acme/docs.room{room}"),
                    seq: 1,
                }));
            }
        }
    }),
    ("ResultsReordered", |h| {
        let (a, b) = pair(
            h,
            |s| s.ordinal == Some(0) && from_gate(s),
            |s| s.channel.clone(),
        );
        swap(h, EVENTS, a.seq, b.seq);
    }),
    ("ResultsReordered", |h| {
        let (a, b) = pair(h, is_output, |s| format!("{:?} {:?}", s.function, s.source));
        swap(h, EVENTS, a.seq, b.seq);
    }),
    ("ResultUnexpected", |h| expect_verdict(h, Verdict::Outcome)),
    ("ResultUnexpected", |h| expect_verdict(h, Verdict::Silent)),
    ("CheckpointBackwards", |h| {
        again(h, is_progress, |s| {
            s.kind = Kind::Checkpoint {
                input_seq: 0,
                parked: Vec::new(),
            };
        })
    }),
    ("OutcomeMisdirected", |h| {
        find(h, |s| s.outcome).channel = "acme/_outcome.eve.tab.doc".into()
    }),
    ("TickOutOfOrder", |h| ticking(h, &[(10, 1, 0), (20, 3, 0)])),
    ("TickOutOfOrder", |h| ticking(h, &[(10, 2, 0)])),
    ("TickNotDue", |h| ticking(h, &[(10, 1, 0), (30, 2, 0)])),
    ("TickNotDue", |h| ticking(h, &[(20, 1, 0), (20, 2, 0)])),
    ("StoredTwice", |h| ticking(h, &[(10, 1, 0), (10, 1, 0)])),
    ("UnknownFunction", |h| {
        ticking(h, &[(10, 1, 0)]);
        h.functions.pop();
    }),
    ("MirrorMissing", |h| {
        h.mirrored.remove(9);
    }),
    ("MirrorMissing", |h| {
        h.mirrored.retain(|m| m.topic != "eddyline.rej.acme")
    }),
    ("MirroredTwice", |h| {
        let mut m = h.mirrored[9].clone();
        m.offset += 100_000;
        h.push(m);
    }),
    ("MirroredInvented", |h| h.mirrored[9].seq = 900_000),
    ("MirroredCheckpoint", |h| {
        let seq = find(h, is_checkpoint).seq;
        let mirrored = h.mirrored.iter_mut().find(|m| m.stream == EVENTS);
        mirrored.expect("one").seq = seq;
    }),
    ("MirroredBodyDiffers", |h| h.mirrored[9].body ^= 1),
    ("MirroredIdDiffers", |h| h.mirrored[9].id.push('0')),
    ("MirroredChannelDiffers", |h| {
        h.mirrored[9].channel.push('0')
    }),
    ("MirrorReordered", |h| {
        let channel = h.mirrored[9].channel.clone();
        let mut of = h
            .mirrored
            .iter_mut()
            .filter(|m| m.channel == channel && m.topic.contains(".ev."));
        let (a, b) = (of.next().expect("one"), of.next().expect("two"));
        std::mem::swap(&mut a.offset, &mut b.offset);
    }),
    ("MirrorChannelSplit", |h| h.mirrored[9].partition += 1),
    ("MirrorChannelSplit", |h| h.mirrored[9].topic.push('2')),
    ("MirrorKeySplit", |h| h.mirrored[9].partition += 1),
    ("OffsetReused", |h| {
        let first = h.mirrored[9].clone();
        let other = h
            .mirrored
            .iter_mut()
            .skip(10)
            .find(|m| (&m.topic, m.partition) == (&first.topic, first.partition));
        other.expect("one").offset = first.offset;
    }),
    ("PartitionShared", |h| {
        for m in h.mirrored.iter_mut() {
            m.topic = "eddyline.all".into();
        }
    }),
    ("MirrorGapFalse", |h| {
        h.push(MirrorGap {
            stream: EVENTS.into(),
            from: 1,
            to: 50,
        })
    }),
    ("MirrorGapFalse", |h| {
        // Retention has removed it, but the mirror has it all the same.
        h.streams.iter_mut().for_each(|s| s.retained_from = 51);
        h.stored.retain(|s| s.seq > 50);
        h.push(MirrorGap {
            stream: EVENTS.into(),
            from: 1,
            to: 50,
        });
    }),
];

#[test]
fn every_planted_corruption_is_seen_as_what_it_is() {
    let base = base();
    assert!(base.check().is_clean());
    for (row, (kind, bend)) in PLANTED.iter().enumerate() {
        let mut bent = base.clone();
        bend(&mut bent);
        let report = bent.check();
        assert!(
            report.has(kind),
            "corruption {row} should be seen as {kind}: {report}"
        );
    }
}

#[test]
fn every_kind_of_violation_has_a_planted_corruption() {
    let planted: BTreeSet<_> = PLANTED.iter().map(|(kind, _)| *kind).collect();
    let kinds: BTreeSet<_> = Violation::KINDS.iter().copied().collect();
    assert_eq!(planted, kinds);
}

#[test]
fn corruptions_of_content_are_seen_whatever_the_history() {
    const GENERAL: [&str; 4] = [
        "StoredBodyDiffers",
        "DeliveredBodyDiffers",
        "MirroredIdDiffers",
        "AckedLost",
    ];
    for seed in 100..140 {
        let whole = history(&Knobs {
            seed,
            steps: 200,
            removed: 0,
            subscribers: 2,
        });
        for (kind, bend) in PLANTED.iter().filter(|(kind, _)| GENERAL.contains(kind)) {
            let mut bent = whole.clone();
            bend(&mut bent);
            let report = bent.check();
            assert!(report.has(kind), "seed {seed}, {kind}: {report}");
        }
    }
}

#[test]
fn what_is_allowed_stays_clean() {
    let mut h = base();
    // A schedule of which one tick was missed.
    ticking(&mut h, &[(10, 1, 0), (30, 2, 1), (40, 3, 0)]);
    // An id reused on purpose, refused as such, and an outcome that nobody knows.
    let ack = h.acked[9].clone();
    let mut sent = h
        .sent
        .iter()
        .find(|s| s.publisher == ack.publisher && s.n == ack.n)
        .expect("sent")
        .clone();
    sent.body ^= 1;
    h.push(sent);
    for code in ["id_reused", "outcome_unknown"] {
        refuse(&mut h, ack.publisher.clone(), ack.n);
        h.refused.last_mut().expect("pushed").code = code.into();
    }
    // Lower prevs, and deliveries beyond what was waited for.
    h.delivered.iter_mut().step_by(3).for_each(|d| d.prev = 0);
    h.subscriptions.iter_mut().for_each(|s| s.until_seq /= 2);
    // A mirror that is behind, and says so.
    h.mirrored_streams.iter_mut().for_each(|m| m.until_seq = 10);
    h.mirrored.retain(|m| m.seq <= 12);
    let report = h.check();
    assert!(report.is_clean(), "{report}");
}
