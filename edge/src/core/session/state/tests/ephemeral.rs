//! Ephemeral events in a session: what may be published where, and what a refusal holds
//! back.

use super::*;

fn ephemeral(channel: &str, n: u64) -> Action {
    let Action::Publish(body) = publish(channel, n, b"1") else {
        unreachable!()
    };
    Action::Publish(Publish {
        class: Class::Ephemeral,
        ..body
    })
}

/// `chat` allows both classes, `doc` ephemeral events alone, behind its gate.
fn world() -> World {
    let mut world = World::new();
    let directory = Arc::make_mut(&mut world.directory);
    for (key, value) in [
        (
            "namespace.chat",
            r#"{"name":"chat","store":"main","path":"direct","classes":["durable","ephemeral"]}"#,
        ),
        (
            "namespace.doc",
            r#"{"name":"doc","store":"main","path":{"function":"gate"},"classes":["ephemeral"]}"#,
        ),
    ] {
        assert!(directory.apply(key, Some(value.as_bytes())));
    }
    world
}

fn subject(steps: &[Step]) -> &str {
    match steps {
        [Step::PassOn(1, draft)] => draft.subject.as_str(),
        steps => panic!("{steps:?}"),
    }
}

#[test]
fn an_ephemeral_event_goes_to_who_listens_or_to_its_gate() {
    let world = world();
    let mut state = world.connected();
    let steps = world.act(&mut state, ephemeral("chat.a", 1));
    assert!(subject(&steps).starts_with("eph.main."));
    let steps = world.act(&mut state, ephemeral("doc.a", 2));
    assert!(subject(&steps).starts_with("req.main."));
    let steps = world.act(&mut state, publish("chat.a", 3, b"1"));
    assert_eq!(
        error(&steps),
        ErrorCode::WindowExceeded,
        "the window is one"
    );
    assert!(matches!(steps.as_slice(), [Step::Held(..), _]));
    let steps = world.act(&mut state, ephemeral("chat.a", 4));
    assert_eq!(error(&steps), ErrorCode::WindowExceeded);
    assert_eq!(steps.len(), 1, "it holds nothing back");
    let passed = PassedOn {
        n: 1,
        class: Class::Ephemeral,
        dropped: None,
    };
    let told = state.passed_on(1, Ok(passed));
    assert!(matches!(told, Step::Reply(1, Outcome::PassedOn(_))));
    assert!(matches!(
        world.act(&mut state, ephemeral("chat.a", 5)).as_slice(),
        [Step::PassOn(..)]
    ));
}

#[test]
fn a_class_that_is_not_allowed_is_refused_and_so_is_a_resend() {
    let mut world = world();
    let mut state = world.connected();
    let steps = world.act(&mut state, publish("doc.a", 1, b"1"));
    assert_eq!(error(&steps), ErrorCode::ClassRefused);
    assert_eq!(steps.len(), 1, "nothing waits for what is never taken");
    let Action::Publish(body) = ephemeral("chat.a", 2) else {
        unreachable!()
    };
    let resend = Publish {
        first_sent: Some(1),
        ..body
    };
    let steps = world.act(&mut state, Action::Publish(resend));
    assert_eq!(error(&steps), ErrorCode::BadFrame);
    Arc::make_mut(&mut world.directory).apply_function("gate", None);
    let steps = world.act(&mut state, ephemeral("doc.a", 3));
    assert_eq!(error(&steps), ErrorCode::GateUnavailable);
    let only_durable = World::new();
    let steps = only_durable.act(&mut only_durable.connected(), ephemeral("chat.a", 4));
    assert_eq!(error(&steps), ErrorCode::ClassRefused);
}

#[test]
fn a_subscription_without_echo_knows_its_own_writer() {
    let world = world();
    let mut state = world.connected();
    let mut own = |channel: &str, echo| {
        let subscribe = Subscribe {
            echo,
            ..Subscribe::new(channel)
        };
        match world
            .act(&mut state, Action::Subscribe(subscribe))
            .as_slice()
        {
            [Step::Attach(request)] => request.wants.own.as_deref().map(str::to_owned),
            steps => panic!("{steps:?}"),
        }
    };
    assert_eq!(own("chat.a", true), None);
    assert_eq!(own("chat.b", false).as_deref(), Some("ann/c1"));
}
