//! What is revoked ends on every node, and is let in on none.

use std::time::Duration;

use control::Deployer;
use harness::raw::Received;
use harness::{Deployment, RawSession, wait};
use jsonwebtoken::Algorithm;
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::Encoding;
use protocol::name::User;
use protocol::revocation::Revoked;
use serde_json::json;

use super::access::{lives, open, session};
use super::issuer::now;
use super::tokens::sign;

const HOUR: Duration = Duration::from_secs(3_600);

/// A token with a name and a time at which it was made.
fn token(deployment: &Deployment, user: &str, id: &str, made: Option<u64>) -> String {
    let mut claims = json!({"sub": user, "tenant": "acme", "exp": now() + 600, "jti": id});
    if let Some(made) = made {
        claims["iat"] = json!(made);
    }
    sign(Algorithm::HS256, deployment.secret.expose(), &claims)
}

async fn revoke(deployment: &Deployment, revoked: Revoked) {
    let deployer = Deployer::new(&deployment.bus, "tests");
    let tenant = deployment.tenant.clone();
    let done = deployer.revoke(tenant, revoked, HOUR).await;
    done.expect("the bucket takes it");
}

async fn sent_away(what: &str, session: &mut RawSession) {
    let code = CloseCode::Revoked;
    let closed = Received::Closed(code.number(), code.reason().into());
    assert_eq!(session.end().await, closed, "{what}");
}

/// On both nodes.
async fn kept_out(deployment: &Deployment, what: &str, token: &str) {
    for edge in 0..2 {
        let refused = wait::until(what, async || match open(deployment, edge, token).await {
            Ok(_) => Err("it was let in".to_owned()),
            Err(refused) => Ok(refused),
        });
        let (mut session, error) = refused.await;
        assert_eq!(error.code, ErrorCode::TokenRevoked, "{what}");
        sent_away(what, &mut session).await;
    }
}

/// Revokes each kind of thing.
pub async fn check(deployment: &Deployment) {
    a_token(deployment).await;
    a_user(deployment).await;
    a_session(deployment).await;
}

async fn a_token(deployment: &Deployment) {
    let named = |id| token(deployment, "tess", id, None);
    let (one, two) = (named("j1"), named("j2"));
    let mut here = session(deployment, 0, &one).await;
    let mut there = session(deployment, 1, &one).await;
    let mut other = session(deployment, 1, &two).await;
    revoke(deployment, Revoked::Token("j1".into())).await;
    sent_away("a token", &mut here).await;
    sent_away("a token, elsewhere", &mut there).await;
    kept_out(deployment, "a token", &one).await;
    lives(&mut other).await;
    session(deployment, 0, &two).await;
}

async fn a_user(deployment: &Deployment) {
    let old = token(deployment, "ursa", "u1", Some(now() - 10));
    let undated = token(deployment, "ursa", "u2", None);
    let mut here = session(deployment, 0, &old).await;
    let mut there = session(deployment, 1, &undated).await;
    let mut other = session(deployment, 0, &token(deployment, "tess", "j3", None)).await;
    let user = User::parse("ursa").expect("a valid name");
    revoke(deployment, Revoked::User(user)).await;
    sent_away("a user", &mut here).await;
    sent_away("a user, elsewhere", &mut there).await;
    kept_out(deployment, "a token from before", &old).await;
    kept_out(deployment, "a token without iat", &undated).await;
    lives(&mut other).await;
    // Within the leeway, and later than the revocation.
    let fresh = token(deployment, "ursa", "u3", Some(now() + 5));
    lives(&mut session(deployment, 1, &fresh).await).await;
}

async fn a_session(deployment: &Deployment) {
    let token = deployment.token("sara");
    let address = deployment.edges[1].address();
    let opened = RawSession::open(address, Encoding::Json, None).await;
    let mut ended = opened.expect("the node takes connections");
    let connected = ended.connect(&token, "c1").await.expect("a valid token");
    let mut other = session(deployment, 1, &token).await;
    revoke(deployment, Revoked::Session(connected.session)).await;
    sent_away("a session", &mut ended).await;
    lives(&mut other).await;
    session(deployment, 1, &token).await;
}
