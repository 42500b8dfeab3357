//! Writers that connect and disconnect, told as events to the namespaces that ask for it:
//! once each, in turns, also if their node stops or dies.

use harness::raw::Received;
use harness::wait::within;
use harness::{Deployment, RawSession, until};
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Encoding, Named, Start, Subscribe};
use protocol::presence::{LifecycleEvent, Occupancy};
use protocol::spec::PresenceSpec;
use protocol::stream::Bucket;

use super::presence::{TOKEN_TTL, session, set};

const ON: &str = "_session.chat.ann.tab";

fn builder() -> harness::Builder {
    let builder = Deployment::builder().without_mirror().functions(&[]);
    builder.workers(0).edges(3).processes()
}

fn spec(sessions: bool) -> Option<PresenceSpec> {
    Some(PresenceSpec {
        sessions,
        ..PresenceSpec::default()
    })
}

fn from_the_start(channel: &str) -> Action {
    Action::Subscribe(Subscribe {
        from: Some(Start::Named(Named::Earliest)),
        ..Subscribe::new(channel)
    })
}

/// Somebody who may hear it.
async fn ear(deployment: &Deployment) -> RawSession {
    let address = deployment.edges[0].address();
    let opened = RawSession::open(address, Encoding::Json, None).await;
    let mut ear = opened.unwrap();
    let token = deployment.token_with("ear", &["lifecycle:chat.>"], TOKEN_TTL);
    ear.connect(&token, "ear-tab").await.unwrap();
    ear
}

/// A session of ann's one tab.
async fn tab(deployment: &Deployment, edge: usize) -> (RawSession, String) {
    let address = deployment.edges[edge].address();
    let opened = RawSession::open(address, Encoding::Json, None).await;
    let mut session = opened.unwrap();
    let token = deployment.token("ann");
    let connected = session.connect(&token, "tab").await.unwrap();
    (session, connected.session)
}

/// What is told next: of whom, and by which session.
async fn told(ear: &mut RawSession) -> (Occupancy, String) {
    loop {
        match within("it is told", ear.next()).await {
            Received::Frame(frame) => {
                let Some(event) = frame.event else { continue };
                assert_eq!((&event.user, &event.client), (&None, &None));
                let data = event.data.into_bytes(true).unwrap();
                let told: LifecycleEvent = serde_json::from_slice(&data).unwrap();
                let writer = told.writer.expect("it names the writer");
                assert_eq!((told.channel.as_str(), writer.user.as_str()), (ON, "ann"));
                assert_eq!(writer.client, "tab");
                return (told.lifecycle, writer.session);
            }
            ended => panic!("{ended:?}"),
        }
    }
}

/// It is stored that the writer is there on so many nodes.
async fn parts(deployment: &Deployment, count: usize) {
    let bucket = deployment.bus.kv(Bucket::Presence).await.unwrap();
    until("it is there on as many nodes", async || {
        let mut keys = bucket.keys().await.unwrap();
        keys.retain(|key| key.ends_with(ON));
        match keys.len() {
            found if found == count => Ok(()),
            _ => Err(format!("{keys:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_connect_and_disconnect_once_whatever_becomes_of_their_nodes() {
    let Some(mut deployment) = builder().start().await else {
        return;
    };
    set(&deployment, "chat", spec(true)).await;
    let mut ear = ear(&deployment).await;
    let reply = ear.ask(from_the_start(ON)).await.unwrap();
    reply.subscribe.expect("it may hear that");
    let other = ear.ask(from_the_start("_session.stats.ann.tab")).await;
    let refused = other.unwrap().error.expect("it may not hear that");
    assert_eq!(refused.code, ErrorCode::Forbidden);
    let mut joe = session(&deployment, 1, Encoding::Json, "joe").await;
    let refused = joe.ask(from_the_start(ON)).await.unwrap().error.unwrap();
    assert_eq!(
        refused.code,
        ErrorCode::Forbidden,
        "subscribe:> is not enough"
    );

    // By its end, and by the end of its node.
    let (tab_1, name) = tab(&deployment, 1).await;
    assert_eq!(told(&mut ear).await, (Occupancy::Connected, name.clone()));
    drop(tab_1);
    assert_eq!(told(&mut ear).await, (Occupancy::Disconnected, name));
    let (_tab_2, name) = tab(&deployment, 1).await;
    assert_eq!(told(&mut ear).await, (Occupancy::Connected, name.clone()));
    deployment.edges[1].kill();
    assert_eq!(told(&mut ear).await, (Occupancy::Disconnected, name));

    // A second session of the same writer is no news, nor is the end of the first.
    let (tab_3, name) = tab(&deployment, 2).await;
    assert_eq!(told(&mut ear).await, (Occupancy::Connected, name.clone()));
    let (tab_4, _) = tab(&deployment, 0).await;
    parts(&deployment, 2).await;
    drop(tab_3);
    deployment.edges[2].stop().await;
    drop(tab_4);
    assert_eq!(told(&mut ear).await, (Occupancy::Disconnected, name));

    // Where nobody asks any more nothing is told; what was told last was true once.
    let (_tab_5, name) = tab(&deployment, 0).await;
    assert_eq!(told(&mut ear).await, (Occupancy::Connected, name));
    deployment.stop().await;
}
