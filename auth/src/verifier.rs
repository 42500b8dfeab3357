//! Tokens in, identities out.
//!
//! Owns the sources. A check waits for nothing: what it lacks is asked for, and the
//! token refused for now.

use std::sync::Arc;
use std::time::SystemTime;

use jsonwebtoken::Algorithm;
use jsonwebtoken::dangerous::insecure_decode;
use parking_lot::Mutex;
use protocol::frame::Subscribe;
use protocol::name::ClientId;
use protocol::secret::Secret;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cache::{Cache, Unknown};
use crate::claims::{self, Demands, Identity, Times};
use crate::error::AuthError;
use crate::keys::{Key, Keys};
use crate::limits::TOKEN_BYTES_MAX;
use crate::settings::{AuthSettings, Place, SettingFault};
use crate::source::{Held, Reading, Source};
use crate::ticket::{NoTicket, Opened, Tickets};

/// The algorithms that any key of ours is used with.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
    Algorithm::HS256,
];

/// Checks tokens. Clones share their keys.
#[derive(Clone)]
pub struct Verifier {
    pub(crate) sources: Arc<Vec<Source>>,
    times: Times,
    tickets: Arc<Tickets>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

/// A token's parts, before anything of it is believed.
struct Parts<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Map<String, Value>,
    /// What was signed.
    message: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, AuthError> {
        let malformed = |problem| AuthError::Malformed { problem };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::TooLong);
        }
        let read = insecure_decode::<Map<String, Value>>(token)
            .map_err(|_| malformed("header and claims are not JSON objects in base64url"))?;
        let (message, signature) = token
            .rsplit_once('.')
            .ok_or(malformed("it has no signature"))?;
        if read.header.crit.is_some() {
            return Err(malformed("its header demands extensions (crit)"));
        }
        Ok(Self {
            algorithm: read.header.alg,
            key_id: read.header.kid,
            claims: read.claims,
            message,
            signature,
        })
    }

    fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// Whether this key fits and has signed it.
    fn is_signed_by(&self, key: &Key) -> bool {
        key.algorithm() == self.algorithm && key.has_signed(self.message, self.signature)
    }
}

impl Verifier {
    /// Takes settings that have been checked, and the secret beside them. Files and URLs
    /// are read by [`Self::follow`], which has to run.
    ///
    /// # Errors
    /// [`SettingFault`] as of [`AuthSettings::check`].
    pub fn new(token_secret: &Secret, settings: &AuthSettings) -> Result<Self, SettingFault> {
        settings.check(token_secret)?;
        let mut sources = Vec::new();
        if !token_secret.expose().is_empty() {
            sources.push(Source {
                tenants: Vec::new(),
                demands: Demands::default(),
                held: Held::Fixed(Arc::new(Keys::of_secret(token_secret.expose().as_bytes()))),
            });
        }
        for (at, source) in settings.keys.iter().enumerate() {
            let held = match source.place(at)? {
                Place::Secret(secret) => {
                    Held::Fixed(Arc::new(Keys::of_secret(secret.expose().as_bytes())))
                }
                place => Held::Read(Box::new(Reading {
                    cache: Mutex::new(Cache::new(settings.timing(&place))),
                    place,
                    sooner: Notify::new(),
                })),
            };
            sources.push(Source {
                tenants: source.tenants.clone(),
                demands: source.demands(),
                held,
            });
        }
        Ok(Self {
            sources: Arc::new(sources),
            times: settings.times(),
            tickets: Arc::new(Tickets::new(&settings.ticket_keys)),
        })
    }

    /// Checks tokens of one shared secret, for tests and tools.
    ///
    /// # Errors
    /// [`SettingFault`] if it is too short.
    pub fn with_secret(secret: &Secret) -> Result<Self, SettingFault> {
        let dev = AuthSettings {
            dev: true,
            ..AuthSettings::default()
        };
        Self::new(secret, &dev)
    }

