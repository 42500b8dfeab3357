//! Sessions that come back by a ticket: who they are, what they receive, and how long that
//! holds.

use auth::AuthSettings;
use protocol::frame::{AskTicket, Resume, Start};
use protocol::name::ClientId;
use protocol::position::{Epoch, Position};
use protocol::revocation::{Revocation, Revoked};

use super::*;

impl World {
    /// One whose nodes give tickets.
    fn with_tickets() -> Self {
        let mut world = Self::new();
        let settings = AuthSettings {
            dev: true,
            ticket_keys: vec![Secret::new("k".repeat(32))],
            ..AuthSettings::default()
        };
        world.auth = Verifier::new(&Secret::new("s".repeat(32)), &settings).unwrap();
        world
    }

    fn ticket(&self) -> String {
        let state = self.connected();
        let identity = state.identity().unwrap();
        let from = Start::After(Position {
            epoch: Epoch::parse("aa").unwrap(),
            seq: 7,
            time: None,
        });
        let subscribe = Subscribe {
            from: Some(from),
            ..Subscribe::new("chat.a")
        };
        let client = ClientId::parse("c1").unwrap();
        self.auth.seal(identity, &client, vec![subscribe]).unwrap()
    }

    fn resume(&self, ticket: &str, after: Vec<Option<u64>>) -> Vec<Step> {
        let mut state = State::new("edge-2".into(), &self.rules());
        let ticket = ticket.to_owned();
        let connect = Connect {
            resume: Some(Resume { ticket, after }),
            ..Connect::new("", "c1")
        };
        self.act(&mut state, Action::Connect(connect))
    }
}

/// Where the only channel of a ticket is taken up.
fn taken_up(steps: &[Step]) -> u64 {
    match steps {
        [
            Step::Connected,
            Step::Reply(1, Outcome::Connect(connected)),
            Step::Resume(1, subscriptions),
        ] => {
            assert_eq!(connected.resumed, ["chat.a"]);
            assert_eq!(
                (connected.tenant.as_str(), connected.user.as_str()),
                ("acme", "ann")
            );
            match &subscriptions[..] {
                [
                    Subscribe {
                        from: Some(Start::After(position)),
                        ..
                    },
                ] => position.seq,
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ticket_opens_a_session_and_takes_up_what_it_received() {
    let world = World::with_tickets();
    let ticket = world.ticket();
    assert_eq!(taken_up(&world.resume(&ticket, Vec::new())), 7);
    assert_eq!(taken_up(&world.resume(&ticket, vec![None])), 7);
    assert_eq!(taken_up(&world.resume(&ticket, vec![Some(9)])), 9);
    let steps = world.resume(&ticket, vec![None, None]);
    assert_eq!(
        (error(&steps), closes(&steps)),
        (ErrorCode::BadTicket, None),
        "another one may come, or a token"
    );
}

#[test]
fn a_ticket_is_as_good_as_its_token_and_no_longer() {
    let mut world = World::with_tickets();
    let ticket = world.ticket();
    // It is revoked with its user.
    let entry = Revocation {
        tenant: Tenant::parse("acme").unwrap(),
        revoked: Revoked::User(User::parse("ann").unwrap()),
        at: world.now_us + 1_000_000,
        until: world.now_us + 1_000_000_000,
        written: None,
    };
    let mut revoked = Revocations::default();
    let json = serde_json::to_vec(&entry).unwrap();
    revoked.apply(&entry.key(), Some(&json)).unwrap();
    let before = std::mem::replace(&mut world.revocations, Arc::new(revoked));
    let steps = world.resume(&ticket, Vec::new());
    assert_eq!(error(&steps), ErrorCode::TokenRevoked);
    world.revocations = before;
    assert_eq!(taken_up(&world.resume(&ticket, Vec::new())), 7);
    // It ends with its token.
    world.now_us += 60_000_000 + 30_000_000;
    let steps = world.resume(&ticket, Vec::new());
    assert_eq!(error(&steps), ErrorCode::TokenExpired);
}

#[test]
fn a_ticket_says_what_was_asked_for() {
    let world = World::with_tickets();
    let mut state = world.connected();
    let quiet = Subscribe {
        echo: false,
        ..Subscribe::new("chat.b")
    };
    world.act(&mut state, subscribe("chat.a"));
    world.act(&mut state, Action::Subscribe(quiet.clone()));
    let steps = world.act(&mut state, Action::Ticket(AskTicket {}));
    assert!(matches!(steps[..], [Step::Ticket(1)]));
    let (who, asked) = state.ticket().unwrap();
    assert_eq!(who.client.as_str(), "c1");
    assert_eq!(asked, [(99, Subscribe::new("chat.a")), (99, quiet)]);
}
