//! Presence of a session: what it is a member of, and how often it may look.

use std::sync::Arc;

use protocol::frame::{AskPresence, Presence};

use super::*;
use crate::core::session::state::READS_MAX;

/// A world in which `chat` tells who is there.
fn world() -> World {
    let mut world = World::new();
    let mut directory = (*world.directory).clone();
    let spec = br#"{"name":"chat","store":"main","path":"direct","presence":{"list_max":7}}"#;
    directory.apply("namespace.chat", Some(spec));
    world.directory = Arc::new(directory);
    world
}

fn ask(channel: &str) -> Action {
    Action::Presence(AskPresence {
        channel: channel.into(),
        members: true,
    })
}

fn watch(channel: &str) -> Action {
    let Action::Subscribe(mut body) = subscribe(channel) else {
        panic!("it is a subscription");
    };
    body.presence = true;
    Action::Subscribe(body)
}

#[test]
fn a_session_is_a_member_where_the_namespace_tells_it() {
    let (with, without) = (world(), World::new());
    let seated = |world: &World, action: Action| {
        let mut state = world.connected();
        match world.act(&mut state, action).pop() {
            Some(Step::Attach(request)) => Ok(request.seating),
            Some(step) => Err(error(&[step])),
            None => panic!("nothing follows"),
        }
    };
    let seating = seated(&with, subscribe("chat.a")).unwrap().unwrap();
    assert_eq!((seating.list_max, seating.watch), (7, false));
    let member = &seating.member;
    let names = (&member.user[..], &member.client[..], &member.session[..]);
    assert_eq!(names, ("ann", "c1", "edge-1"));
    let seating = seated(&with, watch("chat.a")).unwrap().unwrap();
    assert!(seating.watch);
    assert_eq!(seated(&without, subscribe("chat.a")), Ok(None));
    let refused = seated(&without, watch("chat.a"));
    assert_eq!(refused, Err(ErrorCode::PresenceOff));
}

#[test]
fn who_is_there_for_one_answer_is_a_member_of_nothing() {
    let world = world();
    let mut state = world.connected();
    state.hide();
    let steps = world.act(&mut state, subscribe("chat.a"));
    assert!(matches!(&steps[..], [Step::Attach(request)] if request.seating.is_none()));
    assert_eq!(state.present(&world.rules()), None);
}

#[test]
fn looks_within_and_beyond_their_limit() {
    let world = world();
    let mut state = world.connected();
    for _ in 0..READS_MAX {
        let steps = world.act(&mut state, ask("chat.a"));
        assert!(matches!(&steps[..], [Step::Look(_, asked)] if asked.list_max == 7));
    }
    assert_eq!(
        error(&world.act(&mut state, ask("chat.a"))),
        ErrorCode::TooManyReads
    );
    let nobody = Presence {
        channel: "chat.a".into(),
        count: 0,
        members: None,
        ended: false,
    };
    assert!(matches!(
        state.looked(1, Ok(nobody)),
        Step::Reply(1, Outcome::Presence(_))
    ));
    assert!(matches!(
        &world.act(&mut state, ask("chat.a"))[..],
        [Step::Look(..)]
    ));
    assert_eq!(
        error(&world.act(&mut state, ask("doc.a"))),
        ErrorCode::Forbidden
    );
}
