//! What is revoked before its time: a token, a user's tokens, a session.
//!
//! Pure: entries of the bucket `REVOCATIONS` in, and who they bar. Whoever follows the
//! bucket fills a set; whoever lets somebody in, or has, asks it.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::name::{Tenant, User};
use crate::spec::Written;

/// Longest an entry lasts, in milliseconds: 90 days. The bucket keeps entries as long, so
/// a token that may be revoked must not last longer (`auth.lifetime_max_ms`).
pub const REVOCATION_MS_MAX: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Longest name of a token or a session, in bytes: it becomes a part of a key.
pub const REVOKED_BYTES_MAX: usize = 128;

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// The token with this `jti`.
    Token(String),
    /// Every token of this user that was made up to the revocation.
    User(User),
    /// The session of this name, as the reply to `connect` told it.
    Session(String),
}

impl Revoked {
    /// What kind of thing it is, and its name.
    pub fn named(&self) -> (&'static str, &str) {
        match self {
            Self::Token(name) => ("token", name),
            Self::User(user) => ("user", user.as_str()),
            Self::Session(name) => ("session", name),
        }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Whose it is; nothing of another tenant is touched.
    pub tenant: Tenant,
    /// What is revoked.
    pub revoked: Revoked,
    /// Up to when, microseconds since 1970: tokens of a user that were made later count,
    /// and so do sessions of that name that began later.
    pub at: u64,
    /// When the entry ends, microseconds since 1970.
    pub until: u64,
    /// Who wrote it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

/// Why something is not revoked; only another name, or another time, helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationFault {
    /// It would last for nothing, or for too long.
    #[error("a revocation lasts more than nothing and at most {} days", REVOCATION_MS_MAX / 86_400_000)]
    Lasts,
    /// A name is empty, or too long.
    #[error("the name of a {kind} has 1 to {REVOKED_BYTES_MAX} bytes")]
    Name {
        /// What kind of thing it names.
        kind: &'static str,
    },
}

impl Revocation {
    /// Revokes something of a tenant from a moment on, microseconds since 1970, for so
    /// long.
    ///
    /// # Errors
    /// [`RevocationFault`].
    pub fn new(
        tenant: Tenant,
        revoked: Revoked,
        lasts: Duration,
        at: u64,
        written: Option<Written>,
    ) -> Result<Self, RevocationFault> {
        if lasts.is_zero() || lasts > Duration::from_millis(REVOCATION_MS_MAX) {
            return Err(RevocationFault::Lasts);
        }
        let (kind, name) = revoked.named();
        if name.is_empty() || name.len() > REVOKED_BYTES_MAX {
            return Err(RevocationFault::Name { kind });
        }
        Ok(Self {
            tenant,
            revoked,
            at,
            until: at.saturating_add(lasts.as_micros() as u64),
            written,
        })
    }

    /// The entry's key: `{tenant}.{kind}.{name}`, the name in base64url, so that two names
    /// never share a key.
    pub fn key(&self) -> String {
        let (kind, name) = self.revoked.named();
        format!("{}.{kind}.{}", self.tenant, URL_SAFE_NO_PAD.encode(name))
    }
}

/// Whom a token lets in, as far as revocations are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Bearer<'a> {
    /// Its tenant.
    pub tenant: &'a Tenant,
    /// Its user.
    pub user: &'a User,
    /// Its `jti`.
    pub token_id: Option<&'a str>,
    /// Its `iat`, microseconds since 1970.
    pub issued_at: Option<u64>,
}

/// Everything that is revoked, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    entries: HashMap<Tenant, HashMap<Revoked, Revocation>>,
    /// What each key stands for: a deletion tells the key alone.
    keys: HashMap<String, (Tenant, Revoked)>,
}

