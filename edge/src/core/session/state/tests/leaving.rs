//! A session of a node that drains, before and after its turn to leave.

use super::*;

#[test]
fn a_session_goes_on_until_its_turn_to_leave() {
    let mut world = World::new();
    let mut state = world.connected();
    let turn = world.now + Duration::from_millis(300);
    assert_eq!(state.drain(world.now, turn), []);
    assert_eq!(state.deadline(), turn);
    assert!(!state.is_drained());
    let steps = world.publish(&mut state, "chat.a", 1, b"1");
    assert!(matches!(&steps[..], [Step::Publish(..)]), "it is served");
    world.now = turn - Duration::from_millis(1);
    assert_eq!(state.tick(&world.rules()), []);
    world.now = turn;
    assert_eq!(state.tick(&world.rules()), [Step::GoingAway]);
    let steps = world.publish(&mut state, "chat.a", 2, b"1");
    assert_eq!(error(&steps), ErrorCode::Unavailable);
    assert_eq!(state.tick(&world.rules()), [], "it is told once");
    world.now += DRAIN_TIMEOUT;
    assert_eq!(
        closes(&state.tick(&world.rules())),
        Some(CloseCode::Restart)
    );
}

#[test]
fn who_has_not_connected_leaves_at_once() {
    let world = World::new();
    let mut state = State::new("edge-1".into(), &world.rules());
    let turn = world.now + Duration::from_secs(1);
    let steps = state.drain(world.now, turn);
    assert_eq!(closes(&steps), Some(CloseCode::Restart));
}
