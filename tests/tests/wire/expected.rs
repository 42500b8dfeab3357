//! Events that are stored only if their channel ends where the publisher thinks: one of
//! many that raced wins, a resend of the winner is known, and a loser is told where the
//! channel ends. Beside it the clock that a publisher attaches.

use std::time::Duration;

use futures_util::future::join_all;
use harness::raw::Received;
use harness::{Deployment, RawSession};
use protocol::error_code::ErrorCode;
use protocol::frame::{
    Action, Encoding, ErrorBody, Event, Named, Publish, PublishReply, Published, Start, Subscribe,
};
use service::clock::now_us;

use super::ephemeral;
use super::mutate::publish;
use super::pair::pair;
use super::seen::{Probe, Seen};

/// Rounds of the race.
const ROUNDS: u64 = 20;
/// Who races in each of them, on two nodes.
const RACERS: usize = 6;

fn expecting(encoding: Encoding, channel: &str, n: u64, expected_seq: u64) -> Publish {
    Publish {
        expected_seq: Some(expected_seq),
        ..publish(encoding, channel, n, b"1")
    }
}

/// Provokes the two refusals; `doc` has a gate.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let (address, token) = (deployment.edges[0].address(), deployment.token("ann"));
    let client = format!("expected-{encoding:?}");
    let mut probe = Probe::connect(address, encoding, &token, &client, seen).await;
    let action = Action::Publish(expecting(encoding, "chat.expected", 1, u64::MAX));
    probe
        .refused("another end", action, ErrorCode::SeqMismatch)
        .await;
    let action = Action::Publish(expecting(encoding, "doc.a", 1, 0));
    probe
        .refused("behind a gate", action, ErrorCode::NotDirect)
        .await;
    for clock in ["", " 1", "1\n", &"1".repeat(1025)] {
        let body = Publish {
            clock: Some(clock.into()),
            ..publish(encoding, "chat.expected", 2, b"1")
        };
        let action = Action::Publish(body);
        probe.refused("a clock", action, ErrorCode::BadHeader).await;
    }
}

async fn session(deployment: &Deployment, edge: usize, client: &str) -> RawSession {
    ephemeral::session(deployment, edge, Encoding::Json, client).await
}

