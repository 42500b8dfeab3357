//! JetStream in memory, for simulations: nats-server's rules as a state machine, a
//! network that delays and loses by a seed, virtual time.
//!
//! Under a paused current-thread runtime a run is a function of its seed: every choice
//! comes from one source of chance, every delay from Tokio's clock.
//!
//! **What it models**: streams with limits retention (age; bytes with `discard: new`;
//! history of a subject), sequences by subject, the duplicate window, conditions on
//! the last sequence of subject and stream, atomic batches with their limits and
//! codes, republish with its facts, copies by `sources`, reads from the leader, from
//! one that was deposed, and from a follower that lags, consumers that are lost, core
//! subscriptions, buckets with revisions and time-to-live, objects; connections that
//! delay, lose and break, processes that are cut off, streams without a leader, a
//! server's clock that is set.
//!
//! **What it does not model**: a follower's disk, and so no write that was acknowledged
//! is ever lost; permissions; limits of an account; the moment of expiry (age takes an
//! event exactly when it is due, the server up to a second later); a condition on the
//! stream's last sequence inside a batch, which nobody uses and the model refuses; the
//! cost of anything; servers as such: a view of a stream is older, but it is never that of a
//! server which is gone. `sources` copy at once. The rules that it does model are held
//! against nats-server by one suite (`tests/tests/bus`).
//!
//! - `message`, `config`, `ids`, `batches`, `log`, `stream`, `server`, `reading`,
//!   `place`: the rules
//! - `views`: which server answers, and how far it has come
//! - `faults`, `link`, `network`, `carry_out`, `follow`: what happens between processes
//!   and server
//! - `shell`: time and tasks; `connection`, `batch`, `reader`: the calls of a backend

mod batch;
mod batches;
mod carry_out;
mod config;
mod connection;
mod faults;
mod follow;
mod ids;
mod link;
mod log;
mod message;
mod network;
mod pattern;
mod place;
mod reader;
mod reading;
mod request;
mod server;
mod shell;
mod stream;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::connection::{Connection, PendingAck, Subscription};
pub use self::faults::ModelFaults;
use self::message::{Message, batch_header_bytes};
use self::network::{Action, Network};
pub(crate) use self::reader::Reader;
use self::shell::Shared;
use self::stream::micros;
use crate::error::BusError;
use protocol::bus::{Outgoing, Stored};
use protocol::stream::StreamName;

/// What the server's clock shows when a model starts: 2026-01-01, microseconds since
/// 1970.
pub const CLOCK_START_US: u64 = 1_767_225_600_000_000;

/// A model: one server that several processes connect to. Clones are the same one.
#[derive(Clone)]
pub struct Model(Arc<Shared>);

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Model")
    }
}

impl Model {
    /// Starts a model, with nothing in it. Needs a Tokio runtime.
    pub fn start(faults: ModelFaults) -> Self {
        Self(Shared::start(Network::new(faults, CLOCK_START_US)))
    }

    /// Another process's connection.
    pub(crate) fn open(&self, name: &str) -> Connection {
        Connection::open(&self.0, name)
    }

    /// Changes what goes wrong from now on; the seed stays.
    pub fn set_faults(&self, faults: ModelFaults) {
        self.0.act(|world, _| world.network.faults = faults);
    }

    /// What the server's clock shows, microseconds since 1970.
    pub fn now_us(&self) -> u64 {
        self.0.act(|world, now| world.network.wall(now))
    }

    /// Sets the server's clock forward or back.
    pub fn step_clock(&self, by_us: i64) {
        self.0.act(|world, _| world.network.step_clock(by_us));
    }

    /// Cuts off every process of this name: nothing gets through either way. It is
    /// noticed after [`ModelFaults::cut_noticed`]; until then, what is sent waits.
    pub fn cut(&self, name: &str) {
        self.each_link(name, |network, now, link| network.cut(now, link));
    }

    /// Breaks the connections of every process of this name, which is noticed at once
    /// and lasts until [`Self::heal`].
    pub fn disconnect(&self, name: &str) {
        self.each_link(name, |network, _, link| network.break_link(link));
    }

    /// Ends a cut or a break.
    pub fn heal(&self, name: &str) {
        self.each_link(name, |network, now, link| network.heal(now, link));
    }

    fn each_link(&self, name: &str, change: impl Fn(&mut Network, u64, usize)) {
        self.0.act(|world, now| {
            let network = &mut world.network;
            for link in 0..network.links.len() {
                if network.links[link].name == name {
                    change(network, now, link);
                }
            }
        });
    }

    /// Takes a stream's leader away: open batches are given up, and for a while nobody
    /// leads.
    pub fn change_leader(&self, stream: &str, leaderless: Duration) {
        self.0.act(|world, now| {
            let until = now + micros(leaderless);
            world.network.depose(stream, until);
        });
    }

    /// From now on, for a while, a leader that stands still here answers reads beside
    /// the one that goes on.
    pub fn freeze_leader(&self, stream: &str, lasts: Duration) {
        self.0.act(|world, now| {
            let network = &mut world.network;
            let Some(machine) = network.server.streams.get(stream) else {
                return;
            };
            let last = machine.log.last_seq();
            let views = network.views.entry(stream.into()).or_default();
            views.freeze(now + micros(lasts), last);
        });
    }

    /// Loses every consumer of a stream.
    pub fn cut_readers(&self, stream: &str) {
        self.0.act(|world, _| {
            let views = world.network.views.entry(stream.into()).or_default();
            views.consumers += 1;
            let stored = Action::Stored(stream.into());
            world.network.actions.push_back(stored);
        });
    }

    /// Removes a stream and all that is in it.
    pub fn delete_stream(&self, stream: &str) {
        self.0.act(|world, _| {
            world.network.server.streams.remove(stream);
            world.network.views.remove(stream);
            let stored = Action::Stored(stream.into());
            world.network.actions.push_back(stored);
        });
    }

    /// Opens a batch with one event and leaves it there, as a process does that dies
    /// in the middle of one.
    ///
    /// # Errors
    /// Those of the stream: [`BusError::BatchBusy`], [`BusError::NoStream`].
    pub fn leave_batch(&self, event: Outgoing) -> Result<(), BusError> {
        let message = Message::new(event, batch_header_bytes(1, false))?;
        self.0.act(|world, now| {
            let network = &mut world.network;
            let (wall, id) = (network.wall(now), network.dice.id());
            let stream = network.server.stream_of(&message.subject);
            let stream = stream.ok_or(BusError::NoStream)?.to_owned();
            let stream = network.server.stream(&stream, wall)?;
            stream.stage(id, 1, message, wall)
        })
    }

    /// How often each fault has happened so far, by the name of its chance in
    /// [`ModelFaults`].
    pub fn happened(&self) -> BTreeMap<&'static str, u64> {
        self.0.act(|world, _| world.network.dice.happened.clone())
    }

    /// Everything that a stream holds now, whatever the network does: for those who
    /// check.
    pub fn events(&self, stream: &StreamName) -> Vec<Stored> {
        self.0.act(|world, now| {
            let wall = world.network.wall(now);
            let stream = world.network.server.stream(stream.as_str(), wall);
            stream.map_or(Vec::new(), |stream| stream.log.all())
        })
    }
}
