//! `POST /v1/disconnect` and `POST /v1/revoke`: what a backend does to the sessions and
//! tokens of its tenant, on every node.
//!
//! Owns nothing across requests. Both are repeated without harm, and need a scope of
//! their own: whoever may publish and read may not send others away.

use std::sync::Arc;
use std::time::Duration;

use auth::{Action, Identity};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use bytes::Bytes;
use protocol::disconnect::{Disconnect, Whom};
use protocol::error_code::ErrorCode;
use protocol::frame::{AsMap, ErrorBody};
use protocol::name::{Channel, User};
use protocol::revocation::{REVOCATION_MS_MAX, REVOKED_BYTES_MAX, Revocation, Revoked};
use protocol::spec::Written;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use service::clock::now_us;
use tokio::time::timeout;

use super::answer;
use super::query::bearer;
use crate::core::admission::allowance::Allowance;
use crate::core::session::commands;
use crate::node::Node;

/// Requests of this kind that are under way on a node. Policy: the next one is refused
/// with `unavailable`.
pub const REQUESTS_MAX: usize = 64;
/// Longest body, bytes: a name and a time.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// Whom to disconnect, as a body says it: exactly one of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedDisconnect {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    session: Option<String>,
}

/// What to revoke, as a body says it: exactly one of the first three.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedRevocation {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    session: Option<String>,
    /// How long it counts, milliseconds.
    #[serde(default)]
    for_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Disconnect(Disconnect),
    Revoke(Revocation),
}

/// Answers `POST /v1/disconnect`.
pub async fn disconnect(State(node): State<Arc<Node>>, request: Request) -> Response<Body> {
    let done = async {
        let (identity, body) = admitted(&node, request, "disconnect").await?;
        let entry = Disconnect {
            whom: whom(read(&body)?)?,
            at: now_us(),
            written: Some(written(&identity)),
            tenant: identity.tenant,
        };
        node.hub.managing.disconnect(&entry).await?;
        Ok(Done::Disconnect(entry))
    };
    answered(done.await)
}

/// Answers `POST /v1/revoke`.
pub async fn revoke(State(node): State<Arc<Node>>, request: Request) -> Response<Body> {
    let done = async {
        let (identity, body) = admitted(&node, request, "revoke").await?;
        let (revoked, lasts) = revoked(read(&body)?)?;
        let written = Some(written(&identity));
        let entry = Revocation::new(identity.tenant, revoked, lasts, now_us(), written);
        let entry = entry.map_err(|fault| bad(fault.to_string()))?;
        node.hub.managing.revoke(&entry).await?;
        Ok(Done::Revoke(entry))
    };
    answered(done.await)
}

fn answered(done: Result<Done, ErrorBody>) -> Response<Body> {
    match done {
        Ok(done) => answer::ok(&done),
        Err(error) => answer::refused(error),
    }
}

fn written(identity: &Identity) -> Written {
    Written {
        by: identity.user.as_str().to_owned(),
        at_us: now_us(),
    }
}

/// Who asks, and the body, once he may: his scope names the operation.
async fn admitted(
    node: &Node,
    request: Request,
    operation: &str,
) -> Result<(Identity, Bytes), ErrorBody> {
    let refuse = |code, message: &str| Err(ErrorBody::new(code, message));
    if node.shutdown.is_triggered() {
        return refuse(ErrorCode::Unavailable, "the node does not serve now");
    }
    let Ok(_place) = node.managing.try_acquire() else {
        let message = "the node has as many requests under way as it may";
        return refuse(ErrorCode::Unavailable, message);
    };
    let rules = node.hub.rules();
    let identity = commands::identity(&rules, bearer(request.headers())?)?;
    let named = Channel::parse(operation).expect("operations are names");
    if !identity.scopes.allows(Action::Manage, &named) {
        let message = format!("no scope allows it: manage:{operation} is needed");
        return refuse(ErrorCode::Forbidden, &message);
    }
    Allowance::request(rules.accounts, &identity, rules.limits, rules.now).operation(rules.now)?;
    let read = to_bytes(request.into_body(), BODY_BYTES_MAX);
    match timeout(node.hub.limits.handshake_timeout(), read).await {
        Ok(Ok(bytes)) => Ok((identity, bytes)),
        Ok(Err(_)) => {
            let message =
                format!("the body did not come whole, or has more than {BODY_BYTES_MAX} bytes");
            refuse(ErrorCode::DataTooLarge, &message)
        }
        Err(_) => refuse(ErrorCode::BadFrame, "the body did not come in time"),
    }
}

