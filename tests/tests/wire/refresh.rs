//! Tokens that are renewed in band, and tokens that end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::raw::Received;
use harness::{Deployment, RawSession, wait};
use jsonwebtoken::Algorithm;
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Encoding, FromServer, Refresh, Subscribe};
use serde_json::json;

use super::access::{accepted, lives, open, push, session};
use super::mutate::publish;
use super::tokens::sign;

const HOUR: Duration = Duration::from_secs(3_600);

fn subscribe(channel: &str) -> Action {
    Action::Subscribe(Subscribe::new(channel))
}

fn event(channel: &str, n: u64) -> Action {
    Action::Publish(publish(Encoding::Json, channel, n, b"{}"))
}

fn refresh(token: &str) -> Action {
    Action::Refresh(Refresh {
        token: token.into(),
    })
}

async fn refused(session: &mut RawSession, action: Action, code: ErrorCode) {
    let what = format!("{action:?}");
    let reply = session.ask(action).await.expect("the session stands");
    let refusal = reply.error.map(|error| error.code);
    assert_eq!(refusal, Some(code), "{what}");
}

/// Checks both.
pub async fn check(deployment: &Deployment) {
    tokio::join!(renewed(deployment), ended(deployment));
}

async fn renewed(deployment: &Deployment) {
    let token = |user: &str, scopes: &[&str]| deployment.token_with(user, scopes, HOUR);
    let wide = token("rita", &["publish:chat.>", "subscribe:chat.>"]);
    let mut client = session(deployment, 0, &wide).await;
    for channel in ["chat.kept", "chat.lost"] {
        accepted(&mut client, subscribe(channel)).await;
    }
    let foreign = token("joe", &["publish:>"]);
    for token in [foreign.as_str(), "nonsense"] {
        refused(&mut client, refresh(token), ErrorCode::BadToken).await;
    }
    accepted(&mut client, event("chat.lost", 1)).await;
    push(&mut client, |frame| frame.event).await;
    let narrow = token("rita", &["publish:chat.>", "subscribe:chat.kept"]);
    let reply = accepted(&mut client, refresh(&narrow)).await;
    assert!(reply.refresh.is_some(), "{reply:?}");
    let told = push(&mut client, |frame| frame.unsubscribed).await;
    let told = (told.channel.as_str(), told.code);
    assert_eq!(told, ("chat.lost", ErrorCode::Forbidden));
    refused(&mut client, subscribe("chat.lost"), ErrorCode::Forbidden).await;
    accepted(&mut client, event("chat.lost", 2)).await;
    accepted(&mut client, event("chat.kept", 3)).await;
    let next = push(&mut client, |frame| frame.event).await;
    assert_eq!(next.channel, "chat.kept", "the other is delivered no more");
}

/// A session whose token is served for a moment more, however slow this machine is.
async fn ending(deployment: &Deployment) -> RawSession {
    wait::until("a token that is about to end is accepted", async || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        // What is left of the leeway.
        let exp = since.unwrap_or_default().as_secs_f64() - 30.0 + 2.0;
        let claims = json!({
            "sub": "rolf", "tenant": "acme", "exp": exp,
            "scopes": ["publish:chat.>", "subscribe:chat.>"]
        });
        let token = sign(Algorithm::HS256, deployment.secret.expose(), &claims);
        let opened = open(deployment, 1, &token).await;
        opened.map_err(|(_, error)| format!("{error:?}"))
    })
    .await
}

async fn ended(deployment: &Deployment) {
    let (mut renewed, mut left) = tokio::join!(ending(deployment), ending(deployment));
    accepted(&mut renewed, subscribe("chat.grace")).await;
    let expired = |frame: FromServer| frame.token_expired;
    assert!(push(&mut renewed, expired).await.closes_after_ms > 0);
    let late = event("chat.grace", 1);
    refused(&mut renewed, late, ErrorCode::TokenExpired).await;
    let fresh = deployment.token("rolf");
    accepted(&mut renewed, refresh(&fresh)).await;
    accepted(&mut renewed, event("chat.grace", 2)).await;
    let delivered = push(&mut renewed, |frame| frame.event).await;
    assert_eq!(delivered.channel, "chat.grace", "its subscription stands");
    push(&mut left, expired).await;
    let code = CloseCode::TokenExpired;
    let closed = Received::Closed(code.number(), code.reason().into());
    assert_eq!(left.end().await, closed);
    lives(&mut renewed).await;
}
