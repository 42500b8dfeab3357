//! What time and room take: events by their age, ids by the duplicate window, lines of
//! logs when there are more than fit.

use std::time::Duration;

use futures_util::StreamExt;
use protocol::bus::{Outgoing, StreamState};
use protocol::header::Headers;
use protocol::name::{FunctionName, StoreName};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use super::fixture::{Fixture, event, identified, in_store, look_again, subject_in, within};

const STORE: &str = "short";

/// A store whose events are kept for a second.
async fn short(f: &Fixture) -> StreamName {
    f.other_store(STORE, |settings| {
        settings.ingress_max_age = Duration::from_secs(1);
        settings.events_max_age = Duration::from_secs(1);
        settings.duplicate_window_ingress = Duration::from_millis(500);
        settings.duplicate_window_events = Duration::from_millis(500);
    })
    .await
}

/// Waits until nothing is left of a stream.
async fn emptied(f: &Fixture, events: &StreamName) -> StreamState {
    within("the end of the events", async {
        loop {
            let state = f.bus.stream_state(events).await.unwrap();
            if state.first_time_us == 0 {
                return state;
            }
            look_again().await;
        }
    })
    .await
}

pub async fn age_takes_events_and_keeps_the_count(f: Fixture) {
    let events = short(&f).await;
    let subject = subject_in(STORE, Kind::Ev, "doc.a");
    for n in 0..3 {
        let event = in_store(STORE, event("doc.a", n), "doc.a");
        f.bus.publish(event).await.unwrap();
    }
    let state = emptied(&f, &events).await;
    assert_eq!((state.first_seq, state.last_seq, state.bytes), (4, 3, 0));
    f.level(&events).await;
    assert_eq!(f.bus.get(&events, 3).await.unwrap(), None);
    assert_eq!(f.bus.last_on(&events, &subject).await.unwrap(), None);
    let chunk = f.bus.next_on(&events, &subject, 1, 10, 1 << 20).await;
    assert_eq!(chunk.unwrap().events, []);
    // Nothing is left on the subject, and so that is what a condition meets.
    let mut guarded = in_store(STORE, event("doc.a", 4), "doc.a");
    guarded.expect = Some(protocol::bus::Expect::LastOnSubject(0));
    assert_eq!(f.bus.publish(guarded).await.unwrap().seq, 4);
    let state = f.bus.stream_state(&events).await.unwrap();
    assert_eq!(state.last_seq, 4);
}

pub async fn an_id_is_forgotten_after_its_window(f: Fixture) {
    short(&f).await;
    let send = || async {
        let event = in_store(STORE, identified("doc.a", 1), "doc.a");
        f.bus.publish(event).await.unwrap()
    };
    assert_eq!(send().await.seq, 1);
    let stored = within("the end of the window", async {
        loop {
            let ack = send().await;
            if !ack.duplicate {
                return ack.seq;
            }
            assert_eq!(ack.seq, 1);
            look_again().await;
        }
    });
    assert_eq!(stored.await, 2);
    // From now on it is the second one's.
    let ack = send().await;
    assert!(ack.seq >= 2, "{ack:?}");
}

pub async fn what_age_took_is_no_predecessor(f: Fixture) {
    let events = short(&f).await;
    let fan = subject_in(STORE, Kind::Fan, "doc.a");
    let mut live = f.listen(&fan, &events).await;
    f.bus
        .publish(in_store(STORE, event("doc.a", 1), "doc.a"))
        .await
        .unwrap();
    emptied(&f, &events).await;
    f.bus
        .publish(in_store(STORE, event("doc.a", 2), "doc.a"))
        .await
        .unwrap();
    for seq in [1, 2] {
        let said = within("the event", live.next()).await.unwrap();
        let said = said.republished.unwrap();
        assert_eq!((said.stream_seq, said.prev), (seq, 0));
    }
}

pub async fn a_full_log_makes_room_for_what_is_new(f: Fixture) {
    const ROOM: u64 = 1 << 20;
    const LINES: u64 = 40;
    f.other_store("loud", |settings| settings.logs_max_bytes = ROOM)
        .await;
    let name = StoreName::parse("loud").unwrap();
    let stream = StreamName::logs(&name);
    let function = FunctionName::parse("gate").unwrap();
    for _ in 0..LINES {
        let line = Outgoing {
            subject: Subject::log(&name, &function),
            headers: Headers::new(),
            payload: vec![b'x'; 64 << 10].into(),
            msg_id: None,
            expect: None,
        };
        f.bus.publish(line).await.unwrap();
    }
    let state = f.bus.stream_state(&stream).await.unwrap();
    assert_eq!(state.last_seq, LINES);
    assert!(
        state.bytes <= ROOM && state.first_seq > LINES / 2,
        "{state:?}"
    );
}
