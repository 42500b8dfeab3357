//! Who is on a channel: members that come and go, told by name or counted, over all nodes.
//!
//! Each node writes its own members of a channel as one entry of the bucket `PRESENCE`,
//! and a sign of life; who watches a channel follows the entries of all nodes there. See
//! the decisions in ARCHITECTURE.md.
//!
//! - the crate `presence`: one channel and the nodes, as machines; what is due when
//! - `hall`, `presences`: channels with their watchers, the map
//! - `seat`: a subscription's place; `look`: one look
//! - `lifecycle`: tells when a channel is occupied and vacated, as events
//! - `watch`, `writer`, `compare`, `life`, `settings`: the tasks
//!
//! Knows no transport and no session: it is told who comes, and tells ports.

mod compare;
mod hall;
mod life;
mod lifecycle;
pub mod look;
mod presences;
pub mod seat;
mod settings;
mod watch;
mod writer;

use std::sync::Arc;

use bus::Bus;
use protocol::frame::{ErrorBody, Member, Presence as Present};
use service::shutdown::Shutdown;
use tokio_util::task::TaskTracker;

use self::look::AskedPresence;
use self::presences::{Presences, WATCHED_MAX};
use self::seat::{Seat, Seating};
use super::directory::Place;
use super::feed::relay::{FeedKey, Subscriber};
use super::namespaces::Namespaces;
use super::sessions::Sessions;

/// Presence on one node; clones share it.
#[derive(Clone)]
pub struct Presence(Arc<Presences>);

impl Presence {
    /// Starts over a bus; `called` is the node's name for people. `stop` ends what was
    /// started, all of it among `tasks`.
    pub fn start(
        (bus, called): (Bus, &str),
        namespaces: Arc<Namespaces>,
        sessions: Arc<Sessions>,
        stop: &Shutdown,
        tasks: &TaskTracker,
    ) -> Self {
        let over = (bus, namespaces.clone());
        let presences = Presences::new(over, WATCHED_MAX, tasks.clone());
        Self::run(presences, called, (namespaces, sessions), stop, tasks)
    }

    fn run(
        presences: Arc<Presences>,
        called: &str,
        (namespaces, sessions): (Arc<Namespaces>, Arc<Sessions>),
        stop: &Shutdown,
        tasks: &TaskTracker,
    ) -> Self {
        let (all, stop) = (presences.clone(), stop.clone());
        tasks.spawn(life::run(all.clone(), called.to_owned(), stop.clone()));
        tasks.spawn(writer::run(all.clone(), stop.clone()));
        tasks.spawn(compare::run(all.clone(), stop.clone()));
        tasks.spawn(settings::run(all, namespaces, sessions, stop));
        Self(presences)
    }

    /// A subscription's seat; nobody is a member by that yet.
    ///
    /// # Errors
    /// [`protocol::error_code::ErrorCode::TooManyWatched`].
    pub fn seat(
        &self,
        key: FeedKey,
        place: &Place,
        subscriber: Subscriber,
        seating: Seating,
    ) -> Result<Seat, ErrorBody> {
        Seat::take(&self.0, key, place, subscriber, seating)
    }

    /// A writer's own seat, by which the namespaces that ask for it are told that it connects
    /// and disconnects; held for as long as its session lasts. It is told of as fast as
    /// `TOLD_PER_SECOND` allows, and not at all if it is gone before.
    pub fn writer(
        &self,
        key: FeedKey,
        place: &Place,
        subscriber: Subscriber,
        member: Member,
    ) -> Option<Arc<Seat>> {
        let seating = Seating {
            member,
            list_max: 1,
            watch: false,
        };
        // Without a watch there is always room.
        let seat = Arc::new(self.seat(key, place, subscriber, seating).ok()?);
        let (presences, waiting) = (self.0.clone(), Arc::downgrade(&seat));
        if presences.may_tell().is_none() {
            seat.enter(|_| true);
            return Some(seat);
        }
        self.0.tasks.spawn(async move {
            while let Some(wait) = presences.may_tell() {
                tokio::time::sleep(wait).await;
                if waiting.strong_count() == 0 {
                    return;
                }
            }
            if let Some(seat) = waiting.upgrade() {
                seat.enter(|_| true);
            }
        });
        Some(seat)
    }

    /// One look at who is on a channel. Cancel safe.
    ///
    /// # Errors
    /// [`protocol::error_code::ErrorCode::Unavailable`].
    pub async fn look(&self, asked: &AskedPresence) -> Result<Present, ErrorBody> {
        look::look(&self.0, asked).await
    }
}

#[cfg(test)]
mod tests;
