//! One process's connection as the network sees it. Pure; owns what is under way and
//! could not get through.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::request::{Answer, Request};
use protocol::bus::Republished;
use protocol::header::Headers;

/// A message for a core subscription.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub subject: String,
    pub headers: Headers,
    pub payload: Bytes,
    pub republished: Option<Republished>,
}

/// What travels between a process and the server.
#[derive(Debug)]
pub(super) enum Travel {
    /// To the server; an answer is wanted where there is a ticket.
    Request {
        ticket: Option<u64>,
        request: Request,
        reply_lost: bool,
    },
    /// Back.
    Answer { ticket: u64, answer: Answer },
    /// Back, unasked.
    Delivery {
        subscription: u64,
        delivery: Delivery,
    },
}

impl Travel {
    fn outward(&self) -> bool {
        matches!(self, Self::Request { .. })
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub name: String,
    /// What the process believes.
    pub up: bool,
    /// Whether nothing gets through.
    pub cut: bool,
    /// How often it was cut off.
    pub cuts: u64,
    /// How often the process was connected.
    pub connects: u64,
    /// Counts breaks: what was under way in an older epoch is lost.
    pub epoch: u64,
    /// What waits for a cut to heal.
    pub held: Vec<Travel>,
    /// Core subscriptions and their filters.
    pub subscriptions: BTreeMap<u64, String>,
    /// When the last thing under way arrives, each way: nothing overtakes.
    arrivals: [u64; 2],
}

impl Link {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            up: true,
            cut: false,
            cuts: 0,
            connects: 1,
            epoch: 0,
            held: Vec::new(),
            subscriptions: BTreeMap::new(),
            arrivals: [0; 2],
        }
    }

    /// When something arrives that would by itself arrive then.
    pub(super) fn arrival(&mut self, travel: &Travel, due: u64) -> u64 {
        let last = &mut self.arrivals[usize::from(travel.outward())];
        *last = due.max(*last);
        *last
    }

    /// The connection is gone, with all that was under way.
    pub(super) fn fall(&mut self) {
        self.up = false;
        self.epoch += 1;
        self.held.clear();
        self.arrivals = [0; 2];
    }

    /// The connection stands again.
    pub(super) fn rise(&mut self) {
        self.up = true;
        self.connects += 1;
    }
}
