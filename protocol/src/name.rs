//! Validated names. A value of one of these types has passed its check, so the
//! rest of the code may put it into a subject without looking again.
//!
//! This module must not know about NATS: it only knows which text is allowed.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest token of a channel, in bytes.
pub const TOKEN_BYTES_MAX: usize = 64;
/// Most tokens in a channel.
pub const CHANNEL_TOKENS_MAX: usize = 16;
/// Longest channel, in bytes; leaves room for the rest of a subject, which NATS
/// keeps in every message and index entry.
pub const CHANNEL_BYTES_MAX: usize = 200;
/// Longest user id, in bytes. Ids are e-mail addresses or UUIDs in practice.
pub const USER_BYTES_MAX: usize = 128;
/// First token of the channels on which publishers are told outcomes.
pub const OUTCOME_NAMESPACE: &str = "_outcome";
/// First token of the channels on which is told when a channel is occupied or vacated.
pub const LIFECYCLE_NAMESPACE: &str = "_lifecycle";
/// First token of channels on which single events stand that were redriven.
pub const REDRIVE_NAMESPACE: &str = "_redrive";
/// First token of the channels on which is told that a writer connects and disconnects.
pub const SESSION_NAMESPACE: &str = "_session";
/// Longest token that stands for a user, in bytes.
pub const USER_TOKEN_BYTES_MAX: usize = 61;

// An outcome channel has four tokens and three points, and always fits.
const _: () = assert!(
    OUTCOME_NAMESPACE.len() + USER_TOKEN_BYTES_MAX + 2 * TOKEN_BYTES_MAX + 3 <= CHANNEL_BYTES_MAX
);

/// Why a text is not a valid name. A retry with the same text never helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("{field} is empty")]
    Empty {
        /// What was being read.
        field: &'static str,
    },
    /// The text is longer than its limit.
    #[error("{field} has {bytes} bytes, more than {max}")]
    TooLong {
        /// What was being read.
        field: &'static str,
        /// Length found, in bytes.
        bytes: usize,
        /// Limit, in bytes.
        max: usize,
    },
    /// A channel has too many tokens.
    #[error("{field} has {tokens} tokens, more than {max}", max = CHANNEL_TOKENS_MAX)]
    TooManyTokens {
        /// What was being read.
        field: &'static str,
        /// Tokens found.
        tokens: usize,
    },
    /// A character outside the allowed alphabet.
    #[error("{field} contains {found:?}, which is not allowed")]
    Character {
        /// What was being read.
        field: &'static str,
        /// The first such character.
        found: char,
    },
    /// A token that starts with `_` where a client may not use one.
    #[error("{field} contains a token that starts with '_', which is reserved")]
    Reserved {
        /// What was being read.
        field: &'static str,
    },
}

