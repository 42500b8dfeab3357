//! Backends disconnect and revoke over HTTP: what they ask of one node holds on both.

use client::{Client, Draft};
use harness::raw::Received;
use harness::{Deployment, RawSession, wait};
use jsonwebtoken::Algorithm;
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::Encoding;
use serde_json::{Value, json};

use super::access::{lives, open, session};
use super::issuer::now;
use super::request::{Answer, send};
use super::stream::EventStream;
use super::tokens::sign;

/// A token of a tenant with these scopes.
fn token(deployment: &Deployment, tenant: &str, user: &str, id: &str, scopes: &[&str]) -> String {
    let claims = json!({
        "sub": user, "tenant": tenant, "exp": now() + 600, "iat": now() - 5, "jti": id,
        "scopes": scopes,
    });
    sign(Algorithm::HS256, deployment.secret.expose(), &claims)
}

/// Asks the first node.
async fn ask(deployment: &Deployment, operation: &str, token: &str, body: &str) -> Answer {
    let headers = format!("Authorization: Bearer {token}\r\n");
    let path = format!("/v1/{operation}");
    send(deployment.edges[0].address(), "POST", &path, &headers, body).await
}

/// What the first node must do.
async fn done(deployment: &Deployment, operation: &str, body: &Value) -> Value {
    let scope = format!("manage:{operation}");
    let token = token(deployment, "acme", "backend", "b1", &[&scope]);
    let answer = ask(deployment, operation, &token, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body()[operation].clone()
}

async fn sent_away(what: &str, session: &mut RawSession, code: CloseCode) {
    let closed = Received::Closed(code.number(), code.reason().into());
    assert_eq!(session.end().await, closed, "{what}");
}

/// Everything that backends may ask for.
pub async fn check(deployment: &Deployment) {
    a_user_is_disconnected(deployment).await;
    a_session_is_disconnected(deployment).await;
    clients_come_back(deployment).await;
    tokens_are_revoked(deployment).await;
    refusals(deployment).await;
}

async fn a_user_is_disconnected(deployment: &Deployment) {
    let (dina, dora) = (deployment.token("dina"), deployment.token("dora"));
    let foreign = token(deployment, "rival", "dina", "r1", &["manage:>"]);
    let mut here = session(deployment, 0, &dina).await;
    let mut there = session(deployment, 1, &dina).await;
    let mut other = session(deployment, 1, &dora).await;
    let address = deployment.edges[1].address();
    let path = "/v1/sse?channel=chat.dina";
    let mut stream = EventStream::open(address, path, &dina, "").await.unwrap();

    // A tenant reaches nobody of another.
    let answer = ask(deployment, "disconnect", &foreign, r#"{"user":"dina"}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for session in [&mut here, &mut there] {
        lives(session).await;
    }
    let told = done(deployment, "disconnect", &json!({"user": "dina"})).await;
    assert_eq!(told["tenant"], "acme");
    assert_eq!(told["whom"], json!({"user": "dina"}));
    assert_eq!(told["written"]["by"], "backend");
    for (what, session) in [("here", &mut here), ("there", &mut there)] {
        sent_away(what, session, CloseCode::Disconnected).await;
    }
    let close = stream.until("close").await;
    let expected = json!({"code": 4006, "reason": "disconnected", "reconnect": true});
    assert_eq!(close, expected);
    lives(&mut other).await;

    // They may come back, and stay; asked again, they are sent away again.
    let mut here = session(deployment, 0, &dina).await;
    let mut there = session(deployment, 1, &dina).await;
    done(deployment, "disconnect", &json!({"user": "dora"})).await;
    sent_away("another user", &mut other, CloseCode::Disconnected).await;
    for session in [&mut here, &mut there] {
        lives(session).await;
    }
    done(deployment, "disconnect", &json!({"user": "dina"})).await;
    for session in [&mut here, &mut there] {
        sent_away("once more", session, CloseCode::Disconnected).await;
    }
}

async fn a_session_is_disconnected(deployment: &Deployment) {
    let token = deployment.token("dolf");
    let address = deployment.edges[1].address();
    let opened = RawSession::open(address, Encoding::Msgpack, None).await;
    let mut ended = opened.expect("the node takes connections");
    let connected = ended.connect(&token, "c1").await.expect("a valid token");
    let mut other = session(deployment, 1, &token).await;
    done(
        deployment,
        "disconnect",
        &json!({"session": connected.session}),
    )
    .await;
    sent_away("a session", &mut ended, CloseCode::Disconnected).await;
    lives(&mut other).await;
    // Nobody knows which sessions there are.
    done(deployment, "disconnect", &json!({"session": "edge-9-9"})).await;
}

/// The Rust client goes on by itself.
async fn clients_come_back(deployment: &Deployment) {
    let options = deployment.client_options(&[1, 0], "dirk");
    let client = Client::connect(options).await.expect("a node takes it");
    for n in 0..3 {
        done(deployment, "disconnect", &json!({"user": "dirk"})).await;
        let publishing = client.publish(Draft::json("chat.dirk", n.to_string()));
        let stored = wait::within("the client comes back", publishing).await;
        stored.expect("the store takes it");
    }
    client.close().await;
}

async fn tokens_are_revoked(deployment: &Deployment) {
    let named = |id| token(deployment, "acme", "resi", id, &["publish:>"]);
    let (one, two) = (named("h1"), named("h2"));
    let mut here = session(deployment, 0, &one).await;
    let mut there = session(deployment, 1, &one).await;
    let mut other = session(deployment, 1, &two).await;
    let told = done(
        deployment,
        "revoke",
        &json!({"token": "h1", "for_ms": 60_000}),
    )
    .await;
    assert_eq!(told["revoked"], json!({"token": "h1"}));
    let at = |field: &str| told[field].as_u64().unwrap();
    assert_eq!(at("until") - at("at"), 60_000_000);
    for session in [&mut here, &mut there] {
        sent_away("a token", session, CloseCode::Revoked).await;
    }
    for edge in 0..2 {
        let (_, error) = open(deployment, edge, &one)
            .await
            .expect_err("it is kept out");
        assert_eq!(error.code, ErrorCode::TokenRevoked);
    }
    lives(&mut other).await;
    done(deployment, "revoke", &json!({"user": "resi"})).await;
    sent_away("a user", &mut other, CloseCode::Revoked).await;

    // What is revoked may manage no more.
    let backend = token(deployment, "acme", "rex", "h9", &["manage:revoke"]);
    let own = ask(deployment, "revoke", &backend, r#"{"token":"h9"}"#).await;
    assert_eq!(own.status, 200, "{own:?}");
    wait::until("the backend's own token counts no more", async || {
        let answer = ask(deployment, "revoke", &backend, r#"{"token":"h8"}"#).await;
        match answer.status {
            401 => Ok(answer.code()),
            status => Err(status.to_string()),
        }
    })
    .await;
}

async fn refusals(deployment: &Deployment) {
    let with = |scopes: &[&str]| token(deployment, "acme", "backend", "b2", scopes);
    let body = r#"{"user":"nobody"}"#;
    // Everything else that a token may be allowed is not enough, nor is the other one.
    let else_all = ["publish:>", "subscribe:>", "replay:>", "inputs:>"];
    for (operation, other) in [
        ("disconnect", "manage:revoke"),
        ("revoke", "manage:disconnect"),
    ] {
        for scopes in [&else_all[..], &[other], &["manage:doc.>"], &[]] {
            let answer = ask(deployment, operation, &with(scopes), body).await;
            assert_eq!(
                (answer.status, answer.code()),
                (403, ErrorCode::Forbidden),
                "{scopes:?}"
            );
        }
        let manager = with(&["manage:*"]);
        assert_eq!(ask(deployment, operation, &manager, body).await.status, 200);
        let long = format!(r#"{{"user":"{}"}}"#, "u".repeat(5_000));
        for (wrong, status) in [("", 400), ("{}", 400), ("[]", 400), (&long, 413)] {
            let answer = ask(deployment, operation, &manager, wrong).await;
            assert_eq!(answer.status, status, "{operation} {wrong}: {answer:?}");
        }
        assert_eq!(
            ask(deployment, operation, "no.such.token", body)
                .await
                .status,
            401
        );
    }
    let manager = with(&["manage:revoke"]);
    // Up to 90 days.
    for (for_ms, status) in [
        (0, 400),
        (1, 200),
        (7_776_000_000_u64, 200),
        (7_776_000_001, 400),
    ] {
        let body = json!({"user": "nobody", "for_ms": for_ms}).to_string();
        let answer = ask(deployment, "revoke", &manager, &body).await;
        assert_eq!(answer.status, status, "{for_ms}: {answer:?}");
    }
}
