//! A session's transitions, without sockets.

use std::sync::Arc;

use auth::{Signer, Verifier};
use protocol::frame::{Connect, DecodeError, Payload, Ping, Subscribe, Unsubscribe};
use protocol::lane::Lane;
use protocol::name::{FunctionName, Tenant, User};
use protocol::revocation::Revocations;
use protocol::secret::Secret;

use super::*;
use crate::core::admission::Accounts;
use crate::core::directory::Directory;
use crate::core::gates::state::Late;
use crate::core::limits::EdgeLimits;
use crate::core::quota::task::Quotas;

mod credit;
mod ephemeral;
mod filter;
mod grants;
mod leaving;
mod presence;
mod rates;
mod subscriptions;
mod tickets;

struct World {
    signer: Signer,
    auth: Verifier,
    directory: Arc<Directory>,
    late: Arc<Late>,
    revocations: Arc<Revocations>,
    limits: EdgeLimits,
    accounts: Accounts,
    quotas: Arc<Quotas>,
    now: Instant,
    /// The wall clock, by which tokens end; it stands still.
    now_us: u64,
}

impl World {
    fn new() -> Self {
        let mut directory = Directory::default();
        for (key, value) in [
            ("store.main", r#"{"name":"main","lanes":4,"epoch":"aa"}"#),
            (
                "namespace.chat",
                r#"{"name":"chat","store":"main","path":"direct"}"#,
            ),
            (
                "namespace.doc",
                r#"{"name":"doc","store":"main","path":{"function":"gate"}}"#,
            ),
        ] {
            directory.apply(key, Some(value.as_bytes()));
        }
        let gate = br#"{"store":"main","trigger":"gate"}"#;
        directory.apply_function("gate", Some(gate));
        let limits = EdgeLimits {
            publish_window: 2,
            subscriptions: 2,
            data_bytes: 16,
            bad_frames_max: 2,
            ..EdgeLimits::default()
        };
        Self {
            signer: Signer::new(&Secret::new("s".repeat(32))).unwrap(),
            auth: Verifier::with_secret(&Secret::new("s".repeat(32))).unwrap(),
            directory: Arc::new(directory),
            late: Arc::default(),
            revocations: Arc::default(),
            limits,
            accounts: Accounts::default(),
            quotas: Quotas::new("edge"),
            now: Instant::now(),
            now_us: service::clock::now_us(),
        }
    }

    fn rules(&self) -> Rules<'_> {
        let World {
            auth, limits, now, ..
        } = self;
        Rules {
            auth,
            directory: self.directory.clone(),
            late: self.late.clone(),
            revocations: Some(self.revocations.clone()),
            limits,
            accounts: &self.accounts,
            quotas: &self.quotas,
            node: "edge-1",
            now: *now,
            now_us: self.now_us,
        }
    }

    fn token(&self, ttl: Duration) -> String {
        let (tenant, user) = (Tenant::parse("acme").unwrap(), User::parse("ann").unwrap());
        self.signer.mint(
            &tenant,
            &user,
            &[
                "publish:chat.>",
                "publish:doc.>",
                "publish:gone.>",
                "subscribe:chat.>",
            ],
            ttl,
        )
    }

    fn connected(&self) -> State {
        let mut state = State::new("edge-1".into(), &self.rules());
        let steps = self.act(
            &mut state,
            Action::Connect(Connect::new(self.token(Duration::from_secs(60)), "c1")),
        );
        assert!(
            matches!(
                steps.as_slice(),
                [Step::Connected, Step::Reply(1, Outcome::Connect(_))]
            ),
            "{steps:?}"
        );
        state
    }

    fn act(&self, state: &mut State, action: Action) -> Vec<Step> {
        state.command(&self.rules(), Command::new(1, action), 99)
    }

    fn publish(&self, state: &mut State, channel: &str, n: u64, data: &[u8]) -> Vec<Step> {
        self.act(state, publish(channel, n, data))
    }
}

