//! What a subscriber wants of a channel's events. Plain data.

use std::sync::Arc;

use protocol::filter::HeaderFilter;

/// What a subscriber wants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wants {
    /// The writer whose ephemeral events it does not want: its own.
    pub own: Option<Arc<str>>,
    /// It counts what it is sent, one by one.
    pub counted: bool,
    /// The events that it wants; all of them if `None`.
    pub filter: Option<Arc<HeaderFilter>>,
}
