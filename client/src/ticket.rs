//! A text with which a client comes back in one round trip. Owns the last one, and whether
//! another is wanted; what it means only nodes know.

use std::collections::HashMap;

use protocol::frame::{Resume, Ticket};

use super::channel::Channel;

/// A ticket, and whether another one is wanted.
pub(super) struct Held {
    /// Nodes may give some.
    pub on: bool,
    pub ticket: Option<Box<Ticket>>,
    /// What it would say has changed since one was asked for.
    pub due: bool,
    /// One was asked for, and has not come.
    pub asked: bool,
}

impl Held {
    pub fn new(on: bool) -> Self {
        Self {
            on,
            ticket: None,
            due: true,
            asked: false,
        }
    }

    /// What the next connection begins with.
    pub fn resume(&self, channels: &HashMap<String, Channel>) -> Option<Resume> {
        let held = self.ticket.as_deref()?;
        let stands_at = |name: &String| channels.get(name).and_then(Channel::stands_at);
        Some(Resume {
            ticket: held.ticket.clone(),
            after: held.channels.iter().map(stands_at).collect(),
        })
    }

    /// What is received, or who it is, is not as the ticket says any more.
    pub fn changed(&mut self) {
        (self.ticket, self.due) = (None, true);
    }

    /// The connection is gone, and the answer with it.
    pub fn lost(&mut self) {
        self.due |= std::mem::take(&mut self.asked);
    }
}