fn bad(message: impl Into<String>) -> ErrorBody {
    ErrorBody::new(ErrorCode::BadFrame, message)
}

/// Reads a body.
///
/// # Errors
/// It is no JSON object of these fields.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ErrorBody> {
    match serde_json::from_slice(body) {
        Ok(AsMap(wanted)) => Ok(wanted),
        Err(error) => Err(bad(format!("the body is not readable: {error}"))),
    }
}

fn user(name: &str) -> Result<User, ErrorBody> {
    User::parse(name).map_err(|error| bad(error.to_string()))
}

/// Whom a body means.
///
/// # Errors
/// None or several, or a name that is none.
pub fn whom(wanted: WantedDisconnect) -> Result<Whom, ErrorBody> {
    match (wanted.user, wanted.session) {
        (Some(name), None) => Ok(Whom::User(user(&name)?)),
        (None, Some(name)) if (1..=REVOKED_BYTES_MAX).contains(&name.len()) => {
            Ok(Whom::Session(name.into()))
        }
        (None, Some(_)) => Err(bad(format!(
            "the name of a session has 1 to {REVOKED_BYTES_MAX} bytes"
        ))),
        _ => Err(bad("exactly one of user and session is needed")),
    }
}

/// What a body means, and for how long.
///
/// # Errors
/// None or several, or a name that is none.
pub fn revoked(wanted: WantedRevocation) -> Result<(Revoked, Duration), ErrorBody> {
    let lasts = Duration::from_millis(wanted.for_ms.unwrap_or(REVOCATION_MS_MAX));
    let revoked = match (wanted.token, wanted.user, wanted.session) {
        (Some(name), None, None) => Revoked::Token(name),
        (None, Some(name), None) => Revoked::User(user(&name)?),
        (None, None, Some(name)) => Revoked::Session(name),
        _ => return Err(bad("exactly one of token, user and session is needed")),
    };
    Ok((revoked, lasts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disconnect_means_exactly_one() {
        let read = |text: &str| read(text.as_bytes()).and_then(whom);
        let ann = User::parse("ann@example.org").unwrap();
        assert_eq!(read(r#"{"user":"ann@example.org"}"#), Ok(Whom::User(ann)));
        let session = Ok(Whom::Session("edge-1-7".into()));
        assert_eq!(read(r#"{"session":"edge-1-7"}"#), session);
        let longest = format!(r#"{{"session":"{}"}}"#, "s".repeat(REVOKED_BYTES_MAX));
        assert!(read(&longest).is_ok());
        let long = format!(r#"{{"session":"{}"}}"#, "s".repeat(REVOKED_BYTES_MAX + 1));
        for wrong in [
            "",
            "{}",
            "[]",
            r#"["ann"]"#,
            r#"{"user":"ann","session":"edge-1-7"}"#,
            r#"{"user":"ann","user":"bob"}"#,
            r#"{"user":""}"#,
            r#"{"session":""}"#,
            r#"{"user":7}"#,
            r#"{"token":"j1"}"#,
            r#"{"user":"ann"} {}"#,
            &long,
        ] {
            assert_eq!(
                read(wrong).unwrap_err().code,
                ErrorCode::BadFrame,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_revocation_means_exactly_one_and_lasts() {
        let read = |text: &str| read(text.as_bytes()).and_then(revoked);
        let longest = Duration::from_millis(REVOCATION_MS_MAX);
        let token = Ok((Revoked::Token("j1".into()), longest));
        assert_eq!(read(r#"{"token":"j1"}"#), token);
        let session = Ok((Revoked::Session("s1".into()), Duration::from_secs(1)));
        assert_eq!(read(r#"{"session":"s1","for_ms":1000}"#), session);
        for wrong in [
            "{}",
            r#"{"for_ms":1000}"#,
            r#"{"token":"j1","user":"ann"}"#,
            r#"{"user":"ann","for_ms":-1}"#,
            r#"{"user":"ann","until":1}"#,
        ] {
            assert_eq!(
                read(wrong).unwrap_err().code,
                ErrorCode::BadFrame,
                "{wrong}"
            );
        }
    }
}
