//! What a session may do, over time.

use std::time::Duration;

use protocol::frame::{Expiry, Refresh, Refreshed};
use protocol::revocation::{Revocation, Revoked};

use super::*;

/// How long a token of [`World::connected`] is served: its life and the leeway.
const SERVED: Duration = Duration::from_secs(90);

impl World {
    fn refresh(&self, state: &mut State, token: String) -> Vec<Step> {
        self.act(state, Action::Refresh(Refresh { token }))
    }

    fn token_of(&self, user: &str, scopes: &[&str]) -> String {
        let (tenant, user) = (Tenant::parse("acme").unwrap(), User::parse(user).unwrap());
        let hour = Duration::from_secs(3_600);
        self.signer.mint(&tenant, &user, scopes, hour)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.now_us += time.as_micros() as u64;
    }

    /// A subscription.
    fn subscribed(&self, state: &mut State, channel: &str, id: u64) {
        let command = Command::new(id, subscribe(channel));
        let steps = state.command(&self.rules(), command, id);
        assert!(matches!(steps.as_slice(), [Step::Attach(_)]), "{steps:?}");
    }

    fn revoke(&mut self, revoked: Revoked) {
        let entry = Revocation {
            tenant: Tenant::parse("acme").unwrap(),
            revoked,
            at: self.now_us,
            until: self.now_us + 1_000_000,
            written: None,
        };
        let json = serde_json::to_vec(&entry).unwrap();
        let all = Arc::make_mut(&mut self.revocations);
        all.apply(&entry.key(), Some(&json)).unwrap();
    }
}

fn withdrawn(channel: &str, id: u64) -> Step {
    let channel = Channel::parse(channel).unwrap();
    Step::Withdraw {
        id,
        command: id,
        channel,
    }
}

#[test]
fn a_new_token_replaces_what_was_allowed() {
    let mut world = World::new();
    world.limits.subscriptions = 3;
    let mut state = world.connected();
    world.subscribed(&mut state, "chat.a", 5);
    world.subscribed(&mut state, "chat.b", 6);
    let narrow = world.token_of("ann", &["subscribe:chat.b", "publish:doc.>"]);
    let steps = world.refresh(&mut state, narrow);
    let [
        Step::Reply(1, Outcome::Refresh(Refreshed { expires_at })),
        rest @ ..,
    ] = steps.as_slice()
    else {
        panic!("{steps:?}");
    };
    assert!(*expires_at > world.now_us + 3_600_000_000);
    assert_eq!(rest, [withdrawn("chat.a", 5)]);
    assert_eq!(
        error(&world.act(&mut state, subscribe("chat.a"))),
        ErrorCode::Forbidden
    );
    assert_eq!(
        error(&world.publish(&mut state, "chat.a", 1, b"1")),
        ErrorCode::Forbidden
    );
    assert!(matches!(
        world.publish(&mut state, "doc.a", 1, b"1").as_slice(),
        [Step::Publish(..)]
    ));
}

#[test]
fn an_outcome_channel_of_the_user_needs_no_scope() {
    let world = World::new();
    let mut state = world.connected();
    world.subscribed(&mut state, "_outcome.ann.c1.doc", 5);
    let narrow = world.token_of("ann", &[]);
    assert_eq!(world.refresh(&mut state, narrow).len(), 1);
}

#[test]
fn another_user_s_token_and_one_that_is_no_good_change_nothing() {
    let world = World::new();
    let mut state = world.connected();
    world.subscribed(&mut state, "chat.a", 5);
    for token in [world.token_of("bob", &["subscribe:>"]), "nonsense".into()] {
        let steps = world.refresh(&mut state, token);
        assert_eq!((error(&steps), closes(&steps)), (ErrorCode::BadToken, None));
    }
    assert!(matches!(
        world.publish(&mut state, "chat.a", 1, b"1").as_slice(),
        [Step::Publish(..)]
    ));
}

