//! Who may do what, and for how long: keys that are rotated, tokens that are renewed,
//! end or are revoked, under clients that stay connected. One deployment of two nodes
//! for all of it.

use auth::KeySource;
use harness::raw::Received;
use harness::{Deployment, RawSession, wait};
use protocol::frame::{Action, Connect, Encoding, ErrorBody, FromServer, Ping};
use protocol::name::Tenant;

use super::issuer::{Issuer, Key};
use super::{manage, origins, refresh, revoked, rotation};

/// A read of a URL is due so often here, and its keys are believed so long,
/// milliseconds.
const REFRESH_MS: u64 = 200;
const STALE_MAX_MS: u64 = 600;
/// From the end of a token to the close of its session, milliseconds: enough for a
/// command on a machine that is busy.
const GRACE_MS: u64 = 3_000;

/// Opens a session on a node with a token, and says what came of it.
pub async fn open(
    deployment: &Deployment,
    edge: usize,
    token: &str,
) -> Result<RawSession, (RawSession, ErrorBody)> {
    let address = deployment.edges[edge].address();
    let session = RawSession::open(address, Encoding::Json, None).await;
    let mut session = session.expect("the node takes connections");
    let connect = Connect::new(token, "c1");
    let sent = session.send(Action::Connect(connect)).await;
    sent.expect("the session is open");
    match session.next().await {
        Received::Frame(frame) => match frame.error {
            None => Ok(session),
            Some(error) => Err((session, error)),
        },
        other => panic!("{other:?}"),
    }
}

/// Opens a session on the first node, however long it takes until the token's key is
/// known.
pub async fn opened(deployment: &Deployment, what: &str, token: &str) -> RawSession {
    wait::until(what, async || {
        open(deployment, 0, token).await.map_err(|(_, error)| {
            // Until its key has been looked for, nobody says that it is no good.
            assert!(error.temporary, "{what}: {error:?}");
            format!("{error:?}")
        })
    })
    .await
}

/// A session that must be opened.
pub async fn session(deployment: &Deployment, edge: usize, token: &str) -> RawSession {
    let opened = open(deployment, edge, token).await;
    opened.unwrap_or_else(|(_, error)| panic!("{error:?}"))
}

/// Sends a command, which must be accepted.
pub async fn accepted(session: &mut RawSession, action: Action) -> FromServer {
    let what = format!("{action:?}");
    let reply = session.ask(action).await.expect("the session stands");
    assert_eq!(reply.error, None, "{what}");
    reply
}

/// The session must stand.
pub async fn lives(session: &mut RawSession) {
    accepted(session, Action::Ping(Ping {})).await;
}

/// The next push of a kind; others are passed over.
pub async fn push<T>(session: &mut RawSession, pick: impl Fn(FromServer) -> Option<T>) -> T {
    loop {
        match session.next().await {
            Received::Frame(frame) => {
                if let Some(found) = pick(*frame) {
                    return found;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_is_granted_changed_and_taken_back_under_connected_clients() {
    let (issuer, folder) = (Issuer::start().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("keys.json");
    let keys = ["k1", "k2", "f1", "f2"].map(Key::new);
    issuer.show(&[&keys[0]]);
    rotation::write_keys(&path, &[&keys[2]]);
    let tenants = |name: &str| vec![Tenant::parse(name).unwrap()];
    let sources = vec![
        KeySource {
            url: Some(issuer.url()),
            tenants: tenants("acme"),
            ..KeySource::default()
        },
        KeySource {
            file: Some(path.clone()),
            tenants: tenants("rival"),
            ..KeySource::default()
        },
    ];
    let builder = Deployment::builder().without_mirror().functions(&[]);
    let builder = builder.workers(0).edges(2).edge_config(move |_, config| {
        config.auth.keys = sources.clone();
        config.auth.refresh_ms = REFRESH_MS;
        config.auth.refresh_min_ms = 100;
        config.auth.stale_max_ms = STALE_MAX_MS;
        config.limits.expiry_grace_ms = GRACE_MS;
        config.origins = vec![origins::ALLOWED.into()];
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    tokio::join!(
        rotation::check(&deployment, &issuer, &path, &keys),
        refresh::check(&deployment),
        revoked::check(&deployment),
        manage::check(&deployment),
        origins::check(&deployment)
    );
    deployment.stop().await;
}