async fn ask(session: &mut RawSession, body: Publish) -> Result<Published, ErrorBody> {
    let reply = session.ask(Action::Publish(body)).await.unwrap();
    match reply.error {
        Some(error) => Err(error),
        None => Ok(reply.publish.and_then(PublishReply::stored).unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_that_expect_the_same_end_is_stored() {
    let Some(mut deployment) = pair().start().await else {
        return;
    };
    let names = (0..RACERS).map(|racer| format!("racer-{racer}"));
    let sessions = names.enumerate().map(|(racer, name)| {
        let deployment = &deployment;
        async move { session(deployment, racer % 2, &name).await }
    });
    let mut sessions = join_all(sessions).await;
    let mut last = 0;
    for round in 1..=ROUNDS {
        let races = sessions.iter_mut().map(|session| {
            let body = expecting(Encoding::Json, "chat.race", round, last);
            ask(session, body)
        });
        let told = join_all(races).await;
        let won: Vec<u64> = told.iter().flatten().map(|won| won.position.seq).collect();
        assert_eq!(won.len(), 1, "round {round}: {told:?}");
        for error in told.into_iter().filter_map(Result::err) {
            // Who asked while the winner was under way cannot be told yet where it stands.
            match error.code {
                ErrorCode::SeqMismatch => assert_eq!(error.last_seq, Some(won[0]), "{error:?}"),
                code => assert_eq!(code, ErrorCode::Unavailable, "{error:?}"),
            }
        }
        last = won[0];
        // Who was refused for now alone is not held back in the next round.
        for session in &mut sessions {
            let _ = ask(session, expecting(Encoding::Json, "chat.race", round, 0)).await;
        }
    }
    resends(&deployment, last).await;
    behind(&deployment).await;
    clocks(&deployment).await;
    deployment.stop().await;
}

/// A resend is known although the channel ends elsewhere by now, inside the duplicate window
/// and as one that has to be looked up.
async fn resends(deployment: &Deployment, last: u64) {
    let mut session = session(deployment, 0, "resender").await;
    let first = expecting(Encoding::Json, "chat.race", 1, last);
    let stored = ask(&mut session, first.clone()).await.unwrap();
    assert!(!stored.duplicate);
    let other = publish(Encoding::Json, "chat.race", 2, b"2");
    let behind = ask(&mut session, other).await.unwrap();
    let long_ago = now_us() - Duration::from_secs(3600).as_micros() as u64;
    for first_sent in [None, Some(now_us()), Some(long_ago)] {
        let again = Publish {
            first_sent,
            ..first.clone()
        };
        let known = ask(&mut session, again).await;
        let known = known.unwrap_or_else(|error| panic!("{first_sent:?}: {error:?}"));
        assert_eq!(
            (known.duplicate, known.position.seq),
            (true, stored.position.seq)
        );
    }
    // A late one that was never stored meets the same condition as any other.
    for (n, expected, fits) in [
        (3, stored.position.seq, false),
        (4, behind.position.seq, true),
    ] {
        let late = Publish {
            first_sent: Some(long_ago),
            ..expecting(Encoding::Json, "chat.race", n, expected)
        };
        let told = ask(&mut session, late).await;
        assert_eq!(told.is_ok(), fits, "{told:?}");
        if let Err(error) = told {
            assert_eq!(error.code, ErrorCode::SeqMismatch);
            assert_eq!(error.last_seq, Some(behind.position.seq));
        }
    }
}

/// What was sent behind one that is refused for good is stored, in order.
async fn behind(deployment: &Deployment) {
    let mut session = session(deployment, 0, "pipeline").await;
    let channel = "chat.pipeline";
    let bodies = [
        publish(Encoding::Json, channel, 1, b"1"),
        expecting(Encoding::Json, channel, 2, 0),
        publish(Encoding::Json, channel, 3, b"3"),
        publish(Encoding::Json, channel, 4, b"4"),
    ];
    let mut ids = Vec::new();
    for body in bodies {
        ids.push(session.send(Action::Publish(body)).await.unwrap());
    }
    let mut seqs = Vec::new();
    for _ in &ids {
        let Received::Frame(reply) = session.next().await else {
            panic!("the session ended");
        };
        match reply.error {
            Some(error) => {
                assert_eq!(
                    (reply.id, error.code),
                    (Some(ids[1]), ErrorCode::SeqMismatch)
                );
            }
            None => seqs.push(reply.publish.and_then(PublishReply::stored).unwrap()),
        }
    }
    seqs.sort_by_key(|stored| stored.n);
    let in_order = seqs
        .windows(2)
        .all(|two| two[0].position.seq < two[1].position.seq);
    assert!(seqs.len() == 3 && in_order, "{seqs:?}");
}

/// A clock comes as it was given, and the publisher's counter beside it; another clock is
/// another event.
async fn clocks(deployment: &Deployment) {
    let mut session = session(deployment, 1, "clock").await;
    let clock = "{\"ann\":3,\"bob\":\"\u{e9}\"}";
    let body = Publish {
        clock: Some(clock.into()),
        ..publish(Encoding::Json, "chat.clock", 9, b"1")
    };
    ask(&mut session, body.clone()).await.unwrap();
    assert!(ask(&mut session, body.clone()).await.unwrap().duplicate);
    let other = Publish {
        clock: Some("2".into()),
        ..body
    };
    let reused = ask(&mut session, other).await.unwrap_err();
    assert_eq!(reused.code, ErrorCode::IdReused);
    let event = first_of(&mut session, "chat.clock").await;
    assert_eq!(event.clock.as_deref(), Some(clock));
    assert_eq!((event.client.as_deref(), event.n), (Some("clock"), Some(9)));
}

async fn first_of(session: &mut RawSession, channel: &str) -> Event {
    let subscribe = Subscribe {
        from: Some(Start::Named(Named::Earliest)),
        ..Subscribe::new(channel)
    };
    session.send(Action::Subscribe(subscribe)).await.unwrap();
    loop {
        match session.next().await {
            Received::Frame(frame) => {
                if let Some(event) = frame.event {
                    return event;
                }
            }
            ended => panic!("{ended:?}"),
        }
    }
}