fn publish(channel: &str, n: u64, data: &[u8]) -> Action {
    Action::Publish(Publish {
        channel: channel.into(),
        class: Default::default(),
        n,
        data: Payload::Bytes(data.to_vec().into()),
        content_type: None,
        headers: Default::default(),
        first_sent: None,
        expected_seq: None,
        clock: None,
        receipt: false,
    })
}

fn subscribe(channel: &str) -> Action {
    Action::Subscribe(Subscribe::new(channel))
}

fn error(steps: &[Step]) -> ErrorCode {
    let code = steps.iter().find_map(|step| match step {
        Step::Reply(_, Outcome::Error(error)) => Some(error.code),
        _ => None,
    });
    code.unwrap_or_else(|| panic!("no error in {steps:?}"))
}

fn closes(steps: &[Step]) -> Option<CloseCode> {
    steps.iter().find_map(|step| match step {
        Step::Close(code) => Some(*code),
        _ => None,
    })
}

#[test]
fn only_an_acceptable_connect_opens_a_session() {
    let world = World::new();
    let fresh = || State::new("edge-1".into(), &world.rules());
    let steps = world.act(&mut fresh(), Action::Ping(Ping {}));
    assert_eq!(
        (error(&steps), closes(&steps)),
        (ErrorCode::NotConnected, Some(CloseCode::Unauthorized))
    );
    let connect = |token: &str, client: &str| Action::Connect(Connect::new(token, client));
    let steps = world.act(&mut fresh(), connect("nonsense", "c1"));
    assert_eq!(
        (error(&steps), closes(&steps)),
        (ErrorCode::BadToken, Some(CloseCode::Unauthorized))
    );
    let steps = world.act(
        &mut fresh(),
        connect(&world.token(Duration::from_secs(60)), "c 1"),
    );
    assert_eq!(error(&steps), ErrorCode::BadClient);
    let steps = world.act(&mut world.connected(), connect("nonsense", "c1"));
    assert_eq!(
        (error(&steps), closes(&steps)),
        (ErrorCode::AlreadyConnected, None)
    );
}

#[test]
fn the_window_obeyed_and_violated() {
    let world = World::new();
    let mut state = world.connected();
    for n in 1..=2 {
        assert!(matches!(
            world.publish(&mut state, "chat.a", n, b"1").as_slice(),
            [Step::Publish(..)]
        ));
    }
    let steps = world.publish(&mut state, "chat.a", 3, b"1");
    assert_eq!(error(&steps), ErrorCode::WindowExceeded);
    assert!(matches!(&steps[0], Step::Held(channel, 3) if channel.as_str() == "chat.a"));
    state.published(1, Err(ErrorBody::new(ErrorCode::Unavailable, "")));
    assert!(matches!(
        world.publish(&mut state, "chat.a", 3, b"1").as_slice(),
        [Step::Publish(..)]
    ));
}

#[test]
fn a_publish_becomes_a_draft_of_its_namespace() {
    let world = World::new();
    let mut state = world.connected();
    let steps = world.publish(&mut state, "doc.a", 5, b"[1]");
    let [Step::Publish(_, draft)] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!(
        (draft.id.as_str(), draft.stream.as_str()),
        ("acme/ann/c1/5", "INGRESS-main")
    );
    assert!(
        draft.subject.as_str().starts_with("in.main.")
            && draft.subject.as_str().ends_with(".acme.doc.a")
    );
}

