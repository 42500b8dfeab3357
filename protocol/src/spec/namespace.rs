//! Namespaces: where the events of some channels are stored, what they pass, and how they
//! may be delivered.

use serde::{Deserialize, Serialize};

use super::{PresenceSpec, SpecError, Written, check};
use crate::class::{Class, Classes};
use crate::header;
use crate::name::{FunctionName, Namespace, StoreName};

/// Longest delay of deliveries that a namespace may state, milliseconds: longer, and events
/// are not live any more.
pub const BATCH_MS_MAX: u32 = 1_000;

const fn is_zero(ms: &u32) -> bool {
    *ms == 0
}

/// A namespace. Key `namespace.{name}` in `CONFIG`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceSpec {
    /// Its name: the first token of its channels.
    pub name: Namespace,
    /// The store that its channels live in.
    pub store: StoreName,
    /// What an event passes on its way.
    pub path: Path,
    /// How its events may be delivered.
    #[serde(default, skip_serializing_if = "Classes::is_default")]
    pub classes: Classes,
    /// The header that holds an ephemeral event's key: of those with one key that wait for a
    /// client, the newest alone stays. `None`: each is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflate: Option<String>,
    /// How long an edge node waits for more events of a channel before it delivers those
    /// that it has, milliseconds: fewer and longer messages. 0: not at all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub batch_ms: u32,
    /// Most bytes that one tenant may have stored in it; `None`: as many as its share of the
    /// store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Whether its channels tell who is on them, and up to how many; `None`: they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<PresenceSpec>,
    /// Who wrote this, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

/// What an event passes on its way. Fixed when a namespace is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// Straight into EVENTS.
    Direct,
    /// Into INGRESS, through this gate, into EVENTS.
    Function(FunctionName),
}

impl NamespaceSpec {
    /// The function that its events pass first.
    pub fn gate(&self) -> Option<&FunctionName> {
        match &self.path {
            Path::Direct => None,
            Path::Function(gate) => Some(gate),
        }
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// [`SpecError`] names the field.
    pub fn check(&self) -> Result<(), SpecError> {
        check(self.batch_ms <= BATCH_MS_MAX, "batch_ms", || {
            format!("{} is more than {BATCH_MS_MAX}", self.batch_ms)
        })?;
        self.presence.map_or(Ok(()), PresenceSpec::check)?;
        let Some(header) = &self.conflate else {
            return Ok(());
        };
        check(header::is_user_name(header), "conflate", || {
            format!("{header:?} is no name of a header")
        })?;
        check(self.allows(Class::Ephemeral), "conflate", || {
            "only ephemeral events are conflated: what is stored is delivered completely".into()
        })
    }

    /// Whether events of a class may be published to it.
    pub fn allows(&self, class: Class) -> bool {
        self.classes.allows(class)
    }
}
