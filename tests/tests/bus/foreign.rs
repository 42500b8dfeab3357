//! Messages that some other program has stored, with headers that async-nats cannot
//! parse: each of them breaks the connection that it comes over. Whoever meets one gets
//! past it, with what can be read of it, and does not break again where it is known.

use bus::{Bus, ReaderOptions};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use protocol::bus::Stored;
use protocol::subject::Kind;

use super::fixture::{Fixture, event, look_again, subject, within};

const OPTIONS: ReaderOptions = ReaderOptions {
    batch: 1_000,
    bytes_max: 4 << 20,
};

/// First lines of blocks, and lines beside those of an event.
const KINDS: [(&[u8], &[u8]); 7] = [
    (b"NATS/1.0", b"no colon"),
    (b"NATS/1.0", b"two words: 1"),
    (b"NATS/1.0 what", b"Nats-Sequence: 1"),
    // Statuses that mean something to a reader, and to a run of events.
    (b"NATS/1.0 100 Idle Heartbeat", b"Nats-Subject: x"),
    (b"NATS/1.0 204 EOB", b"Nats-Num-Pending: 0"),
    (b"NATS/1.0 503", b"Nats-Last-Sequence: 0"),
    // Last, so that whoever asks for the last event meets one that breaks.
    (b"NATS/1.0", b"eddy-h-name: caf\xe9"),
];

/// One event of ours before each foreign one on `doc.a`, and the last of all foreign;
/// the numbers of the events by their sequence.
async fn fill(f: &Fixture) -> Vec<(u64, u64)> {
    let mut stored = Vec::new();
    for (n, (version, line)) in (0..).step_by(2).zip(KINDS) {
        let ours = f.bus.publish(event("doc.a", n)).await.unwrap().seq;
        f.bus.publish(event("doc.b", n)).await.unwrap();
        let foreign = f.store_foreign("doc.a", n + 1, version, line).await;
        stored.extend([(ours, n), (foreign, n + 1)]);
    }
    stored
}

/// That these are the events that were stored on `doc.a`.
fn assert_all(found: &[Stored], stored: &[(u64, u64)]) {
    let seqs: Vec<_> = found.iter().map(|event| event.seq).collect();
    let wanted: Vec<_> = stored.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, wanted);
    for (found, (_, n)) in found.iter().zip(stored) {
        let wanted = event("doc.a", *n);
        assert_eq!(found.headers, wanted.headers, "{found:?}");
        assert_eq!(found.payload, wanted.payload, "{found:?}");
        assert_eq!(found.subject, wanted.subject.as_str());
    }
}

/// Runs of events until there are no more.
async fn runs(f: &Fixture, bus: &Bus) -> Vec<Stored> {
    let (filter, mut found) = (subject(Kind::Ev, "doc.a"), Vec::<Stored>::new());
    loop {
        let from = found.last().map_or(1, |event| event.seq + 1);
        let run = bus.next_on(&f.events, &filter, from, 5, 1 << 20);
        let run = within("a run", run).await.unwrap();
        if run.events.is_empty() && !run.more {
            return found;
        }
        found.extend(run.events);
    }
}

async fn scanned(f: &Fixture, bus: &Bus, stored: &[(u64, u64)]) -> Vec<Stored> {
    let (last, filter) = (stored.last().unwrap().0, subject(Kind::Ev, "doc.a"));
    let scan = bus.scan(&f.events, &filter, 1, last);
    within("the range", scan.await.try_collect()).await.unwrap()
}

pub async fn a_reader_gets_past_them(f: Fixture) {
    let mut reader = f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap();
    let stored = fill(&f).await;
    let (last, mut found) = (stored.last().unwrap().0, Vec::<Stored>::new());
    while found.last().map_or(0, |event| event.seq) < last {
        let batch = within("the next batch", reader.next_batch()).await.unwrap();
        for (event, before) in batch
            .iter()
            .zip(reader.last_seq() + 1 - batch.len() as u64..)
        {
            assert_eq!(event.seq, before, "none is missing");
        }
        found.extend(batch);
    }
    assert_eq!(found.len() as u64, last);
    found.retain(|event| event.subject == subject(Kind::Ev, "doc.a").as_str());
    assert_all(&found, &stored);
    // What comes later, one way or the other.
    let late = f.bus.publish(event("doc.b", 99)).await.unwrap().seq;
    let batch = within("the event", reader.next_batch()).await.unwrap();
    assert_eq!(batch[0].seq, late);
}

pub async fn runs_and_ranges_hold_them(f: Fixture) {
    let stored = fill(&f).await;
    f.level(&f.events).await;
    // Each with a connection that has met none of them yet.
    assert_all(&runs(&f, &f.connect().await).await, &stored);
    assert_all(&scanned(&f, &f.connect().await, &stored).await, &stored);
    for (seq, n) in &stored {
        let got = f.bus.get(&f.events, *seq).await.unwrap().unwrap();
        assert_all(&[got], &[(*seq, *n)]);
    }
}

pub async fn who_knows_them_breaks_no_more(f: Fixture) {
    let stored = fill(&f).await;
    f.level(&f.events).await;
    let subjects = ["doc.a", "doc.b"].map(|channel| subject(Kind::Ev, channel));
    let bus = f.connect().await;
    let tails = async || {
        let tails = within("the tails", bus.last_seqs(&f.events, &subjects)).await;
        let mut tails = tails.unwrap();
        tails.sort();
        tails
    };
    let first = tails().await;
    assert_eq!(
        first[0],
        (subjects[0].to_string(), stored.last().unwrap().0)
    );
    assert_eq!(first[1].1, first[0].1 - 1);
    let before = *bus.connects().borrow();
    assert_eq!(tails().await, first);
    assert_all(&runs(&f, &bus).await, &stored);
    assert_all(&scanned(&f, &bus, &stored).await, &stored);
    bus.flush().await.unwrap();
    assert_eq!(*bus.connects().borrow(), before);
}

pub async fn who_listens_hears_what_comes_after(f: Fixture) {
    let mut live = f.listen(&subject(Kind::Fan, "doc.a"), &f.events).await;
    fill(&f).await;
    within("a later event", async {
        // What comes while the connection is made anew is lost.
        for n in 100.. {
            f.bus.publish(event("doc.a", n)).await.unwrap();
            f.bus.stream_state(&f.events).await.ok();
            while let Some(heard) = live.next().now_or_never() {
                if heard.unwrap().payload == event("doc.a", n).payload {
                    return;
                }
            }
            look_again().await;
        }
    })
    .await;
}
