//! Why a token, or a secret, is refused. Owns nothing; a message never repeats a token
//! or a key.

use crate::limits::{SCOPES_MAX, SECRET_BYTES_MIN, TOKEN_BYTES_MAX};

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
    #[error("the token has expired: its claim exp has passed")]
    Expired,
    /// Not a JWT, or one that demands what this version does not know.
    #[error("the token is not a JWT that can be read: {problem}")]
    Malformed {
        /// What is wrong.
        problem: &'static str,
    },
    /// No key that is trusted for its tenant and issuer has signed it with the key's own
    /// algorithm.
    #[error("the token is not signed by a key that is trusted for its tenant and issuer")]
    Signature,
    /// The header names no key, and more than one would do.
    #[error("the token's header names no key (kid), and several fit")]
    Ambiguous,
    /// A claim is missing, of the wrong type, or does not hold.
    #[error("the token's claim {claim} {problem}")]
    Claim {
        /// The claim.
        claim: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A scope is not `action:pattern`.
    #[error("the token's claim scopes: {scope:?} is not action:pattern")]
    Scope {
        /// The scope, shortened.
        scope: String,
    },
    /// Too many scopes.
    #[error("the token's claim scopes has more than {SCOPES_MAX} scopes")]
    TooManyScopes,
    /// Not a ticket that a node of this deployment has given.
    #[error("the ticket is not signed by a key of this deployment's tickets")]
    Ticket,
    /// The keys cannot be had now, or are being looked up; temporary.
    #[error("the keys that tokens are checked with cannot be had now")]
    KeysUnavailable,
}

impl AuthError {
    /// Whether the same token may be accepted later.
    pub fn temporary(&self) -> bool {
        *self == Self::KeysUnavailable
    }
}
