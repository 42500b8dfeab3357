//! Credit: what a subscription begins with, what is granted later, and what is refused.

use protocol::frame::{CREDIT_EVENTS_MAX, Grant};

use super::*;

fn counted(channel: &str, credit: u64) -> Action {
    Action::Subscribe(Subscribe {
        credit: Some(credit),
        ..Subscribe::new(channel)
    })
}

fn grant(channel: &str, events: u64) -> Action {
    Action::Credit(Grant {
        channel: channel.into(),
        events,
    })
}

#[test]
fn credit_is_granted_to_the_subscription_of_its_channel() {
    let world = World::new();
    let mut state = world.connected();
    for (channel, code) in [
        ("chat.a", ErrorCode::NotSubscribed),
        ("no channel", ErrorCode::NotSubscribed),
    ] {
        assert_eq!(error(&world.act(&mut state, grant(channel, 1))), code);
    }
    let steps = world.act(&mut state, counted("chat.a", 0));
    assert!(matches!(&steps[..], [Step::Attach(request)]
        if request.credit == Some(0) && request.wants.counted));
    // Whether it stands yet or not.
    let steps = world.act(&mut state, grant("chat.a", 5));
    assert!(matches!(&steps[..], [Step::Grant(1, 99, grant)] if grant.events == 5));
    let steps = world.act(&mut state, grant("chat.a", 0));
    assert_eq!(error(&steps), ErrorCode::BadCredit);
    let steps = world.act(&mut state, subscribe("chat.b"));
    assert!(matches!(&steps[..], [Step::Attach(request)]
        if request.credit.is_none() && !request.wants.counted));
}

#[test]
fn a_first_credit_within_and_beyond_its_limit() {
    let world = World::new();
    let mut state = world.connected();
    let steps = world.act(&mut state, counted("chat.a", CREDIT_EVENTS_MAX + 1));
    assert_eq!(error(&steps), ErrorCode::BadCredit);
    let steps = world.act(&mut state, counted("chat.a", CREDIT_EVENTS_MAX));
    assert!(matches!(&steps[..], [Step::Attach(_)]), "{steps:?}");
}

#[test]
fn nothing_is_granted_once_the_token_has_ended() {
    let mut world = World::new();
    let mut state = world.connected();
    world.act(&mut state, counted("chat.a", 1));
    world.now += Duration::from_secs(60 + 31);
    world.now_us += 91_000_000;
    let steps = world.act(&mut state, grant("chat.a", 5));
    assert_eq!(error(&steps), ErrorCode::TokenExpired);
}
