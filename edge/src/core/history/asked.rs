//! A page that passed every check, ready to be read. Plain data.

use protocol::bus::Stored;
use protocol::filter::HeaderFilter;
use protocol::frame::Mark;
use protocol::name::{Channel, Tenant};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use crate::core::directory::Place;
use crate::core::feed::repair::Source;

/// A page that is to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The tenant.
    pub tenant: Tenant,
    /// The channel.
    pub channel: Channel,
    /// Where the channel lives.
    pub place: Place,
    /// Where to start.
    pub from: Mark,
    /// Towards the beginning.
    pub backwards: bool,
    /// Most events that are looked at, at least 1.
    pub limit: usize,
    /// Those of them that the page holds; all if `None`.
    pub filter: Option<HeaderFilter>,
}

impl Asked {
    /// Whether the page holds an event that it looks at.
    pub(super) fn wants(&self, event: &Stored) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| filter.matches(&event.headers))
    }

    /// Where the channel's events are.
    pub(super) fn source(&self) -> Source {
        let Place { store, lane, .. } = &self.place;
        Source {
            channel: self.channel.as_str().into(),
            stream: StreamName::events(store),
            subject: Subject::event(Kind::Ev, store, *lane, &self.tenant, &self.channel),
        }
    }
}
