//! Tokens for development and tests. Owns the secret; a product's tokens come from its
//! own issuer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use protocol::name::{Tenant, User};
use protocol::secret::Secret;
use rand::Rng;
use serde::Serialize;

use crate::error::AuthError;
use crate::limits::SECRET_BYTES_MIN;

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    tenant: &'a str,
    exp: u64,
    iat: u64,
    jti: String,
    scopes: &'a [&'a str],
}

/// Makes HS256 tokens.
#[derive(Clone)]
pub struct Signer(EncodingKey);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// Takes the shared secret.
    ///
    /// # Errors
    /// [`AuthError::ShortSecret`] below [`SECRET_BYTES_MIN`] bytes.
    pub fn new(secret: &Secret) -> Result<Self, AuthError> {
        let secret = secret.expose().as_bytes();
        if secret.len() < SECRET_BYTES_MIN {
            return Err(AuthError::ShortSecret {
                bytes: secret.len(),
            });
        }
        Ok(Self(EncodingKey::from_secret(secret)))
    }

    /// Makes a token that is valid from now for `ttl`, with a `jti` of its own.
    pub fn mint(&self, tenant: &Tenant, user: &User, scopes: &[&str], ttl: Duration) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let claims = Claims {
            sub: user.as_str(),
            tenant: tenant.as_str(),
            exp: (now + ttl).as_secs(),
            iat: now.as_secs(),
            jti: format!("{:016x}", rand::rng().random::<u64>()),
            scopes,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.0)
            .expect("claims of plain texts and numbers encode")
    }
}