#[test]
fn publishes_are_refused_with_their_reason() {
    let world = World::new();
    let mut state = world.connected();
    let mut refused =
        |channel: &str, data: &[u8]| error(&world.publish(&mut state, channel, 1, data));
    assert_eq!(refused("chat.*", b"1"), ErrorCode::BadChannel);
    assert_eq!(refused("_outcome.ann.c1", b"1"), ErrorCode::BadChannel);
    assert_eq!(refused("stats.a", b"1"), ErrorCode::Forbidden);
    assert_eq!(refused("gone.a", b"1"), ErrorCode::UnknownNamespace);
    assert_eq!(refused("chat.a", b"{"), ErrorCode::BadData);
    assert_eq!(refused("chat.a", &[b'1'; 17]), ErrorCode::DataTooLarge);
    assert!(matches!(
        world
            .publish(&mut state, "chat.a", 1, &[b'1'; 16])
            .as_slice(),
        [Step::Publish(..)]
    ));
    let Action::Publish(mut body) = publish("chat.a", 1, b"1") else {
        unreachable!()
    };
    body.headers.insert("Nats-Msg-Id".into(), "x".into());
    assert_eq!(
        error(&world.act(&mut state, Action::Publish(body))),
        ErrorCode::BadHeader
    );
}

#[test]
fn nesting_of_data_within_and_beyond_its_limit() {
    let mut world = World::new();
    world.limits.data_bytes = 1024;
    let mut state = world.connected();
    let nest = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
    let steps = world.publish(&mut state, "chat.a", 1, nest(120).as_bytes());
    assert!(matches!(&steps[..], [Step::Publish(..)]), "{steps:?}");
    let steps = world.publish(&mut state, "chat.a", 2, nest(121).as_bytes());
    assert_eq!(error(&steps), ErrorCode::BadData);
    // What is not JSON has no depth.
    let Action::Publish(body) = publish("chat.a", 2, nest(121).as_bytes()) else {
        unreachable!()
    };
    let body = Publish {
        content_type: Some("text/plain".into()),
        ..body
    };
    let steps = world.act(&mut state, Action::Publish(body));
    assert!(matches!(&steps[..], [Step::Publish(..)]), "{steps:?}");
}

#[test]
fn a_first_attempt_ahead_of_our_clock_is_refused() {
    let world = World::new();
    let mut state = world.connected();
    let mut resend = |first_sent| {
        let Action::Publish(body) = publish("chat.a", 1, b"1") else {
            unreachable!()
        };
        let body = Publish {
            first_sent: Some(first_sent),
            ..body
        };
        world.act(&mut state, Action::Publish(body))
    };
    let last = world.rules().now_us + 60_000_000;
    assert!(matches!(resend(last).as_slice(), [Step::Publish(..)]));
    for ahead in [last + 1, 1_000_000_000_000_000_000, u64::MAX] {
        assert_eq!(error(&resend(ahead)), ErrorCode::OutcomeUnknown);
    }
}

#[test]
fn white_space_around_a_header_is_refused() {
    let world = World::new();
    let mut state = world.connected();
    let mut with = |header: &str, content_type: Option<&str>| {
        let Action::Publish(mut body) = publish("chat.a", 1, b"1") else {
            unreachable!()
        };
        body.headers.insert("room".into(), header.into());
        body.content_type = content_type.map(Into::into);
        world.act(&mut state, Action::Publish(body))
    };
    for good in ["", "a b"] {
        assert!(matches!(with(good, None).as_slice(), [Step::Publish(..)]));
    }
    for header in [
        "  lead",
        "trail  ",
        "   ",
        "\u{a0}nbsp",
        "\u{3000}wide",
        "\u{2028}sep",
    ] {
        assert_eq!(
            error(&with(header, None)),
            ErrorCode::BadHeader,
            "{header:?}"
        );
    }
    for content_type in [" text/plain", "text/plain "] {
        assert_eq!(error(&with("a", Some(content_type))), ErrorCode::BadHeader);
    }
}

#[test]
fn unreadable_frames_within_and_beyond_their_limit() {
    let world = World::new();
    let mut state = world.connected();
    let unreadable = Unreadable {
        id: 7,
        error: DecodeError::TooMany,
    };
    for _ in 0..2 {
        let steps = state.unreadable(&world.rules(), &unreadable);
        assert!(matches!(&steps[..], [Step::Reply(7, Outcome::Error(_))]));
    }
    let steps = state.command(
        &world.rules(),
        Command {
            id: 5,
            ..Command::default()
        },
        1,
    );
    assert!(
        matches!(&steps[0], Step::Reply(5, Outcome::Error(error)) if error.code == ErrorCode::BadFrame)
    );
    assert_eq!(closes(&steps), Some(CloseCode::BadFrames));
}