impl Revocations {
    /// Takes a change of the bucket in; the tenant that it concerns. A value that cannot
    /// be read, or is not what its key says, changes nothing.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn apply(&mut self, key: &str, value: Option<&[u8]>) -> Result<Option<Tenant>, String> {
        let Some(value) = value else {
            return Ok(self.remove(key));
        };
        let entry: Revocation = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        if entry.key() != key {
            return Err(format!("it belongs under {}", entry.key()));
        }
        let tenant = entry.tenant.clone();
        let named = (tenant.clone(), entry.revoked.clone());
        self.keys.insert(key.to_owned(), named);
        let entries = self.entries.entry(tenant.clone()).or_default();
        entries.insert(entry.revoked.clone(), entry);
        Ok(Some(tenant))
    }

    fn remove(&mut self, key: &str) -> Option<Tenant> {
        let (tenant, revoked) = self.keys.remove(key)?;
        if let Some(entries) = self.entries.get_mut(&tenant) {
            entries.remove(&revoked);
            if entries.is_empty() {
                self.entries.remove(&tenant);
            }
        }
        Some(tenant)
    }

    /// Lets go of what has ended.
    pub fn forget_ended(&mut self, now_us: u64) {
        let ended = |entries: &HashMap<Revoked, Revocation>, named: &Revoked| {
            entries.get(named).is_none_or(|entry| entry.until <= now_us)
        };
        let keys: Vec<String> = self
            .keys
            .iter()
            .filter(|(_, (tenant, named))| {
                self.entries
                    .get(tenant)
                    .is_none_or(|entries| ended(entries, named))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.remove(&key);
        }
    }

    fn entry(&self, tenant: &Tenant, revoked: &Revoked, now_us: u64) -> Option<&Revocation> {
        let entry = self.entries.get(tenant)?.get(revoked)?;
        (entry.until > now_us).then_some(entry)
    }

    /// Whether a token counts no more. One that does not say when it was made counts as
    /// made before everything.
    pub fn bars(&self, bearer: &Bearer<'_>, now_us: u64) -> bool {
        // Nearly every tenant has none: nothing is made for the look-up.
        if !self.entries.contains_key(bearer.tenant) {
            return false;
        }
        let token = bearer.token_id.map(|id| Revoked::Token(id.to_owned()));
        let token = token.and_then(|token| self.entry(bearer.tenant, &token, now_us));
        let user = Revoked::User(bearer.user.clone());
        let user = self.entry(bearer.tenant, &user, now_us);
        let made_before = |entry: &Revocation| bearer.issued_at.is_none_or(|at| at <= entry.at);
        token.is_some() || user.is_some_and(made_before)
    }

    /// Whether a session that began then, microseconds since 1970, is to end.
    pub fn ends(&self, tenant: &Tenant, session: &str, began_us: u64, now_us: u64) -> bool {
        if !self.entries.contains_key(tenant) {
            return false;
        }
        let named = Revoked::Session(session.to_owned());
        let entry = self.entry(tenant, &named, now_us);
        entry.is_some_and(|entry| began_us <= entry.at)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names_within_and_beyond_their_limits() {
        let made = |bytes: usize, lasts| {
            let token = Revoked::Token("j".repeat(bytes));
            Revocation::new(tenant("acme"), token, lasts, 100, None)
        };
        let max = Duration::from_millis(REVOCATION_MS_MAX);
        let until = made(REVOKED_BYTES_MAX, max).unwrap().until;
        assert_eq!(until, 100 + 1_000 * REVOCATION_MS_MAX);
        let name = Err(RevocationFault::Name { kind: "token" });
        assert_eq!(made(REVOKED_BYTES_MAX + 1, max), name);
        assert_eq!(made(0, max), name);
        for lasts in [max + Duration::from_millis(1), Duration::ZERO] {
            assert_eq!(made(1, lasts), Err(RevocationFault::Lasts));
        }
    }

    fn tenant(name: &str) -> Tenant {
        Tenant::parse(name).unwrap()
    }

    fn user(name: &str) -> User {
        User::parse(name).unwrap()
    }

    fn revocation(revoked: Revoked) -> Revocation {
        Revocation {
            tenant: tenant("acme"),
            revoked,
            at: 100,
            until: 1_000,
            written: None,
        }
    }

    fn set(list: &[Revocation]) -> Revocations {
        let mut all = Revocations::default();
        for entry in list {
            let json = serde_json::to_vec(entry).unwrap();
            all.apply(&entry.key(), Some(&json)).unwrap();
        }
        all
    }

    fn bars(all: &Revocations, who: (&str, &str), id: Option<&str>, made: Option<u64>) -> bool {
        let (tenant, user) = (tenant(who.0), user(who.1));
        let bearer = Bearer {
            tenant: &tenant,
            user: &user,
            token_id: id,
            issued_at: made,
        };
        all.bars(&bearer, 500)
    }

    #[test]
    fn a_token_is_barred_by_its_name_within_its_tenant() {
        let all = set(&[revocation(Revoked::Token("j1".into()))]);
        assert!(bars(&all, ("acme", "ann"), Some("j1"), Some(400)));
        assert!(!bars(&all, ("acme", "ann"), Some("j2"), Some(50)));
        assert!(!bars(&all, ("acme", "ann"), None, None));
        assert!(!bars(&all, ("rival", "ann"), Some("j1"), Some(50)));
    }

    #[test]
    fn a_user_is_barred_with_every_token_made_until_then() {
        let all = set(&[revocation(Revoked::User(user("ann")))]);
        for (made, barred) in [
            (None, true),
            (Some(0), true),
            (Some(100), true),
            (Some(101), false),
        ] {
            assert_eq!(
                bars(&all, ("acme", "ann"), Some("j1"), made),
                barred,
                "{made:?}"
            );
        }
        assert!(!bars(&all, ("acme", "bob"), None, None));
        assert!(!bars(&all, ("rival", "ann"), None, None));
    }

    #[test]
    fn a_session_ends_and_one_of_its_name_that_began_later_does_not() {
        let all = set(&[revocation(Revoked::Session("edge-1-7".into()))]);
        let ends = |name: &str, began| all.ends(&tenant("acme"), name, began, 500);
        assert!(ends("edge-1-7", 99) && ends("edge-1-7", 100));
        assert!(!ends("edge-1-7", 101) && !ends("edge-1-8", 99));
        assert!(!all.ends(&tenant("rival"), "edge-1-7", 99, 500));
    }

    #[test]
    fn entries_end_by_themselves_or_are_taken_back() {
        let entry = revocation(Revoked::User(user("ann")));
        let mut all = set(std::slice::from_ref(&entry));
        let who = (tenant("acme"), user("ann"));
        let bearer = Bearer {
            tenant: &who.0,
            user: &who.1,
            token_id: None,
            issued_at: None,
        };
        assert!(all.bars(&bearer, 999) && !all.bars(&bearer, 1_000));
        all.forget_ended(999);
        assert_eq!(all.len(), 1);
        all.forget_ended(1_000);
        assert!(all.is_empty() && all.entries.is_empty());
        let mut all = set(std::slice::from_ref(&entry));
        assert_eq!(all.apply(&entry.key(), None), Ok(Some(tenant("acme"))));
        assert!(all.is_empty() && !all.bars(&bearer, 500));
        assert_eq!(all.apply("unknown", None), Ok(None));
    }

    #[test]
    fn keys_are_a_bucket_s_and_no_two_names_share_one() {
        let long = "é".repeat(REVOKED_BYTES_MAX / 2);
        let names = ["a", "A", "a.b", ">", "* x", "a/b", long.as_str()];
        let kinds = |name: &str| {
            [
                Revoked::Token(name.into()),
                Revoked::User(user(name)),
                Revoked::Session(name.into()),
            ]
        };
        let all = names.iter().flat_map(|name| kinds(name));
        let keys: std::collections::BTreeSet<String> =
            all.map(|revoked| revocation(revoked).key()).collect();
        assert_eq!(keys.len(), 3 * names.len());
        for key in keys {
            let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_=./".contains(&b);
            assert!(key.bytes().all(fine) && key.len() <= 256, "{key}");
            assert_eq!(key.split('.').count(), 3);
        }
    }

    #[test]
    fn an_entry_under_another_key_or_that_cannot_be_read_changes_nothing() {
        let entry = revocation(Revoked::Token("j1".into()));
        let mut all = set(std::slice::from_ref(&entry));
        let json = serde_json::to_vec(&entry).unwrap();
        assert!(all.apply("rival.token.ajE", Some(&json)).is_err());
        assert!(all.apply(&entry.key(), Some(b"{")).is_err());
        assert_eq!(all.len(), 1);
    }
}
