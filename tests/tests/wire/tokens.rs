//! Sessions that do not begin: tokens and names that are no good, and commands before
//! `connect`. Each is answered with its code and closed with the close code that
//! belongs to it.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use auth::{SCOPES_MAX, TOKEN_BYTES_MAX};
use harness::raw::Received;
use harness::{Deployment, RawSession};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Connect, Encoding, Named, Ping, Start, Subscribe};
use serde_json::{Value, json};

use super::seen::Seen;

/// `{"alg":"none","typ":"JWT"}` in base64.
const HEADER_NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

/// Signs any claims with any key.
pub fn sign(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    encode(
        &Header::new(algorithm),
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .expect("JSON can be signed")
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970")
        .as_secs()
}

/// Valid claims with one of them replaced, or left out.
fn claims(name: &str, value: Option<Value>) -> Value {
    let mut claims =
        json!({ "sub": "ann", "tenant": "acme", "exp": now() + 600, "scopes": ["publish:>"] });
    let map = claims.as_object_mut().expect("an object");
    match value {
        Some(value) => drop(map.insert(name.to_owned(), value)),
        None => drop(map.remove(name)),
    }
    claims
}

/// Tokens that nobody of ours has signed.
fn foreign_tokens(deployment: &Deployment) -> Vec<(&'static str, String)> {
    let (secret, valid) = (deployment.secret.expose(), deployment.token("ann"));
    let parts: Vec<&str> = valid.split('.').collect();
    let other = deployment.token("eve");
    let body = other.split('.').nth(1).expect("a token has three parts");
    vec![
        ("empty", String::new()),
        ("no token", "token".into()),
        ("three dots", "...".into()),
        ("too long", "x".repeat(TOKEN_BYTES_MAX + 1)),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", format!("{HEADER_NONE}.{}.", parts[1])),
        (
            "alg none with a signature",
            format!("{HEADER_NONE}.{}.{}", parts[1], parts[2]),
        ),
        (
            "the claims of another token",
            format!("{}.{body}.{}", parts[0], parts[2]),
        ),
        (
            "another key",
            sign(Algorithm::HS256, &"k".repeat(32), &claims("iat", None)),
        ),
        (
            "another algorithm",
            sign(Algorithm::HS384, secret, &claims("iat", None)),
        ),
    ]
}

/// Tokens whose claims are no good, signed as they should be.
fn bad_claims(deployment: &Deployment) -> Vec<(&'static str, String)> {
    let secret = deployment.secret.expose();
    let signed = |claims: &Value| sign(Algorithm::HS256, secret, claims);
    let many: Vec<String> = (0..=SCOPES_MAX).map(|n| format!("publish:c{n}")).collect();
    vec![
        ("no tenant", signed(&claims("tenant", None))),
        ("no user", signed(&claims("sub", None))),
        ("no end", signed(&claims("exp", None))),
        (
            "a reserved tenant",
            signed(&claims("tenant", Some(json!("_system")))),
        ),
        (
            "a tenant of two tokens",
            signed(&claims("tenant", Some(json!("a.b")))),
        ),
        ("an empty user", signed(&claims("sub", Some(json!(""))))),
        (
            "a user with control characters",
            signed(&claims("sub", Some(json!("a\r\nb")))),
        ),
        (
            "an end of another type",
            signed(&claims("exp", Some(json!("never")))),
        ),
        (
            "one that is not valid yet",
            signed(&claims("nbf", Some(json!(now() + 3_600)))),
        ),
        (
            "one that was made later",
            signed(&claims("iat", Some(json!(now() as f64 + 3_600.5)))),
        ),
        (
            "one that is meant for another audience",
            signed(&claims("aud", Some(json!(["billing"])))),
        ),
        (
            "a scope with the user as a part of a token",
            signed(&claims("scopes", Some(json!(["publish:inbox-{user}"])))),
        ),
        (
            "a scope without action",
            signed(&claims("scopes", Some(json!(["chat.>"])))),
        ),
        (
            "a scope without a valid pattern",
            signed(&claims("scopes", Some(json!(["publish:a b"])))),
        ),
        (
            "scopes of another type",
            signed(&claims("scopes", Some(json!("publish:>")))),
        ),
        (
            "too many scopes",
            signed(&claims("scopes", Some(json!(many)))),
        ),
    ]
}

/// Tokens that are good although they look unusual: dates with fractions or exponents
/// (RFC 7519, section 2), and an end within the leeway, with which a session must also
/// stay open.
async fn accepted(deployment: &Deployment, encoding: Encoding) {
    let date = |text: &str| serde_json::from_str::<Value>(text).expect("a number");
    for (what, claim, value) in [
        ("a fraction", "exp", json!(now() as f64 + 600.5)),
        ("an exponent", "exp", date("1e10")),
        ("whole, as a float", "exp", date("9999999999.0")),
        ("just ended", "exp", json!(now() - 5)),
        (
            "just ended, with a fraction",
            "exp",
            json!(now() as f64 - 20.25),
        ),
        ("valid from within the leeway on", "nbf", json!(now() + 5)),
    ] {
        let secret = deployment.secret.expose();
        let token = sign(Algorithm::HS256, secret, &claims(claim, Some(value)));
        let session = RawSession::open(deployment.edges[0].address(), encoding, None).await;
        let mut session = session.expect("the node takes connections");
        let connected = session.connect(&token, "c1").await;
        connected.unwrap_or_else(|error| panic!("{what}: {error}"));
        let reply = session.ask(Action::Ping(Ping {})).await;
        let reply = reply.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(reply.ping.is_some(), "{what}: {reply:?}");
    }
}

/// Sends one command on a new session; it must be refused, and the session closed.
async fn refused_and_closed(
    address: SocketAddr,
    encoding: Encoding,
    what: &str,
    action: Action,
    codes: (ErrorCode, CloseCode),
    seen: &mut Seen,
) {
    let mut session = RawSession::open(address, encoding, None)
        .await
        .expect("the node takes connections");
    session.send(action).await.expect("the session is open");
    match session.next().await {
        Received::Frame(frame) => seen.refusal(what, frame.error.as_ref(), codes.0),
        other => panic!("{what}: {other:?}"),
    }
    seen.close(what, &session.end().await, codes.1);
}

/// Provokes everything that ends a session at its start.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let address = deployment.edges[0].address();
    let connect = |token: &str, client: &str| Action::Connect(Connect::new(token, client));
    let bad = foreign_tokens(deployment)
        .into_iter()
        .chain(bad_claims(deployment));
    for (what, token) in bad {
        let codes = (ErrorCode::BadToken, CloseCode::Unauthorized);
        refused_and_closed(address, encoding, what, connect(&token, "c1"), codes, seen).await;
    }
    accepted(deployment, encoding).await;
    let expired = sign(
        Algorithm::HS256,
        deployment.secret.expose(),
        &claims("exp", Some(json!(now() - 120))),
    );
    let codes = (ErrorCode::TokenExpired, CloseCode::TokenExpired);
    refused_and_closed(
        address,
        encoding,
        "an expired token",
        connect(&expired, "c1"),
        codes,
        seen,
    )
    .await;
    for client in ["", "two words", "a.b", "c\u{0}", &"c".repeat(65)] {
        let (what, codes) = (
            format!("client {client:?}"),
            (ErrorCode::BadClient, CloseCode::Unauthorized),
        );
        refused_and_closed(
            address,
            encoding,
            &what,
            connect(&deployment.token("ann"), client),
            codes,
            seen,
        )
        .await;
    }
    let subscribe = Subscribe {
        from: Some(Start::Named(Named::Earliest)),
        ..Subscribe::new("chat.a")
    };
    for action in [Action::Ping(Ping {}), Action::Subscribe(subscribe)] {
        let codes = (ErrorCode::NotConnected, CloseCode::Unauthorized);
        refused_and_closed(address, encoding, "before connect", action, codes, seen).await;
    }
}
