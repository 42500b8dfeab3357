//! Tickets: who a session is and what it receives, as one text that any node of the
//! deployment takes instead of a token.
//!
//! Owns the keys. A ticket is as good as the token that it was made from, for as long as that
//! and no longer: what revokes the one revokes the other. It is a JWT of a type and of keys of
//! its own, so neither is ever taken for the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use protocol::frame::Subscribe;
use protocol::name::{ClientId, Tenant, User};
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};

use crate::claims::Identity;
use crate::error::AuthError;
use crate::scope::Scopes;

/// Longest ticket, bytes: a hundred channels with long names, and a quarter of the longest
/// message that a client may send unless configured otherwise.
pub const TICKET_BYTES_MAX: usize = 32 << 10;
/// What a ticket's header says that it is.
const TYPE: &str = "eddyline-ticket";

/// What a ticket says.
#[derive(Serialize, Deserialize)]
struct Claims {
    tenant: Tenant,
    sub: User,
    client: ClientId,
    scopes: Vec<String>,
    /// Microseconds since 1970, as the others.
    exp_us: u64,
    end_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    subscriptions: Vec<Subscribe>,
}

/// A ticket that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Who it is, as its token said.
    pub identity: Identity,
    /// The writer.
    pub client: ClientId,
    /// What it receives, each from its position on.
    pub subscriptions: Vec<Subscribe>,
}

/// Why there is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTicket {
    /// No key is configured.
    #[error("no key of tickets is configured (auth.ticket_keys)")]
    Off,
    /// It would be longer than [`TICKET_BYTES_MAX`].
    #[error("the ticket would have {bytes} bytes, more than {TICKET_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// The keys of a deployment's tickets: the first one signs, all of them count.
pub(crate) struct Tickets(Vec<(EncodingKey, DecodingKey)>);

impl Tickets {
    /// Takes keys that have been checked.
    pub(crate) fn new(keys: &[Secret]) -> Self {
        let keys = keys.iter().map(|key| {
            let key = key.expose().as_bytes();
            (EncodingKey::from_secret(key), DecodingKey::from_secret(key))
        });
        Self(keys.collect())
    }

    pub(crate) fn seal(
        &self,
        identity: &Identity,
        client: &ClientId,
        subscriptions: Vec<Subscribe>,
    ) -> Result<String, NoTicket> {
        let (key, _) = self.0.first().ok_or(NoTicket::Off)?;
        let claims = Claims {
            tenant: identity.tenant.clone(),
            sub: identity.user.clone(),
            client: client.clone(),
            scopes: identity.scopes.texts(),
            exp_us: micros(identity.expires_at),
            end_us: micros(identity.ends_at),
            iat_us: identity.issued_at.map(micros),
            jti: identity.token_id.clone(),
            subscriptions,
        };
        let header = Header {
            typ: Some(TYPE.into()),
            ..Header::new(Algorithm::HS256)
        };
        let text = encode(&header, &claims, key).expect("texts and numbers encode");
        match text.len() {
            bytes if bytes > TICKET_BYTES_MAX => Err(NoTicket::TooLong { bytes }),
            _ => Ok(text),
        }
    }

    pub(crate) fn open(&self, text: &str, now: SystemTime) -> Result<Opened, AuthError> {
        if text.len() > TICKET_BYTES_MAX {
            return Err(AuthError::Ticket);
        }
        // Its times are looked at below, as those of tokens are.
        let mut validation = Validation::new(Algorithm::HS256);
        (validation.validate_exp, validation.validate_aud) = (false, false);
        validation.required_spec_claims.clear();
        let mut read = self.0.iter().filter_map(|(_, key)| {
            let ticket = decode::<Claims>(text, key, &validation).ok()?;
            (ticket.header.typ.as_deref() == Some(TYPE)).then_some(ticket.claims)
        });
        let claims = read.next().ok_or(AuthError::Ticket)?;
        let ends_at = time(claims.end_us);
        if now >= ends_at {
            return Err(AuthError::Expired);
        }
        let scopes = Scopes::parse(&claims.scopes, &claims.sub)?;
        Ok(Opened {
            identity: Identity {
                tenant: claims.tenant,
                user: claims.sub,
                token_id: claims.jti,
                issued_at: claims.iat_us.map(time),
                expires_at: time(claims.exp_us),
                ends_at,
                scopes,
            },
            client: claims.client,
            subscriptions: claims.subscriptions,
        })
    }
}