#[test]
fn a_token_that_ends_leaves_a_grace_in_which_another_may_come() {
    let mut world = World::new();
    let mut state = world.connected();
    world.subscribed(&mut state, "chat.a", 5);
    world.pass(SERVED - Duration::from_secs(2));
    state.heard(world.now);
    state.tick(&world.rules());
    assert!(matches!(
        world.publish(&mut state, "chat.a", 1, b"1").as_slice(),
        [Step::Publish(..)]
    ));
    world.pass(Duration::from_secs(2));
    let grace = world.limits.expiry_grace();
    let closes_after_ms = grace.as_millis() as u64;
    let told = Step::Push(Box::new(Push::TokenExpired(Expiry { closes_after_ms })));
    assert_eq!(state.tick(&world.rules()), [told]);
    assert_eq!(state.tick(&world.rules()), [], "told once");
    for refused in [subscribe("chat.b"), publish("chat.a", 2, b"1")] {
        let steps = world.act(&mut state, refused);
        assert_eq!(
            (error(&steps), closes(&steps)),
            (ErrorCode::TokenExpired, None)
        );
    }
    let pong = world.act(&mut state, Action::Ping(Ping {}));
    assert!(matches!(
        pong.as_slice(),
        [Step::Reply(1, Outcome::Ping(_))]
    ));
    let fresh = world.token_of("ann", &["publish:chat.>", "subscribe:chat.>"]);
    assert_eq!(world.refresh(&mut state, fresh).len(), 1);
    assert!(matches!(
        world.publish(&mut state, "chat.a", 2, b"1").as_slice(),
        [Step::Publish(..)]
    ));
    world.pass(grace);
    assert_eq!(closes(&state.tick(&world.rules())), None);
}

#[test]
fn without_another_token_the_session_is_closed_after_the_grace() {
    let mut world = World::new();
    let mut state = world.connected();
    world.pass(SERVED);
    state.heard(world.now);
    assert_eq!(closes(&state.tick(&world.rules())), None);
    assert_eq!(state.tick(&world.rules()), [Step::Ping]);
    let left = state.deadline().duration_since(world.now);
    assert!(left <= world.limits.expiry_grace());
    world.pass(left - Duration::from_millis(1));
    assert_eq!(closes(&state.tick(&world.rules())), None);
    world.pass(Duration::from_millis(1));
    let end = closes(&state.tick(&world.rules()));
    assert_eq!(end, Some(CloseCode::TokenExpired));
}

#[test]
fn what_is_revoked_is_let_in_no_more_and_sent_away() {
    let mut world = World::new();
    let token = world.token_of("ann", &[]);
    let connect = |world: &World, token: &str| {
        let mut state = State::new("edge-1".into(), &world.rules());
        let connect = Connect::new(token, "c1");
        let steps = world.act(&mut state, Action::Connect(connect));
        (state, steps)
    };
    let (state, _) = connect(&world, &token);
    assert_eq!(state.recheck(&world.rules()), []);
    world.revoke(Revoked::User(User::parse("bob").unwrap()));
    assert_eq!(state.recheck(&world.rules()), []);
    world.revoke(Revoked::User(User::parse("ann").unwrap()));
    let away = [Step::Close(CloseCode::Revoked)];
    assert_eq!(state.recheck(&world.rules()), away);
    let (_, steps) = connect(&world, &token);
    assert_eq!(
        (error(&steps), closes(&steps)),
        (ErrorCode::TokenRevoked, Some(CloseCode::Revoked))
    );
    // The entry ends, as the token would have.
    world.pass(Duration::from_secs(2));
    assert_eq!(state.recheck(&world.rules()), []);
}

#[test]
fn a_revoked_session_ends_and_no_other() {
    let mut world = World::new();
    let state = world.connected();
    world.revoke(Revoked::Session("edge-2".into()));
    assert_eq!(state.recheck(&world.rules()), []);
    world.revoke(Revoked::Session("edge-1".into()));
    let away = [Step::Close(CloseCode::Revoked)];
    assert_eq!(state.recheck(&world.rules()), away);
    world.pass(Duration::from_micros(1));
    assert_eq!(
        world.connected().recheck(&world.rules()),
        [],
        "it began later"
    );
}

#[test]
fn nobody_is_let_in_before_it_is_known_what_is_revoked() {
    let world = World::new();
    let mut rules = world.rules();
    rules.revocations = None;
    let mut state = State::new("edge-1".into(), &rules);
    let connect = Action::Connect(Connect::new(world.token(Duration::from_secs(60)), "c1"));
    let steps = state.command(&rules, Command::new(1, connect.clone()), 99);
    assert_eq!(
        (error(&steps), closes(&steps)),
        (ErrorCode::Unavailable, None)
    );
    // On the same session, once it is known.
    let steps = world.act(&mut state, connect);
    assert!(matches!(
        steps.as_slice(),
        [Step::Connected, Step::Reply(..)]
    ));
}