/// Checks one token: 1 to 64 of `[A-Za-z0-9_-]`.
fn check_token(field: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { field });
    }
    if text.len() > TOKEN_BYTES_MAX {
        return Err(NameError::TooLong {
            field,
            bytes: text.len(),
            max: TOKEN_BYTES_MAX,
        });
    }
    match text.chars().find(|c| !is_token_char(*c)) {
        Some(found) => Err(NameError::Character { field, found }),
        None => Ok(()),
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// A token that does not start with the reserved `_`.
fn check_plain_token(field: &'static str, text: &str) -> Result<(), NameError> {
    check_token(field, text)?;
    if text.starts_with('_') {
        return Err(NameError::Reserved { field });
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $field:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        // Shared: an event's names are cloned with each of its effects.
        pub struct $type(Arc<str>);

        impl $type {
            /// Reads and checks the text.
            ///
            /// # Errors
            /// [`NameError`] names the field and what is wrong with it.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let check: fn(&'static str, &str) -> Result<(), NameError> = $check;
                check($field, text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

name_type! {
    /// The isolation boundary; comes from the token, never from a frame. One token.
    Tenant, "tenant", check_plain_token
}
name_type! {
    /// The name of a store, one pair of streams in one region. One token.
    StoreName, "store", check_plain_token
}
name_type! {
    /// First token of a channel; carries configuration.
    Namespace, "namespace", check_plain_token
}
name_type! {
    /// The name of a function. One token.
    FunctionName, "function", check_plain_token
}
name_type! {
    /// Random per writer (a tab, a process), never shared. One token.
    ClientId, "client", check_token
}
name_type! {
    /// An authenticated user: any text of 1 to 128 bytes without control characters.
    User, "user", check_user
}
name_type! {
    /// A channel: 1 to 16 tokens joined by `.`, at most 200 bytes. May hold
    /// reserved tokens: text from a client goes through [`Channel::for_client`].
    Channel, "channel", check_channel
}
name_type! {
    /// A channel pattern with NATS wildcards: `*` for one token, a last `>` for
    /// one or more.
    ChannelPattern, "pattern", check_pattern
}

fn check_user(field: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { field });
    }
    if text.len() > USER_BYTES_MAX {
        return Err(NameError::TooLong {
            field,
            bytes: text.len(),
            max: USER_BYTES_MAX,
        });
    }
    match text.chars().find(|c| c.is_control()) {
        Some(found) => Err(NameError::Character { field, found }),
        None => Ok(()),
    }
}

fn check_shape(field: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { field });
    }
    if text.len() > CHANNEL_BYTES_MAX {
        return Err(NameError::TooLong {
            field,
            bytes: text.len(),
            max: CHANNEL_BYTES_MAX,
        });
    }
    let tokens = text.split('.').count();
    if tokens > CHANNEL_TOKENS_MAX {
        return Err(NameError::TooManyTokens { field, tokens });
    }
    Ok(())
}

fn check_channel(field: &'static str, text: &str) -> Result<(), NameError> {
    check_shape(field, text)?;
    text.split('.')
        .try_for_each(|token| check_token(field, token))
}

fn check_pattern(field: &'static str, text: &str) -> Result<(), NameError> {
    check_shape(field, text)?;
    let last = text.split('.').count() - 1;
    text.split('.')
        .enumerate()
        .try_for_each(|(at, token)| match token {
            "*" => Ok(()),
            ">" if at == last => Ok(()),
            _ => check_token(field, token),
        })
}

/// Tokens of a channel that tells of a writer: the reserved word, namespace, user, client.
const SESSION_TOKENS: usize = 4;
/// What the names of writers begin with that stand for an idempotency key.
const KEY_PREFIX: &str = "_key-";

impl ClientId {
    /// Reads the name that a client gives its writer: not a reserved one.
    ///
    /// # Errors
    /// [`NameError`] names what is wrong.
    pub fn for_client(text: &str) -> Result<Self, NameError> {
        check_plain_token("client", text)?;
        Self::parse(text)
    }

    /// The writer that an idempotency key stands for: `_key-` and the 128-bit XXH3 of
    /// the key, 32 hexadecimal digits. No client can give its writer such a name, so
    /// what is published under a key never has the id of anything else; two keys share
    /// a writer only by a collision of that hash, within one user.
    pub fn of_key(key: &str) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_128(key.as_bytes());
        Self(format!("{KEY_PREFIX}{hash:032x}").into())
    }
}

impl Channel {
    /// Reads a channel named by a client for publishing: no reserved tokens.
    ///
    /// # Errors
    /// [`NameError`] names what is wrong.
    pub fn for_client(text: &str) -> Result<Self, NameError> {
        let channel = Self::parse(text)?;
        if text.split('.').any(|token| token.starts_with('_')) {
            return Err(NameError::Reserved { field: "channel" });
        }
        Ok(channel)
    }

    /// What this writer's outcome channels begin with: a point and a namespace follow.
    pub fn outcome_prefix(user: &User, client: &ClientId) -> String {
        format!("{OUTCOME_NAMESPACE}.{}.{client}", user.token())
    }

    /// The reserved channel on which this writer is told the outcomes of its events
    /// on channels of the same namespace as `of`.
    pub fn outcome(user: &User, client: &ClientId, of: &Self) -> Self {
        let prefix = Self::outcome_prefix(user, client);
        Self(format!("{prefix}.{}", of.namespace()).into())
    }

    /// The namespace whose outcomes this channel carries, if it is an outcome channel.
    pub fn outcomes_of(&self) -> Option<&str> {
        let mut tokens = self.0.split('.');
        let first = tokens.next();
        let (_user, _client, namespace) = (tokens.next()?, tokens.next()?, tokens.next()?);
        (first == Some(OUTCOME_NAMESPACE) && tokens.next().is_none()).then_some(namespace)
    }

    /// The reserved channel on which is told when this one is occupied or vacated; `None`:
    /// its name would be too long, or this one is reserved itself.
    pub fn lifecycle(&self) -> Option<Self> {
        if self.is_reserved() {
            return None;
        }
        Self::parse(&format!("{LIFECYCLE_NAMESPACE}.{}", self.0)).ok()
    }

