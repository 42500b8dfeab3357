//! Tokens: who a client is and what it may do.
//!
//! HS256 with a configured secret. Owns the keys; knows nothing of connections.
//! The algorithm is pinned: a token that names another one is refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use protocol::name::{Channel, ChannelPattern, Tenant, User};
use protocol::secret::Secret;

/// Shortest secret, in bytes: HS256 needs a key as long as its hash (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// Longest token, in bytes, so that a refused one costs little.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Most scopes of a token: each is looked at for each operation.
pub const SCOPES_MAX: usize = 64;
/// How far the clocks of issuer and verifier may differ, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// What a scope allows to do with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Publish events.
    Publish,
    /// Subscribe, and read history.
    Subscribe,
    /// Replay events over gRPC.
    Replay,
    /// Replay what publishers sent, before any function, and what became of it.
    Inputs,
}

impl Action {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "publish" => Some(Self::Publish),
            "subscribe" => Some(Self::Subscribe),
            "replay" => Some(Self::Replay),
            "inputs" => Some(Self::Inputs),
            _ => None,
        }
    }

    /// The action as a scope names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Replay => "replay",
            Self::Inputs => "inputs",
        }
    }
}

/// What a token allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<(Action, ChannelPattern)>);

impl Scopes {
    /// Reads `action:pattern` texts. An action that this version does not know
    /// grants nothing.
    ///
    /// # Errors
    /// [`AuthError::Scope`] names the first text whose shape or pattern is wrong.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, AuthError> {
        if texts.len() > SCOPES_MAX {
            return Err(AuthError::TooManyScopes);
        }
        let mut scopes = Vec::with_capacity(texts.len());
        for text in texts {
            let text = text.as_ref();
            let wrong = || AuthError::Scope {
                scope: text.chars().take(100).collect(),
            };
            let (action, pattern) = text.split_once(':').ok_or_else(wrong)?;
            let pattern = ChannelPattern::parse(pattern).map_err(|_| wrong())?;
            scopes.extend(Action::parse(action).map(|action| (action, pattern)));
        }
        Ok(Self(scopes))
    }

    /// Whether the action is allowed on the channel.
    pub fn allows(&self, action: Action, channel: &Channel) -> bool {
        self.0
            .iter()
            .any(|(granted, pattern)| *granted == action && pattern.matches(channel))
    }
}

/// Who a client is, as its token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The isolation boundary.
    pub tenant: Tenant,
    /// The user within it.
    pub user: User,
    /// When the token ends.
    pub expires_at: SystemTime,
    /// What it allows.
    pub scopes: Scopes,
}

/// Why a token, or a secret, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The configured secret is too short.
    #[error("the token secret has {bytes} bytes, at least {SECRET_BYTES_MIN} are needed")]
    ShortSecret {
        /// Its length.
        bytes: usize,
    },
    /// The token is too long.
    #[error("the token is over {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// The token has ended.
    #[error("the token has expired")]
    Expired,
    /// It is not a token, was signed with another key or algorithm, or lacks a claim.
    #[error("the token is malformed, incomplete or signed by somebody else")]
    Invalid,
    /// The tenant or the user is not a valid name.
    #[error("the token's claim {claim} is not a valid name")]
    Name {
        /// The claim.
        claim: &'static str,
    },
    /// A scope is not `action:pattern`.
    #[error("scope {scope:?} is not action:pattern")]
    Scope {
        /// The scope, shortened.
        scope: String,
    },
    /// Too many scopes.
    #[error("the token has more than {SCOPES_MAX} scopes")]
    TooManyScopes,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    tenant: String,
    exp: u64,
    #[serde(default)]
    iat: u64,
    #[serde(default)]
    scopes: Vec<String>,
}

/// Verifies and mints tokens with one secret.
#[derive(Clone)]
pub struct Authenticator {
    decoding: DecodingKey,
    encoding: EncodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator")
    }
}