fn micros(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn time(us: u64) -> SystemTime {
    let at = UNIX_EPOCH.checked_add(Duration::from_micros(us));
    at.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use protocol::frame::Start;
    use protocol::position::{Epoch, Position};

    use super::*;

    const NOW: u64 = 1_764_000_000_000_000;

    fn tickets(keys: &[u8]) -> Tickets {
        let keys = keys
            .iter()
            .map(|key| Secret::new(char::from(*key).to_string().repeat(32)));
        Tickets::new(&keys.collect::<Vec<_>>())
    }

    fn identity() -> Identity {
        let user = User::parse("ann@example.org").unwrap();
        let texts = ["subscribe:inbox.{user}.>", "publish:chat.>"];
        Identity {
            token_id: Some("jti-1".into()),
            issued_at: Some(time(NOW)),
            ends_at: time(NOW + 2_000_000),
            scopes: Scopes::parse(&texts, &user).unwrap(),
            ..Identity::new(
                Tenant::parse("acme").unwrap(),
                user,
                Scopes::default(),
                time(NOW + 1_000_000),
            )
        }
    }

    fn client() -> ClientId {
        ClientId::parse("tab-1").unwrap()
    }

    fn subscriptions(count: u64) -> Vec<Subscribe> {
        let subscribe = |seq| Subscribe {
            from: Some(Start::After(Position {
                epoch: Epoch::from_random(1),
                seq,
                time: None,
            })),
            credit: Some(seq),
            headers: r#"{"kind":{"prefix":"a"}}"#.parse().unwrap(),
            ..Subscribe::new(format!("chat.room-{seq}"))
        };
        (0..count).map(subscribe).collect()
    }

    #[test]
    fn a_ticket_says_what_was_put_in_until_its_token_ends() {
        let tickets = tickets(b"a");
        let text = tickets
            .seal(&identity(), &client(), subscriptions(3))
            .unwrap();
        let opened = tickets.open(&text, time(NOW + 1_999_999)).unwrap();
        assert_eq!(opened.identity, identity());
        assert_eq!(opened.client, client());
        assert_eq!(opened.subscriptions, subscriptions(3));
        let late = tickets.open(&text, time(NOW + 2_000_000));
        assert_eq!(late, Err(AuthError::Expired));
    }

    #[test]
    fn keys_are_changed_without_a_gap_and_others_do_not_count() {
        let text = |keys: &[u8]| {
            let tickets = tickets(keys);
            tickets.seal(&identity(), &client(), Vec::new()).unwrap()
        };
        let opens = |keys: &[u8], text: &str| tickets(keys).open(text, time(NOW)).is_ok();
        assert!(opens(b"ba", &text(b"a")), "the old one counts on");
        assert!(
            opens(b"ab", &text(b"ba")),
            "where the new one is not signed with yet"
        );
        assert!(!opens(b"b", &text(b"a")) && !opens(b"", &text(b"a")));
        let good = text(b"a");
        assert!(!opens(b"a", &good[1..]) && !opens(b"a", ""));
        let mut damaged = good.into_bytes();
        let middle = damaged.len() / 2;
        damaged[middle] = if damaged[middle] == b'A' { b'B' } else { b'A' };
        assert!(!opens(b"a", &String::from_utf8(damaged).unwrap()));
        let off = tickets(b"").seal(&identity(), &client(), Vec::new());
        assert_eq!(off, Err(NoTicket::Off));
        // A token of the same key is none.
        let signer = crate::Signer::new(&Secret::new("a".repeat(32))).unwrap();
        let who = identity();
        let token = signer.mint(&who.tenant, &who.user, &[], Duration::from_secs(9));
        assert!(!opens(b"a", &token));
    }

    #[test]
    fn tickets_within_and_beyond_their_bytes() {
        let tickets = tickets(b"a");
        let seal = |count| tickets.seal(&identity(), &client(), subscriptions(count));
        let text = seal(100).unwrap();
        assert!(text.len() <= TICKET_BYTES_MAX);
        assert!(tickets.open(&text, time(NOW)).is_ok());
        assert!(
            matches!(seal(1_000), Err(NoTicket::TooLong { bytes }) if bytes > TICKET_BYTES_MAX)
        );
        let long = "x".repeat(TICKET_BYTES_MAX + 1);
        assert_eq!(tickets.open(&long, time(NOW)), Err(AuthError::Ticket));
    }
}
