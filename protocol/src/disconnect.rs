//! Who is to be disconnected now, and may come back: a session, or all of a user's.
//!
//! Pure: entries of the bucket `DISCONNECTS`. Unlike what is revoked, an entry is about
//! those who are connected when a node hears of it, and about nobody who comes later.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::name::{Tenant, User};
use crate::spec::Written;

/// How long an entry is kept. A node that is cut off from NATS for longer is not ready all
/// that time, and hears of it no more.
pub const DISCONNECT_KEPT: Duration = Duration::from_secs(600);

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// Every session of this user.
    User(User),
    /// The session of this name, as the reply to `connect` told it.
    Session(Arc<str>),
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    /// Whose it is; nothing of another tenant is touched.
    pub tenant: Tenant,
    /// Who is meant.
    pub whom: Whom,
    /// When it was asked for, microseconds since 1970.
    pub at: u64,
    /// Who wrote it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

impl Disconnect {
    /// The entry's key: `{tenant}.{kind}.{name}`, the name in base64url, so that two names
    /// never share a key.
    pub fn key(&self) -> String {
        let (kind, name) = match &self.whom {
            Whom::User(user) => ("user", user.as_str()),
            Whom::Session(name) => ("session", &**name),
        };
        format!("{}.{kind}.{}", self.tenant, URL_SAFE_NO_PAD.encode(name))
    }

    /// Whether a session of its tenant is meant.
    pub fn means(&self, user: &User, session: &str) -> bool {
        match &self.whom {
            Whom::User(meant) => meant == user,
            Whom::Session(name) => **name == *session,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(whom: Whom) -> Disconnect {
        Disconnect {
            tenant: Tenant::parse("acme").unwrap(),
            whom,
            at: 7,
            written: None,
        }
    }

    #[test]
    fn a_user_and_a_session_of_one_name_are_two() {
        let user = |name: &str| User::parse(name).unwrap();
        let all = entry(Whom::User(user("a.b")));
        let one = entry(Whom::Session("a.b".into()));
        assert_ne!(all.key(), one.key());
        assert!(all.means(&user("a.b"), "edge-1") && !all.means(&user("a"), "a.b"));
        assert!(one.means(&user("x"), "a.b") && !one.means(&user("a.b"), "edge-1"));
    }

    #[test]
    fn an_entry_is_written_as_the_page_shows_it() {
        let json = r#"{"tenant":"acme","whom":{"session":"edge-1"},"at":7}"#;
        let read: Disconnect = serde_json::from_str(json).unwrap();
        assert_eq!(read, entry(Whom::Session("edge-1".into())));
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}