    /// Checks a token and reads who it is for.
    ///
    /// # Errors
    /// [`AuthError`]; says itself whether it is temporary.
    pub fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        self.verify_at(token, SystemTime::now())
    }

    /// As [`Self::verify`], by a clock of the caller's.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_at(&self, token: &str, now: SystemTime) -> Result<Identity, AuthError> {
        let parts = Parts::of(token)?;
        let source = self.signer(&parts)?;
        claims::identity(&parts.claims, &source.demands, self.times, now)
    }

    /// Makes a ticket of a session: of who it is and what it receives.
    ///
    /// # Errors
    /// [`NoTicket`]: there are none, or it would be too long.
    pub fn seal(
        &self,
        identity: &Identity,
        client: &ClientId,
        subscriptions: Vec<Subscribe>,
    ) -> Result<String, NoTicket> {
        self.tickets.seal(identity, client, subscriptions)
    }

    /// Reads a ticket.
    ///
    /// # Errors
    /// [`AuthError::Ticket`], [`AuthError::Expired`].
    pub fn open(&self, ticket: &str, now: SystemTime) -> Result<Opened, AuthError> {
        self.tickets.open(ticket, now)
    }

    /// What is waited for before a node should get traffic, in words: that every source
    /// has been read once. One that cannot be read is the trouble of its tenants alone.
    pub fn waiting(&self) -> Vec<String> {
        let lacking = self.sources.iter().filter(|source| !source.is_tried());
        match lacking.count() {
            0 => Vec::new(),
            count => vec![format!("{count} sources of keys have not been read")],
        }
    }

    /// The source one of whose keys has signed the token.
    fn signer(&self, parts: &Parts<'_>) -> Result<&Source, AuthError> {
        if !ALGORITHMS.contains(&parts.algorithm) {
            return Err(AuthError::Signature);
        }
        let (tenant, issuer) = (parts.claim("tenant"), parts.claim("iss"));
        let mac = parts.algorithm == Algorithm::HS256;
        // Only a secret is used with HS256, and with nothing else.
        let fits = |source: &&Source| source.is_secret() == mac && source.serves(tenant, issuer);
        let sources: Vec<&Source> = self.sources.iter().filter(fits).collect();
        match (&parts.key_id, mac) {
            (Some(id), false) => named(parts, id, &sources),
            _ => alone(parts, &sources, mac),
        }
    }
}

/// The source whose key of this name has signed the token.
fn named<'a>(parts: &Parts<'_>, id: &str, sources: &[&'a Source]) -> Result<&'a Source, AuthError> {
    let now = Instant::now();
    let (mut known, mut later) = (false, false);
    for source in sources {
        let keys = source.keys(now);
        match keys.as_ref().and_then(|keys| keys.named(id)) {
            Some(key) if parts.is_signed_by(key) => return Ok(source),
            Some(_) => known = true,
            None => {
                later |= keys.is_none() || source.unknown(id) == Unknown::Later;
            }
        }
    }
    match later && !known {
        true => Err(AuthError::KeysUnavailable),
        false => Err(AuthError::Signature),
    }
}

/// The source whose key has signed a token that names none: with a public key only if
/// one alone fits; secrets, which have no names, are tried.
fn alone<'a>(
    parts: &Parts<'_>,
    sources: &[&'a Source],
    mac: bool,
) -> Result<&'a Source, AuthError> {
    let now = Instant::now();
    let (mut count, mut found, mut later) = (0, None, false);
    for source in sources {
        let Some(keys) = source.keys(now) else {
            later = true;
            continue;
        };
        let fitting: Vec<&Key> = keys.of_algorithm(parts.algorithm).collect();
        count += fitting.len();
        if fitting.iter().any(|key| parts.is_signed_by(key)) {
            found = Some(*source);
        }
    }
    match found {
        Some(_) if count > 1 && !mac => Err(AuthError::Ambiguous),
        // Whether it is the only one, a source that cannot be read might deny.
        None | Some(_) if later => Err(AuthError::KeysUnavailable),
        Some(source) => Ok(source),
        None => Err(AuthError::Signature),
    }
}

#[cfg(test)]
mod tests;
