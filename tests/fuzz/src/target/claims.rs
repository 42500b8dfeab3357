//! What a token may say, signed by who may: claims are accepted as the page says, and
//! what is accepted is what stands there.

use std::sync::LazyLock;

use auth::{Identity, Scopes};
use jsonwebtoken::{Algorithm, EncodingKey};
use protocol::name::{Tenant, User};
use serde_json::{Map, Value};

use crate::property::{Kind, Target, same, told};
use crate::target::token::{SECRET, now, verified};

/// The claims of a token, as JSON.
pub const CLAIMS: Target = Target {
    name: "claims",
    words: &[
        b"\"sub\":\"ann\"",
        b"\"tenant\":\"acme\"",
        b"\"exp\":1764000600",
        b"\"nbf\":1764000000",
        b"\"iat\":",
        b"\"iss\":\"x\"",
        b"\"aud\":[\"x\"]",
        b"\"jti\":\"j1\"",
        b"\"scopes\":[\"publish:>\"]",
        b"subscribe:inbox.{user}.>",
        b"manage:revoke",
        b"null",
        b"1e10",
        b"-1",
        b"1764000000.5",
    ],
    make: None,
    check,
};

/// How far clocks may differ unless it is configured, seconds.
const LEEWAY: f64 = 30.0;
/// {"alg":"HS256"}
const HEADER: &str = "eyJhbGciOiJIUzI1NiJ9";

static KEY: LazyLock<EncodingKey> = LazyLock::new(|| EncodingKey::from_secret(SECRET.as_bytes()));

/// A signed token with these claims, byte for byte.
fn signed(claims: &[u8]) -> String {
    let text = format!("{HEADER}.{}", base64url(claims));
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &KEY, Algorithm::HS256);
    format!("{text}.{}", signature.expect("a secret signs anything"))
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(bits);
        for digit in 0..=chunk.len() {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(char::from(DIGITS[value as usize]));
        }
    }
    text
}

fn check(input: &[u8]) -> Result<u64, String> {
    let mut kind = Kind::default();
    match verified(&signed(input))? {
        Ok(identity) => {
            let claims = serde_json::from_slice::<Map<String, Value>>(input);
            let claims = claims.map_err(|error| format!("accepted, and no map: {error}"))?;
            holds(&identity, &claims)?;
            kind.add("accepted");
            let mut names: Vec<&str> = claims.keys().map(String::as_str).collect();
            names.retain(|name| ["nbf", "iat", "jti", "scopes", "iss"].contains(name));
            kind.add(&names.join(" "));
        }
        Err(error) => {
            told(&error.to_string())?;
            kind.complain(&error.to_string());
        }
    }
    Ok(kind.number())
}

/// Whether what was accepted is what the claims say, and may be accepted.
fn holds(identity: &Identity, claims: &Map<String, Value>) -> Result<(), String> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    same("sub", &identity.user.as_str(), &text("sub"))?;
    same("tenant", &identity.tenant.as_str(), &text("tenant"))?;
    if User::parse(text("sub")).is_err() || Tenant::parse(text("tenant")).is_err() {
        return Err("a name is accepted that is none".into());
    }
    same(
        "jti",
        &identity.token_id.as_deref().unwrap_or_default(),
        &text("jti"),
    )?;
    let now = now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let time = |name: &str| {
        claims
            .get(name)
            .filter(|value| !value.is_null())
            .map(Value::as_f64)
    };
    match time("exp") {
        Some(Some(exp)) if exp + LEEWAY >= now => {}
        other => return Err(format!("exp is accepted: {other:?}")),
    }
    for name in ["nbf", "iat"] {
        match time(name) {
            None => {}
            Some(Some(at)) if at <= now + LEEWAY => {}
            other => return Err(format!("{name} is accepted: {other:?}")),
        }
    }
    if claims.get("aud").is_some_and(|aud| !aud.is_null()) {
        return Err("an audience is accepted, and none is configured".into());
    }
    let scopes: Vec<&str> = match claims.get("scopes") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(other) => return Err(format!("scopes are accepted: {other}")),
    };
    let parsed = Scopes::parse(&scopes, &identity.user).map_err(|error| error.to_string());
    same("scopes", &parsed, &Ok(identity.scopes.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_signed_as_anybody_would() {
        assert_eq!(base64url(b""), "");
        assert_eq!(base64url(b"f"), "Zg");
        assert_eq!(base64url(b"fo"), "Zm8");
        assert_eq!(base64url(b"foo"), "Zm9v");
        assert_eq!(base64url(&[0xff, 0xef]), "_-8");
        let token = signed(br#"{"sub":"ann","tenant":"acme","exp":1764000600}"#);
        assert!(verified(&token).unwrap().is_ok());
    }
}