    /// The reserved channel on which a namespace is told that this writer connects and
    /// disconnects; `None`: its name would be too long.
    pub fn session(namespace: &str, user: &User, client: &ClientId) -> Option<Self> {
        let user = user.token();
        Self::parse(&format!("{SESSION_NAMESPACE}.{namespace}.{user}.{client}")).ok()
    }

    /// Whether it tells that a writer connects and disconnects.
    pub fn is_session(&self) -> bool {
        self.namespace() == SESSION_NAMESPACE && self.0.split('.').count() == SESSION_TOKENS
    }

    /// The channel of which this one tells that it is occupied and vacated, if it does. Of one
    /// that tells that a writer connects and disconnects it is what stands behind the reserved
    /// word: by that it is allowed, and handled by functions.
    pub fn lifecycle_of(&self) -> Option<Self> {
        let of = match self.is_session() {
            true => self.0.strip_prefix(SESSION_NAMESPACE)?,
            false => self.0.strip_prefix(LIFECYCLE_NAMESPACE)?,
        };
        // The token of a user may begin like a reserved one, and is none.
        let of = of.strip_prefix('.')?;
        match self.is_session() {
            true => Self::parse(of)
                .ok()
                .filter(|of| !of.namespace().starts_with('_')),
            false => Self::for_client(of).ok(),
        }
    }

    /// Where an event stands that a redrive has stored again for one function: a channel of
    /// its own, so that it waits for nobody there, and nobody for it. The input that it
    /// was is named by its store's epoch and its sequence.
    ///
    /// # Panics
    /// If the epoch is none: it has letters and digits alone.
    pub fn redrive(function: &FunctionName, epoch: &str, seq: u64) -> Self {
        let text = format!("{REDRIVE_NAMESPACE}.{function}.{epoch}-{seq}");
        Self::parse(&text).expect("names, letters and digits make a channel")
    }

    /// The function that an event on this channel is for, if it is such a channel: it is
    /// that function's and no other's.
    pub fn redriven_for(&self) -> Option<&str> {
        let rest = self.0.strip_prefix(REDRIVE_NAMESPACE)?.strip_prefix('.')?;
        let (function, input) = rest.split_once('.')?;
        (!input.contains('.')).then_some(function)
    }

    /// The first token, which names the namespace (or a reserved word).
    pub fn namespace(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// Whether any token is reserved for the system.
    pub fn is_reserved(&self) -> bool {
        self.0.split('.').any(|token| token.starts_with('_'))
    }

    /// Whether this is an outcome channel that belongs to `user`.
    pub fn is_outcome_of(&self, user: &User) -> bool {
        self.outcomes_of().is_some() && self.0.split('.').nth(1) == Some(&user.token())
    }
}

impl ChannelPattern {
    /// Whether the pattern covers the channel. Wildcards never cover reserved
    /// tokens: what the system reserves is granted by rule, not by pattern. A pattern that
    /// begins with `_lifecycle` or `_session` itself covers those channels, and no others.
    pub fn matches(&self, channel: &Channel) -> bool {
        if channel.is_reserved() {
            let word = channel.namespace();
            let rest = self.0.strip_prefix(word);
            let rest = rest.and_then(|rest| Self::parse(rest.strip_prefix('.')?).ok());
            let of = rest.zip(channel.lifecycle_of());
            return of.is_some_and(|(rest, of)| rest.covers(&of));
        }
        self.covers(channel)
    }

    fn covers(&self, channel: &Channel) -> bool {
        let mut tokens = channel.0.split('.');
        for part in self.0.split('.') {
            match (part, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (part, Some(token)) if part == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

impl ChannelPattern {
    /// Whether some channel is covered by both patterns.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
                _ => return false,
            }
        }
    }

    /// The namespace whose channels it covers; `None` if those of several.
    pub fn namespace(&self) -> Option<Namespace> {
        Namespace::parse(self.0.split('.').next().unwrap_or_default()).ok()
    }
}

impl User {
    /// The user as one channel token: letters, digits and `-` stay, every other
    /// byte becomes `_` and two hexadecimal digits; a result longer than
    /// [`USER_TOKEN_BYTES_MAX`] becomes `_h` and the 128-bit XXH3 of the id. Two users never share a token
    /// but for a collision of that hash.
    pub fn token(&self) -> String {
        let mut token = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => token.push(byte as char),
                _ => token.push_str(&format!("_{byte:02x}")),
            }
        }
        if token.len() > USER_TOKEN_BYTES_MAX {
            token = format!("_h{:032x}", xxhash_rust::xxh3::xxh3_128(self.0.as_bytes()));
        }
        token
    }
}

#[cfg(test)]
mod tests;
