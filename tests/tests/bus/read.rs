//! Every way of reading.

use bus::{BusError, LAST_SEQS_MAX, Portion, ReaderOptions};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use protocol::bus::Stored;
use protocol::subject::{Kind, Subject};

use super::fixture::{Fixture, event, look_again, store, subject, within};

const OPTIONS: ReaderOptions = ReaderOptions {
    batch: 1_000,
    bytes_max: 4 << 20,
};

/// Fills `doc.a` with `count` events, every seventh empty, and as many on `doc.b`.
async fn fill(f: &Fixture, count: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    for start in (0..count).step_by(250) {
        let mut batch = Vec::new();
        for n in start..(start + 250).min(count) {
            let mut a = event("doc.a", n);
            if n % 7 == 0 {
                a.payload = Bytes::new();
            }
            batch.extend([a, event("doc.b", n)]);
        }
        let ack = f.bus.commit_batch(batch).await.unwrap();
        seqs.extend((ack.first_seq..=ack.last_seq).step_by(2));
    }
    seqs
}

fn seqs(events: &[Stored]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

pub async fn an_event_is_the_same_on_every_path(f: Fixture) {
    let mut live = f.listen(&subject(Kind::Fan, "doc.a"), &f.events).await;
    let before = f.bus.publish(event("doc.a", 1)).await.unwrap().seq;
    f.bus.publish(event("doc.b", 1)).await.unwrap();
    let seq = f.bus.publish(event("doc.a", 2)).await.unwrap().seq;
    let filter = subject(Kind::Ev, "doc.a");
    f.level(&f.events).await;
    let got = f.bus.get(&f.events, seq).await.unwrap().unwrap();
    assert_eq!(
        (got.subject.as_str(), got.payload.as_ref()),
        (filter.as_str(), b"2".as_ref())
    );
    assert_eq!(
        got.headers.iter().collect::<Vec<_>>(),
        [("eddy-id", "acme/ann/c/2"), ("eddy-publisher", "ann/c")]
    );
    assert_eq!(
        f.bus.last_on(&f.events, &filter).await.unwrap().as_ref(),
        Some(&got)
    );
    let next = f
        .bus
        .next_on(&f.events, &filter, seq, 10, 1 << 20)
        .await
        .unwrap();
    assert_eq!(
        (next.events.as_slice(), next.more),
        (std::slice::from_ref(&got), false)
    );
    let scanned: Vec<_> = f
        .bus
        .scan(&f.events, &filter, seq, seq)
        .await
        .try_collect()
        .await
        .unwrap();
    assert_eq!(scanned, std::slice::from_ref(&got));
    let mut reader = f.bus.reader(&f.events, None, seq, OPTIONS).await.unwrap();
    assert_eq!(
        within("the event", reader.next_batch()).await.unwrap(),
        std::slice::from_ref(&got)
    );
    assert_eq!((reader.pending(), reader.last_seq()), (0, seq));
    let first = within("the first", live.next())
        .await
        .unwrap()
        .republished
        .unwrap();
    assert_eq!((first.stream_seq, first.prev), (before, 0));
    let incoming = within("the second", live.next()).await.unwrap();
    let said = incoming.republished.unwrap();
    assert_eq!(
        (said.stream_seq, said.prev, said.time_us),
        (seq, before, got.time_us)
    );
    assert_eq!(
        (&incoming.headers, &incoming.payload),
        (&got.headers, &got.payload)
    );
    assert_eq!(incoming.subject(), subject(Kind::Fan, "doc.a").as_str());
}

pub async fn what_is_not_there_is_said(f: Fixture) {
    let filter = subject(Kind::Ev, "doc.a");
    assert_eq!(f.bus.get(&f.events, 1).await.unwrap(), None);
    assert_eq!(f.bus.last_on(&f.events, &filter).await.unwrap(), None);
    assert_eq!(
        f.bus
            .next_on(&f.events, &filter, 1, 10, 1 << 20)
            .await
            .unwrap()
            .events,
        []
    );
    assert_eq!(
        f.bus.first_since(&f.events, &filter, 0).await.unwrap(),
        None
    );
    assert_eq!(
        f.bus
            .last_seqs(&f.events, std::slice::from_ref(&filter))
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        f.bus
            .scan(&f.events, &filter, 1, 0)
            .await
            .try_collect::<Vec<_>>()
            .await
            .unwrap(),
        []
    );
    let state = f.bus.stream_state(&f.events).await.unwrap();
    assert_eq!(
        (state.first_seq, state.last_seq, state.first_time_us),
        (1, 0, 0)
    );
    let missing = protocol::stream::StreamName::parse("EVENTS-none").unwrap();
    for error in [
        f.bus
            .next_on(&missing, &filter, 1, 10, 1 << 20)
            .await
            .map(|_| ())
            .unwrap_err(),
        f.bus
            .last_seqs(&missing, std::slice::from_ref(&filter))
            .await
            .map(|_| ())
            .unwrap_err(),
    ] {
        assert!(matches!(error, BusError::NoStream), "{error}");
    }
    assert!(matches!(
        f.bus.stream_state(&missing).await,
        Err(BusError::NotFound)
    ));
    assert!(matches!(
        f.bus.get(&missing, 1).await,
        Err(BusError::NotFound)
    ));
    assert!(matches!(
        f.bus.reader(&missing, None, 1, OPTIONS).await,
        Err(BusError::NotFound)
    ));
}

pub async fn short_and_long_ranges_are_complete(f: Fixture) {
    let all = fill(&f, 12_000).await;
    let filter = subject(Kind::Ev, "doc.a");
    let end = f.bus.stream_state(&f.events).await.unwrap().last_seq;
    f.level(&f.events).await;
    let chunk = f
        .bus
        .next_on(&f.events, &filter, all[5], 300, 8 << 20)
        .await
        .unwrap();
    assert_eq!(
        (seqs(&chunk.events), chunk.more),
        (all[5..305].to_vec(), true)
    );
    let chunk = f
        .bus
        .next_on(&f.events, &filter, all[5], 300, 2_000)
        .await
        .unwrap();
    assert!(
        chunk.more && !chunk.events.is_empty() && chunk.events.len() < 100,
        "{}",
        chunk.events.len()
    );
    let chunk = f
        .bus
        .next_on(&f.events, &filter, all[11_990], 300, 8 << 20)
        .await
        .unwrap();
    assert_eq!(
        (seqs(&chunk.events), chunk.more),
        (all[11_990..].to_vec(), false)
    );
    for (from, to) in [
        (1, end),
        (all[3], all[3]),
        (all[3] + 1, all[4] - 1),
        (all[10], all[700]),
        (end + 1, end),
    ] {
        let scanned: Vec<_> = within(
            "the scan",
            f.bus.scan(&f.events, &filter, from, to).await.try_collect(),
        )
        .await
        .unwrap();
        let wanted: Vec<_> = all
            .iter()
            .copied()
            .filter(|seq| (from..=to).contains(seq))
            .collect();
        assert_eq!(seqs(&scanned), wanted, "{from} to {to}");
    }
    // The end of a range is known to exist: a leader that has less is not the leader.
    let scan = f.bus.scan(&f.events, &filter, 1, end + 1_000).await;
    let read = within("the scan", scan.try_collect::<Vec<_>>()).await;
    assert!(matches!(read, Err(BusError::Behind)));
    let lane = Subject::store_filter(Kind::Ev, &store());
    let scan = f.bus.scan(&f.events, &lane, 1, end).await;
    let scanned: Vec<_> = within("the scan", scan.try_collect()).await.unwrap();
    assert_eq!(seqs(&scanned), (1..=end).collect::<Vec<_>>());
}

pub async fn every_event_finds_the_one_before(f: Fixture) {
    let all = fill(&f, 20).await;
    let filter = subject(Kind::Ev, "doc.a");
    f.level(&f.events).await;
    let end = f.bus.stream_state(&f.events).await.unwrap().last_seq;
    let before = |seq: u64| f.bus.last_before(&f.events, &filter, seq);
    for seq in 0..=end + 1 {
        let wanted = all.iter().copied().rfind(|known| *known < seq);
        assert_eq!(before(seq).await.unwrap(), wanted, "before {seq}");
    }
    let none = subject(Kind::Ev, "doc.none");
    let none = f.bus.last_before(&f.events, &none, end).await.unwrap();
    assert_eq!(none, None);
    // A page is not all of it, and what is fetched for it ends with its range.
    let page = Portion {
        events: 3,
        bytes: 1 << 20,
    };
    for range in [(1, end), (all[4], all[5]), (all[4] + 1, all[4] + 1)] {
        let scan = f.bus.scan_page(&f.events, &filter, range, page).await;
        let read: Vec<_> = within("the page", scan.try_collect()).await.unwrap();
        let wanted = all.iter().copied();
        let wanted = wanted.filter(|seq| (range.0..=range.1).contains(seq));
        assert_eq!(seqs(&read), wanted.collect::<Vec<_>>(), "{range:?}");
    }
}

pub async fn tails_of_many_subjects_in_one_call(f: Fixture) {
    let name = |n: u64| format!("doc.{n}");
    let large = vec![b'x'; 100_000];
    let batch = (0..200u64).map(|n| {
        let mut event = event(&name(n), n);
        event.payload = large.clone().into();
        event
    });
    let mut last = 0;
    for chunk in batch.collect::<Vec<_>>().chunks(20) {
        last = f.bus.commit_batch(chunk.to_vec()).await.unwrap().last_seq;
    }
    f.level(&f.events).await;
    let subjects: Vec<_> = (0..LAST_SEQS_MAX as u64)
        .map(|n| subject(Kind::Ev, &name(n)))
        .collect();
    let mut found = within("the tails", f.bus.last_seqs(&f.events, &subjects))
        .await
        .unwrap();
    found.sort_by_key(|(_, seq)| *seq);
    let wanted: Vec<_> = (0..200)
        .map(|n| (subject(Kind::Ev, &name(n)).to_string(), last - 199 + n))
        .collect();
    assert_eq!(found, wanted);
    let many: Vec<_> = (0..=LAST_SEQS_MAX as u64)
        .map(|n| subject(Kind::Ev, &name(n)))
        .collect();
    assert!(matches!(
        f.bus.last_seqs(&f.events, &many).await,
        Err(BusError::Limit { .. })
    ));
}

pub async fn a_time_finds_the_first_event_from_it_on(f: Fixture) {
    let mut times = Vec::new();
    for n in 0..5 {
        let seq = f.bus.publish(event("doc.a", n)).await.unwrap().seq;
        f.bus.publish(event("doc.b", n)).await.unwrap();
        f.level(&f.events).await;
        times.push((
            seq,
            f.bus.get(&f.events, seq).await.unwrap().unwrap().time_us,
        ));
    }
    let filter = subject(Kind::Ev, "doc.a");
    for (seq, time) in &times {
        assert_eq!(
            f.bus.first_since(&f.events, &filter, *time).await.unwrap(),
            Some(*seq)
        );
    }
    assert_eq!(
        f.bus
            .first_since(&f.events, &filter, times[1].1 + 1)
            .await
            .unwrap(),
        Some(times[2].0)
    );
    assert_eq!(
        f.bus.first_since(&f.events, &filter, 0).await.unwrap(),
        Some(times[0].0)
    );
    assert_eq!(
        f.bus
            .first_since(&f.events, &filter, times[4].1 + 60_000_000)
            .await
            .unwrap(),
        None
    );
    let state = f.bus.stream_state(&f.events).await.unwrap();
    assert_eq!(
        (state.first_seq, state.last_seq, state.first_time_us),
        (1, 10, times[0].1)
    );
}

pub async fn a_filter_has_a_last_event(f: Fixture) {
    let lane = Subject::lane_filter(Kind::Ev, &store(), protocol::lane::Lane(0));
    assert_eq!(f.bus.last_on(&f.events, &lane).await.unwrap(), None);
    for (n, channel) in ["doc.a", "doc.b", "doc.a"].into_iter().enumerate() {
        f.bus.publish(event(channel, n as u64)).await.unwrap();
        f.level(&f.events).await;
        let last = f.bus.last_on(&f.events, &lane).await.unwrap().unwrap();
        assert_eq!(last.seq, n as u64 + 1);
    }
    let other = Subject::lane_filter(Kind::Ev, &store(), protocol::lane::Lane(1));
    assert_eq!(f.bus.last_on(&f.events, &other).await.unwrap(), None);
    let b = subject(Kind::Ev, "doc.b");
    assert_eq!(f.bus.last_on(&f.events, &b).await.unwrap().unwrap().seq, 2);
}

pub async fn dead_letters_are_copied(f: Fixture) {
    let gate = protocol::name::FunctionName::parse("gate").unwrap();
    let letters = Subject::dead_letter(&store(), protocol::lane::Lane(0), &gate);
    let mut letter = event("doc.a", 7);
    letter.subject = letters.clone();
    f.bus
        .commit_batch(vec![event("doc.a", 1), letter, event("doc.a", 2)])
        .await
        .unwrap();
    let rejected = protocol::stream::StreamName::rejected(&store());
    let copy = within("the copy", async {
        loop {
            match f.bus.last_on(&rejected, &letters).await.unwrap() {
                Some(copy) => return copy,
                None => look_again().await,
            }
        }
    })
    .await;
    f.level(&f.events).await;
    let original = f.bus.get(&f.events, 2).await.unwrap().unwrap();
    assert_eq!(copy.seq, 1);
    assert_eq!(
        (&copy.subject, &copy.headers, &copy.payload),
        (&original.subject, &original.headers, &original.payload)
    );
}
