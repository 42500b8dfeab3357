//! Whether a namespace tells who is on its channels, and up to how many.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{SpecError, check};

/// Members of a channel that are named unless configured otherwise: what people can look
/// at, and a snapshot of some 25 KB.
pub const PRESENCE_LIST_DEFAULT: u32 = 200;
/// Most members that may be named: a snapshot is one frame, and a node's part of it one
/// message of NATS.
pub const PRESENCE_LIST_MAX: u32 = 1_000;

const WORD_ON: &str = "on";
const WORD_OFF: &str = "off";
const WITH_LIFECYCLE: &str = ",lifecycle";
const WITH_SESSIONS: &str = ",sessions";

/// Presence of a namespace that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresenceSpec {
    /// Members of a channel up to which each is named; beyond, they are counted alone. 0:
    /// they are only counted.
    #[serde(default = "list_max")]
    pub list_max: u32,
    /// Whether it is told as an event when a channel is occupied and vacated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lifecycle: bool,
    /// Whether it is told as an event when a writer of the tenant connects and disconnects.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sessions: bool,
}

const fn list_max() -> u32 {
    PRESENCE_LIST_DEFAULT
}

impl Default for PresenceSpec {
    fn default() -> Self {
        Self {
            list_max: PRESENCE_LIST_DEFAULT,
            lifecycle: false,
            sessions: false,
        }
    }
}

impl PresenceSpec {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// [`SpecError`] names the field.
    pub(super) fn check(self) -> Result<(), SpecError> {
        check(self.list_max <= PRESENCE_LIST_MAX, "presence", || {
            format!(
                "names {} members of a channel, more than {PRESENCE_LIST_MAX}",
                self.list_max
            )
        })
    }
}

/// What somebody wants of a namespace's presence: `off`, `on`, or how many members are
/// named; with `,lifecycle` behind it, occupied and vacated channels are events too, and with
/// `,sessions` behind that, writers that connect and disconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PresenceSetting {
    /// There is none.
    Off,
    /// There is.
    On(PresenceSpec),
}

impl PresenceSetting {
    /// As a spec has it.
    pub const fn spec(self) -> Option<PresenceSpec> {
        match self {
            Self::Off => None,
            Self::On(spec) => Some(spec),
        }
    }
}

/// The word says nothing about presence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{word:?} is neither on, nor off, nor a number of members up to which each is named, and ,lifecycle or ,sessions behind it"
)]
pub struct PresenceError {
    word: String,
}

impl FromStr for PresenceSetting {
    type Err = PresenceError;

    fn from_str(word: &str) -> Result<Self, PresenceError> {
        let with = |word: &str, suffix| match word.strip_suffix(suffix) {
            Some(rest) => (rest.len(), true),
            None => (word.len(), false),
        };
        let (end, sessions) = with(word, WITH_SESSIONS);
        let (end, lifecycle) = with(&word[..end], WITH_LIFECYCLE);
        let named = &word[..end];
        let list_max = match named {
            WORD_OFF if !lifecycle && !sessions => return Ok(Self::Off),
            WORD_ON => Some(PRESENCE_LIST_DEFAULT),
            number => number.parse().ok(),
        };
        let spec = list_max.map(|list_max| PresenceSpec {
            list_max,
            lifecycle,
            sessions,
        });
        spec.map(Self::On)
            .ok_or_else(|| PresenceError { word: word.into() })
    }
}

impl TryFrom<String> for PresenceSetting {
    type Error = PresenceError;

    fn try_from(word: String) -> Result<Self, PresenceError> {
        word.parse()
    }
}

impl From<PresenceSetting> for String {
    fn from(setting: PresenceSetting) -> Self {
        match setting {
            PresenceSetting::Off => WORD_OFF.into(),
            PresenceSetting::On(spec) => {
                let lifecycle = if spec.lifecycle { WITH_LIFECYCLE } else { "" };
                let sessions = if spec.sessions { WITH_SESSIONS } else { "" };
                format!("{}{lifecycle}{sessions}", spec.list_max)
            }
        }
    }
}

impl fmt::Display for PresenceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list_max {
            0 => f.write_str("counts alone")?,
            named => write!(f, "up to {named} are named")?,
        }
        if self.lifecycle {
            f.write_str(", with lifecycle")?;
        }
        if self.sessions {
            f.write_str(", with sessions")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_are_named_within_and_beyond_their_limit() {
        let spec = |list_max| PresenceSpec {
            list_max,
            ..PresenceSpec::default()
        };
        assert_eq!(spec(0).check(), Ok(()));
        assert_eq!(spec(PRESENCE_LIST_MAX).check(), Ok(()));
        let error = spec(PRESENCE_LIST_MAX + 1).check().unwrap_err();
        assert_eq!(error.field, "presence");
        assert_eq!(
            serde_json::from_str::<PresenceSpec>("{}").unwrap(),
            PresenceSpec::default()
        );
        assert!(serde_json::from_str::<PresenceSpec>(r#"{"list":1}"#).is_err());
    }

    #[test]
    fn a_setting_is_a_word_or_a_number() {
        let read = |word: &str| word.parse::<PresenceSetting>().map(PresenceSetting::spec);
        assert_eq!(read("off"), Ok(None));
        assert_eq!(read("on"), Ok(Some(PresenceSpec::default())));
        let seven = |lifecycle| PresenceSpec {
            list_max: 7,
            lifecycle,
            sessions: false,
        };
        assert_eq!(read("7"), Ok(Some(seven(false))));
        assert_eq!(read("7,lifecycle"), Ok(Some(seven(true))));
        let written = String::from(PresenceSetting::On(seven(true)));
        assert_eq!(read(&written), Ok(Some(seven(true))));
        let both = PresenceSpec {
            sessions: true,
            ..seven(true)
        };
        assert_eq!(read("7,lifecycle,sessions"), Ok(Some(both)));
        let written = String::from(PresenceSetting::On(both));
        assert_eq!(written, "7,lifecycle,sessions");
        let alone = read("on,sessions").unwrap().unwrap();
        assert!(alone.sessions && !alone.lifecycle);
        for word in [
            "",
            "off,sessions",
            "on,sessions,lifecycle",
            "yes",
            "-1",
            "off,lifecycle",
            ",lifecycle",
        ] {
            assert!(read(word).is_err(), "{word}");
        }
    }
}
