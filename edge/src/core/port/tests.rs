//! Who meets whom at a port, and what is told once.

use futures_util::FutureExt;
use shares::budget::FREE_BYTES;

use super::*;

fn frames(port: &Port) -> usize {
    let mut frames = 0;
    port.take(usize::MAX, |_| frames += 1);
    frames
}

#[test]
fn a_session_is_asked_to_end_once() {
    let port = Port::new(100, &Budget::new(1 << 30), Form::Joined);
    for _ in 0..3 {
        port.disconnect();
        port.recheck();
    }
    let notes = port.take_notes();
    assert!(matches!(notes[..], [Note::Disconnected, Note::Revocations]));
    port.close();
    port.disconnect();
    assert!(port.take_notes().is_empty());
}

fn reply() -> Bytes {
    Bytes::from_static(b"reply")
}

#[test]
fn a_subscription_is_answered_once_by_whoever_comes_first() {
    let port = Port::new(100, &Budget::new(0), Form::Joined);
    port.expect(1);
    port.expect(2);
    assert!(port.shut(1) && !port.open(1, reply()));
    assert_eq!(frames(&port), 0);
    assert!(port.open(2, reply()) && !port.shut(2));
    assert_eq!(frames(&port), 1);
    assert!(!port.send_for(2, reply()));
    assert!(!port.open(3, reply()), "nobody expects it");
    port.expect(4);
    port.close();
    assert!(!port.open(4, reply()) && !port.shut(4));
}

#[tokio::test]
async fn room_that_came_by_others_is_told_at_the_next_write() {
    let bytes = 4 * FREE_BYTES;
    let budget = Budget::new(bytes);
    let mut others = budget.charge();
    others.set(FREE_BYTES + bytes);
    let port = Port::new(bytes, &budget, Form::Joined);
    port.send(vec![0; 100].into());
    port.take(1, drop);
    let mut room = Box::pin(port.room());
    assert!((&mut room).now_or_never().is_none());
    drop(others);
    port.written(1);
    assert!(room.now_or_never().is_some());
}
