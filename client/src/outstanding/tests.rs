//! Every decision about sending and resending, without a connection.

use super::*;
use crate::options::Resend;

const WINDOW: usize = 4;
const NOW_US: u64 = 1_000;

fn outstanding(events: &[(u64, &str)]) -> Outstanding<u64> {
    let mut outstanding = Outstanding::new();
    for (n, channel) in events {
        let draft = Draft::json(*channel, format!("{n}"));
        outstanding.insert(*n, draft, *n).unwrap();
    }
    outstanding
}

/// Sends all that may be sent: numbers, and the first attempt's time of resends.
fn send(outstanding: &mut Outstanding<u64>, now: Instant, us: u64) -> Vec<(u64, Option<u64>)> {
    std::iter::from_fn(|| {
        let sending = outstanding.next(WINDOW, now, us)?;
        Some((sending.n, sending.first_sent))
    })
    .collect()
}

#[test]
fn sent_in_order_within_the_window() {
    let now = Instant::now();
    let mut events = outstanding(&[(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "a")]);
    let first = send(&mut events, now, NOW_US);
    assert_eq!(first, [(1, None), (2, None), (3, None), (4, None)]);
    assert!(!events.is_ready(WINDOW, now));
    assert_eq!(events.acked(2), Some(2));
    assert_eq!(events.acked(2), None);
    assert_eq!(send(&mut events, now, NOW_US), [(5, None)]);
}

#[test]
fn a_lost_connection_resends_with_the_first_time() {
    let now = Instant::now();
    let mut events = outstanding(&[(1, "a"), (2, "a")]);
    send(&mut events, now, NOW_US);
    events
        .insert(3, Draft::json("a", "3"), 3)
        .expect("not in use");
    assert_eq!(events.lost(), 2);
    let again = send(&mut events, now, 9_000);
    assert_eq!(again, [(1, Some(NOW_US)), (2, Some(NOW_US)), (3, None)]);
    events.lost();
    let third = send(&mut events, now, 20_000);
    assert_eq!(
        third,
        [(1, Some(NOW_US)), (2, Some(NOW_US)), (3, Some(9_000))]
    );
}

#[test]
fn a_temporary_refusal_holds_its_channel_back() {
    let now = Instant::now();
    let mut events = outstanding(&[(1, "a"), (2, "a"), (3, "b")]);
    send(&mut events, now, NOW_US);
    let unavailable = ErrorBody::new(ErrorCode::Unavailable, "");
    let earlier = ErrorBody::new(ErrorCode::EarlierRefused, "");
    assert_eq!(events.refused(1, &unavailable, now), Refusal::Again);
    assert_eq!(events.refused(2, &earlier, now), Refusal::Again);
    events.insert(4, Draft::json("a", "4"), 4).unwrap();
    events.insert(5, Draft::json("b", "5"), 5).unwrap();
    // Number 2 is due first, but must not overtake number 1.
    let soon = now + Duration::from_millis(100);
    assert_eq!(send(&mut events, soon, NOW_US), [(5, None)]);
    let due = events.due(now).expect("two wait");
    assert!(due > now && due < soon);
    let later = now + Duration::from_millis(500);
    let again = send(&mut events, later, 2_000);
    // Only number 1 may have been stored by its first attempt.
    assert_eq!(again, [(1, Some(NOW_US)), (2, None)]);
}

#[test]
fn a_final_refusal_ends_the_event() {
    let now = Instant::now();
    let mut events = outstanding(&[(1, "a")]);
    send(&mut events, now, NOW_US);
    let reused = ErrorBody::new(ErrorCode::IdReused, "");
    assert_eq!(events.refused(1, &reused, now), Refusal::Final(1));
    assert_eq!(events.refused(1, &reused, now), Refusal::Unknown);
    assert!(events.is_empty());
}

#[test]
fn a_draft_that_is_a_resend_says_so_at_once() {
    let now = Instant::now();
    let mut events = outstanding(&[(7, "a")]);
    let mut draft = Draft::json("a", "1");
    draft.resend = Some(Resend {
        n: 3,
        first_sent: 5,
    });
    assert_eq!(events.insert(7, draft.clone(), 0), Err(0));
    events.insert(3, draft, 3).unwrap();
    assert_eq!(send(&mut events, now, NOW_US), [(3, Some(5)), (7, None)]);
    assert_eq!(events.drain().collect::<Vec<_>>(), [3, 7]);
    assert!(events.is_empty() && events.has_room());
}

#[test]
fn room_ends_at_the_limit() {
    let mut events = Outstanding::new();
    for n in 0..OUTSTANDING_MAX as u64 {
        assert!(events.has_room());
        events.insert(n, Draft::json("a", ""), ()).unwrap();
    }
    assert!(!events.has_room());
}