impl Authenticator {
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
        // Another crate of the process may have chosen a provider before; any will do.
        let _ = jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Ok(Self {
            decoding: DecodingKey::from_secret(secret),
            encoding: EncodingKey::from_secret(secret),
            validation,
        })
    }

    /// Checks a token and reads who it is for.
    ///
    /// # Errors
    /// [`AuthError`]; none of them is temporary.
    pub fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::TooLong);
        }
        let claims = decode::<Claims>(token, &self.decoding, &self.validation).map_err(
            |error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => AuthError::Expired,
                _ => AuthError::Invalid,
            },
        )?;
        let claims = claims.claims;
        Ok(Identity {
            tenant: Tenant::parse(&claims.tenant)
                .map_err(|_| AuthError::Name { claim: "tenant" })?,
            user: User::parse(&claims.sub).map_err(|_| AuthError::Name { claim: "sub" })?,
            expires_at: UNIX_EPOCH
                .checked_add(Duration::from_secs(claims.exp))
                .ok_or(AuthError::Invalid)?,
            scopes: Scopes::parse(&claims.scopes)?,
        })
    }

    /// Makes a token that is valid from now for `ttl`.
    pub fn mint(&self, tenant: &Tenant, user: &User, scopes: &[&str], ttl: Duration) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let claims = Claims {
            sub: user.as_str().into(),
            tenant: tenant.as_str().into(),
            exp: (now + ttl).as_secs(),
            iat: now.as_secs(),
            scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .expect("claims of plain texts and numbers encode")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticator() -> Authenticator {
        Authenticator::new(&Secret::new("0123456789abcdef0123456789abcdef")).unwrap()
    }

    fn mint(scopes: &[&str]) -> String {
        let (tenant, user) = (Tenant::parse("acme").unwrap(), User::parse("ann").unwrap());
        authenticator().mint(&tenant, &user, scopes, Duration::from_secs(60))
    }

    #[test]
    fn a_minted_token_says_who_and_what() {
        let identity = authenticator()
            .verify(&mint(&["publish:doc.>", "subscribe:*.a", "presence:>"]))
            .unwrap();
        let channel = |text| Channel::parse(text).unwrap();
        assert_eq!(
            (identity.tenant.as_str(), identity.user.as_str()),
            ("acme", "ann")
        );
        assert!(identity.scopes.allows(Action::Publish, &channel("doc.a")));
        assert!(!identity.scopes.allows(Action::Publish, &channel("chat.a")));
        assert!(
            identity
                .scopes
                .allows(Action::Subscribe, &channel("chat.a"))
        );
        assert!(!identity.scopes.allows(Action::Replay, &channel("doc.a")));
        let all = Scopes::parse(&["publish:>", "subscribe:>", "replay:>"]).unwrap();
        assert!(!all.allows(Action::Inputs, &channel("doc.a")));
        let all = Scopes::parse(&["inputs:doc.>"]).unwrap();
        assert!(all.allows(Action::Inputs, &channel("doc.a")));
        assert!(!all.allows(Action::Replay, &channel("doc.a")));
        assert!(identity.expires_at > SystemTime::now());
    }

    #[test]
    fn the_secret_within_and_beyond_its_limit() {
        assert!(Authenticator::new(&Secret::new("s".repeat(32))).is_ok());
        assert_eq!(
            Authenticator::new(&Secret::new("s".repeat(31))).unwrap_err(),
            AuthError::ShortSecret { bytes: 31 }
        );
    }

    #[test]
    fn other_keys_algorithms_times_and_shapes_are_refused() {
        let auth = authenticator();
        let other = Authenticator::new(&Secret::new("x".repeat(32))).unwrap();
        assert_eq!(other.verify(&mint(&[])), Err(AuthError::Invalid));
        let claims = Claims {
            sub: "ann".into(),
            tenant: "acme".into(),
            exp: 1,
            iat: 0,
            scopes: Vec::new(),
        };
        let expired = encode(&Header::new(Algorithm::HS256), &claims, &auth.encoding).unwrap();
        assert_eq!(auth.verify(&expired), Err(AuthError::Expired));
        let hs512 = encode(
            &Header::new(Algorithm::HS512),
            &Claims {
                exp: u64::from(u32::MAX),
                ..claims
            },
            &auth.encoding,
        );
        assert_eq!(auth.verify(&hs512.unwrap()), Err(AuthError::Invalid));
        assert_eq!(
            auth.verify(&"a".repeat(TOKEN_BYTES_MAX + 1)),
            Err(AuthError::TooLong)
        );
        assert_eq!(
            auth.verify("eyJhbGciOiJub25lIn0.e30."),
            Err(AuthError::Invalid)
        );
        assert!(matches!(
            auth.verify(&mint(&["publish"])),
            Err(AuthError::Scope { .. })
        ));
        assert!(matches!(
            auth.verify(&mint(&["publish:a.>.b"])),
            Err(AuthError::Scope { .. })
        ));
        let most = vec!["publish:a"; SCOPES_MAX];
        assert!(auth.verify(&mint(&most)).is_ok());
        assert_eq!(
            auth.verify(&mint(&[most.as_slice(), &["publish:a"]].concat())),
            Err(AuthError::TooManyScopes)
        );
    }
}
