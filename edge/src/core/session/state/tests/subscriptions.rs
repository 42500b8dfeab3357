//! Subscriptions that are counted, refused, left before they stand, and taken up again.

use super::*;

#[test]
fn subscriptions_are_counted_and_checked() {
    let world = World::new();
    let mut state = world.connected();
    assert_eq!(
        error(&world.act(&mut state, subscribe("doc.a"))),
        ErrorCode::Forbidden
    );
    assert_eq!(
        error(&world.act(&mut state, subscribe("_outcome.bob.c1.chat"))),
        ErrorCode::Forbidden
    );
    assert!(matches!(
        world
            .act(&mut state, subscribe("_outcome.ann.c1.chat"))
            .as_slice(),
        [Step::Attach(_)]
    ));
    assert!(matches!(
        world.act(&mut state, subscribe("chat.a")).as_slice(),
        [Step::Attach(_)]
    ));
    assert_eq!(
        error(&world.act(&mut state, subscribe("chat.a"))),
        ErrorCode::AlreadySubscribed
    );
    assert_eq!(
        error(&world.act(&mut state, subscribe("chat.b"))),
        ErrorCode::TooManySubscriptions
    );
}

fn unsubscribe(channel: &str) -> Action {
    Action::Unsubscribe(Unsubscribe {
        channel: channel.into(),
    })
}

#[test]
fn a_subscription_ends_whether_it_stands_or_not_and_its_place_is_free() {
    let world = World::new();
    let mut state = world.connected();
    let mut next = 0;
    let mut act = |action| {
        next += 1;
        state.command(&world.rules(), Command::new(next, action), 100 + next)
    };
    // More than the limit of two, one after the other, none of which stands yet.
    for round in 0..4 {
        let steps = act(subscribe("chat.a"));
        assert!(matches!(&steps[..], [Step::Attach(request)] if request.id == 101 + 2 * round));
        let steps = act(unsubscribe("chat.a"));
        assert!(
            matches!(&steps[..], [Step::Leave { id, command }, Step::Reply(reply, Outcome::Unsubscribe(_))]
                if (*id, *command, *reply) == (101 + 2 * round, 1 + 2 * round, 2 + 2 * round)),
            "{steps:?}"
        );
    }
    let code = error(&act(unsubscribe("chat.a")));
    assert_eq!(code, ErrorCode::NotSubscribed);
}

#[test]
fn what_comes_of_a_cancelled_subscription_does_not_touch_the_next_one() {
    let world = World::new();
    let mut state = world.connected();
    let channel = Channel::parse("chat.a").unwrap();
    let command = |state: &mut State, id, action| {
        state.command(&world.rules(), Command::new(id, action), 100 + id)
    };
    command(&mut state, 1, subscribe("chat.a"));
    command(&mut state, 2, unsubscribe("chat.a"));
    command(&mut state, 3, subscribe("chat.a"));
    let refusal = || ErrorBody::new(ErrorCode::Unavailable, "");
    assert_eq!(state.refused(101, 1, &channel, refusal()), []);
    assert_eq!(
        error(&command(&mut state, 4, subscribe("chat.a"))),
        ErrorCode::AlreadySubscribed
    );
    let steps = state.refused(103, 3, &channel, refusal());
    assert!(matches!(&steps[..], [Step::Detach(103), Step::Reply(3, _)]));
}
