//! Rates of a session, obeyed and violated.

use super::*;

fn world() -> World {
    let mut world = World::new();
    world.limits.connection.operations_per_second = 2;
    world.limits.subscribes_per_second = 1;
    world.limits.connections_per_user = 1;
    world.limits.publish_window = 100;
    world
}

#[test]
fn commands_within_and_beyond_the_rate() {
    let mut world = world();
    let mut state = world.connected();
    for _ in 0..4 {
        let steps = world.act(&mut state, Action::Ping(Ping {}));
        assert!(matches!(&steps[..], [Step::Reply(1, Outcome::Ping(_))]));
    }
    let steps = world.act(&mut state, Action::Ping(Ping {}));
    assert_eq!(error(&steps), ErrorCode::RateLimited);
    world.now += Duration::from_millis(500);
    let steps = world.act(&mut state, Action::Ping(Ping {}));
    assert!(matches!(&steps[..], [Step::Reply(1, Outcome::Ping(_))]));
}

#[test]
fn an_event_beyond_the_rate_holds_back_those_behind_it() {
    let world = world();
    let mut state = world.connected();
    for n in 1..=4 {
        let steps = world.publish(&mut state, "chat.a", n, b"1");
        assert!(matches!(&steps[..], [Step::Publish(..)]));
    }
    let steps = world.publish(&mut state, "chat.a", 5, b"1");
    assert_eq!(error(&steps), ErrorCode::RateLimited);
    assert!(matches!(&steps[0], Step::Held(channel, 5) if channel.as_str() == "chat.a"));
}

#[test]
fn what_is_wrong_with_an_event_is_told_before_its_rate() {
    let world = world();
    let mut state = world.connected();
    for _ in 0..6 {
        let steps = world.publish(&mut state, "chat.a", 1, b"{");
        assert_eq!(error(&steps), ErrorCode::BadData);
    }
}

#[test]
fn subscriptions_within_and_beyond_the_rate() {
    let world = world();
    let mut state = world.connected();
    for channel in ["chat.a", "chat.b"] {
        let steps = world.act(&mut state, subscribe(channel));
        assert!(matches!(&steps[..], [Step::Attach(_)]));
    }
    let steps = world.act(&mut state, subscribe("chat.c"));
    assert_eq!(error(&steps), ErrorCode::RateLimited);
}

#[test]
fn a_user_has_so_many_sessions_and_no_more() {
    let world = world();
    let first = world.connected();
    let mut second = State::new("edge-2".into(), &world.rules());
    let connect = || Action::Connect(Connect::new(world.token(Duration::from_secs(60)), "c2"));
    let steps = world.act(&mut second, connect());
    assert_eq!(
        (error(&steps), closes(&steps)),
        (
            ErrorCode::TooManyConnections,
            Some(CloseCode::TooManyConnections)
        )
    );
    drop(first);
    let steps = world.act(&mut second, connect());
    assert!(matches!(&steps[..], [Step::Connected, _]));
}
