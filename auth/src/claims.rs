//! What a token says, and whether it holds (RFC 7519, section 4.1). Pure: the time and
//! what is demanded come in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::name::{Tenant, User};
use protocol::revocation::{Bearer, REVOKED_BYTES_MAX};
use serde_json::{Map, Value};

use crate::error::AuthError;
use crate::scope::Scopes;

/// Who a client is, as its token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The isolation boundary.
    pub tenant: Tenant,
    /// The user within it.
    pub user: User,
    /// The token's own name, where it has one (`jti`).
    pub token_id: Option<String>,
    /// When the token was made, where it says so (`iat`).
    pub issued_at: Option<SystemTime>,
    /// When the token ends (`exp`).
    pub expires_at: SystemTime,
    /// Until when it is served: `exp` and the same leeway that it is accepted with, so
    /// that nobody is let in and sent away at once.
    pub ends_at: SystemTime,
    /// What it allows.
    pub scopes: Scopes,
}

impl Identity {
    /// Somebody whose token says no more than it must, and is served until its end.
    pub fn new(tenant: Tenant, user: User, scopes: Scopes, expires_at: SystemTime) -> Self {
        Self {
            tenant,
            user,
            token_id: None,
            issued_at: None,
            expires_at,
            ends_at: expires_at,
            scopes,
        }
    }

    /// Who it is as far as revocations are concerned.
    pub fn bearer(&self) -> Bearer<'_> {
        let micros = |at: SystemTime| {
            at.duration_since(UNIX_EPOCH)
                .map_or(0, |at| at.as_micros() as u64)
        };
        Bearer {
            tenant: &self.tenant,
            user: &self.user,
            token_id: self.token_id.as_deref(),
            issued_at: self.issued_at.map(micros),
        }
    }
}

/// How claims of time are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// How far the clocks of issuer and verifier may differ.
    pub leeway: Duration,
    /// The longest from `iat` to `exp`.
    pub lifetime_max: Option<Duration>,
}

/// What the source of a key demands of the tokens that its keys sign.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demands {
    /// `iss` must be this.
    pub issuer: Option<String>,
    /// `aud` must be or hold this; without one, a token that names an audience is meant
    /// for somebody else.
    pub audience: Option<String>,
}

fn wrong<T>(claim: &'static str, problem: &'static str) -> Result<T, AuthError> {
    Err(AuthError::Claim { claim, problem })
}

/// Reads the claims of a token whose signature holds.
///
/// # Errors
/// [`AuthError`] names the first claim that does not hold.
pub(crate) fn identity(
    claims: &Map<String, Value>,
    demands: &Demands,
    times: Times,
    now: SystemTime,
) -> Result<Identity, AuthError> {
    let Some(expires_at) = date(claims, "exp")? else {
        return wrong("exp", "is missing");
    };
    let issued_at = date(claims, "iat")?;
    let ends_at = later(expires_at, times.leeway);
    if now >= ends_at {
        return Err(AuthError::Expired);
    }
    let latest = later(now, times.leeway);
    if date(claims, "nbf")?.is_some_and(|from| from > latest) {
        return wrong("nbf", "lies ahead: the token is not valid yet");
    }
    if issued_at.is_some_and(|at| at > latest) {
        return wrong("iat", "lies ahead");
    }
    check_lifetime(issued_at, expires_at, times.lifetime_max)?;
    check_issuer(claims, demands)?;
    check_audience(claims, demands)?;
    let Ok(tenant) = Tenant::parse(required(claims, "tenant")?) else {
        return wrong("tenant", "is not a valid name");
    };
    let Ok(user) = User::parse(required(claims, "sub")?) else {
        return wrong("sub", "is not a valid name");
    };
    let scopes = Scopes::parse(&scopes(claims)?, &user)?;
    Ok(Identity {
        tenant,
        user,
        token_id: token_id(claims)?,
        issued_at,
        expires_at,
        ends_at,
        scopes,
    })
}

/// The latest time that a claim can say: past it nothing of ours runs.
const FAR: Duration = Duration::from_secs(1 << 40);

fn later(at: SystemTime, by: Duration) -> SystemTime {
    at.checked_add(by).unwrap_or(at)
}

/// A NumericDate: seconds since 1970, with a fraction or without (RFC 7519, section 2).
/// One before 1970 counts as 1970, one that no clock will reach as the latest.
fn date(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<SystemTime>, AuthError> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    let Some(seconds) = value.as_f64() else {
        return wrong(claim, "is not a number of seconds");
    };
    // Microseconds, as everywhere; a float is exact enough for those until 2255.
    let since = Duration::try_from_secs_f64(seconds.clamp(0.0, FAR.as_secs_f64()));
    Ok(Some(later(UNIX_EPOCH, since.unwrap_or(FAR))))
}

fn text<'a>(
    claims: &'a Map<String, Value>,
    claim: &'static str,
) -> Result<Option<&'a str>, AuthError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => wrong(claim, "is not a text"),
    }
}

fn required<'a>(claims: &'a Map<String, Value>, claim: &'static str) -> Result<&'a str, AuthError> {
    match text(claims, claim)? {
        Some(text) => Ok(text),
        None => wrong(claim, "is missing"),
    }
}

fn check_lifetime(
    issued_at: Option<SystemTime>,
    expires_at: SystemTime,
    max: Option<Duration>,
) -> Result<(), AuthError> {
    let Some(max) = max else {
        return Ok(());
    };
    let Some(issued_at) = issued_at else {
        return wrong("iat", "is missing, and lifetimes are limited here");
    };
    if expires_at > later(issued_at, max) {
        return wrong("exp", "is further from iat than tokens may last here");
    }
    Ok(())
}

fn check_issuer(claims: &Map<String, Value>, demands: &Demands) -> Result<(), AuthError> {
    let Some(wanted) = &demands.issuer else {
        return Ok(());
    };
    if required(claims, "iss")? != wanted {
        return wrong("iss", "names another issuer");
    }
    Ok(())
}

/// RFC 7519, 4.1.3: a text or a list; whoever finds itself not named must refuse.
fn check_audience(claims: &Map<String, Value>, demands: &Demands) -> Result<(), AuthError> {
    let Some(value) = claims.get("aud") else {
        return match demands.audience {
            Some(_) => wrong("aud", "is missing"),
            None => Ok(()),
        };
    };
    let is_ours = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| demands.audience.as_deref() == Some(text))
    };
    let named = match value {
        Value::String(_) => is_ours(value),
        Value::Array(list) if list.iter().all(Value::is_string) => list.iter().any(is_ours),
        _ => return wrong("aud", "is neither a text nor a list of texts"),
    };
    match (named, &demands.audience) {
        (true, _) => Ok(()),
        (false, Some(_)) => wrong("aud", "names another audience"),
        (false, None) => wrong("aud", "names an audience, and none is configured here"),
    }
}

fn scopes(claims: &Map<String, Value>) -> Result<Vec<&str>, AuthError> {
    let problem = "is not a list of texts";
    match claims.get("scopes") {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts.map_or_else(|| wrong("scopes", problem), Ok)
        }
        Some(_) => wrong("scopes", problem),
    }
}

fn token_id(claims: &Map<String, Value>) -> Result<Option<String>, AuthError> {
    match text(claims, "jti")? {
        Some(id) if id.is_empty() || id.len() > REVOKED_BYTES_MAX => {
            wrong("jti", "is empty or over 128 bytes")
        }
        id => Ok(id.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests;
