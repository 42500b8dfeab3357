//! Rates and numbers of sessions on a node that allows little: obeyed, violated, and
//! obeyed again.

use harness::raw::Received;
use harness::{Deployment, RawSession, wait};
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Command, Connect, Encoding, Ping, encode};

use super::refusals::{OPERATIONS_PER_SECOND, SESSIONS_PER_USER, STRICT};
use super::seen::{Probe, Seen};

/// Commands in one message: more than a burst.
const FLOOD: u64 = 4 * OPERATIONS_PER_SECOND;

/// Provokes both.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    operations(deployment, encoding, seen).await;
    sessions(deployment, encoding, seen).await;
}

async fn operations(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let (address, token) = (deployment.edges[STRICT].address(), deployment.token("ann"));
    let mut probe = Probe::connect(address, encoding, &token, "rates", seen).await;
    let ping = |n| encode(encoding, &Command::new(n, Action::Ping(Ping {})));
    let flood: Vec<u8> = (1..=FLOOD).flat_map(|n| ping(n).to_vec()).collect();
    let sent = probe.session.send_bytes(&flood).await;
    sent.expect("the session is open");
    let mut answered = 0;
    for n in 1..=FLOOD {
        let Received::Frame(frame) = probe.session.next().await else {
            panic!("the session ends with command {n}")
        };
        assert_eq!(frame.id, Some(n));
        match &frame.error {
            None => answered += 1,
            error => probe
                .seen
                .refusal("one more", error.as_ref(), ErrorCode::RateLimited),
        }
    }
    assert!(
        (OPERATIONS_PER_SECOND..FLOOD).contains(&answered),
        "{answered}"
    );
    wait::until("there is room again", async || {
        let reply = probe.session.ask(Action::Ping(Ping {})).await;
        match reply.expect("the session is open").error {
            None => Ok(()),
            Some(error) => Err(error.message),
        }
    })
    .await;
}

async fn sessions(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let (address, token) = (deployment.edges[STRICT].address(), deployment.token("bob"));
    let open = async || {
        let opened = RawSession::open(address, encoding, None).await;
        opened.expect("the node takes connections")
    };
    let mut sessions = Vec::new();
    for n in 0..SESSIONS_PER_USER {
        let mut session = open().await;
        let connected = session.connect(&token, &format!("s{n}")).await;
        connected.expect("there is room");
        sessions.push(session);
    }
    let mut session = open().await;
    let (token, client) = (token.clone(), "more");
    let reply = session
        .ask(Action::Connect(Connect::new(token, client)))
        .await;
    let reply = reply.expect("it is answered");
    seen.refusal(
        "one more",
        reply.error.as_ref(),
        ErrorCode::TooManyConnections,
    );
    seen.close(
        "one more",
        &session.end().await,
        CloseCode::TooManyConnections,
    );
    drop(sessions);
    wait::until("there is room again", async || {
        let connected = open()
            .await
            .connect(&deployment.token("bob"), "later")
            .await;
        connected.map(drop).map_err(|error| error.to_string())
    })
    .await;
}