#[test]
fn times_end_sessions() {
    let mut world = World::new();
    let mut fresh = State::new("edge-1".into(), &world.rules());
    let mut connected = world.connected();
    assert_eq!(fresh.tick(&world.rules()), Vec::new());
    world.now = fresh.deadline();
    assert_eq!(
        closes(&fresh.tick(&world.rules())),
        Some(CloseCode::HandshakeTimeout)
    );
    world.now = connected.deadline();
    assert_eq!(connected.tick(&world.rules()), [Step::Ping]);
    world.now = connected.deadline();
    assert_eq!(
        closes(&connected.tick(&world.rules())),
        Some(CloseCode::Idle)
    );
    connected.heard(world.now);
    // The token of 60 s is served with its leeway.
    for _ in 0..2 {
        assert_eq!(connected.tick(&world.rules()), [Step::Ping]);
        world.now = connected.deadline();
    }
    let told = connected.tick(&world.rules());
    let [Step::Push(told)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(matches!(**told, Push::TokenExpired(_)));
    world.now = connected.deadline();
    assert_eq!(
        closes(&connected.tick(&world.rules())),
        Some(CloseCode::TokenExpired)
    );
}

#[test]
fn a_draining_session_answers_what_it_took_and_takes_no_more() {
    let mut world = World::new();
    let mut state = world.connected();
    world.publish(&mut state, "chat.a", 1, b"1");
    assert_eq!(state.drain(world.now, world.now), [Step::GoingAway]);
    assert!(!state.is_drained());
    assert_eq!(
        error(&world.publish(&mut state, "chat.a", 2, b"1")),
        ErrorCode::Unavailable
    );
    state.published(1, Err(ErrorBody::new(ErrorCode::Unavailable, "")));
    assert!(state.is_drained());
    world.now = state.deadline();
    assert_eq!(
        closes(&state.tick(&world.rules())),
        Some(CloseCode::Restart)
    );
}

#[test]
fn what_no_deployed_gate_can_take_is_refused_for_now_and_its_order_kept() {
    let mut world = World::new();
    let mut state = world.connected();
    let stored = world.publish(&mut state, "doc.a", 1, b"{}");
    assert!(matches!(&stored[..], [Step::Publish(..)]), "{stored:?}");
    let with = world.directory.clone();
    let mut without = Directory::clone(&with);
    without.apply_function("gate", None);
    world.directory = Arc::new(without);
    let steps = world.publish(&mut state, "doc.a", 2, b"{}");
    let [
        Step::Held(channel, 2),
        Step::Reply(_, Outcome::Error(error)),
    ] = &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!(channel.as_str(), "doc.a");
    assert_eq!(
        (error.code, error.temporary),
        (ErrorCode::Unavailable, true)
    );
    assert!(error.retry_after_ms.is_some());
    assert!(error.message.contains("function gate") && error.message.contains("doc"));
    let late = [0, 1, 2, 3].map(|lane| (FunctionName::parse("gate").unwrap(), Lane(lane)));
    (world.directory, world.late) = (with, Arc::new(late.into()));
    let steps = world.publish(&mut state, "doc.a", 2, b"{}");
    let [Step::Held(_, 2), Step::Reply(_, Outcome::Error(error))] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert!(
        error.temporary && error.message.contains("behind"),
        "{error:?}"
    );
    // What is wrong stays wrong, and other namespaces go on.
    let wrong = world.publish(&mut state, "doc.a", 3, b"{");
    assert!(
        matches!(&wrong[..], [Step::Reply(_, Outcome::Error(error))] if !error.temporary),
        "{wrong:?}"
    );
    let other = world.publish(&mut state, "chat.a", 4, b"{}");
    assert!(matches!(&other[..], [Step::Publish(..)]), "{other:?}");
}
