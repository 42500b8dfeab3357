//! A subscription's place on its channel: it makes its session a member, and may have it
//! told who else is there.
//!
//! Owns the membership: dropped, the member leaves.

use std::sync::Arc;
use std::time::Duration;

use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Member, Presence};
use tokio::time::timeout;

use super::hall::{Hall, Watcher};
use super::presences::Presences;
use super::watch;
use crate::core::directory::Place;
use crate::core::feed::relay::{FeedKey, Subscriber};
use presence::roster::who;

/// How long a channel may take until it is followed.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// Who sits down, and whether it watches. Plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seating {
    /// The member.
    pub member: Member,
    /// Up to how many members are named.
    pub list_max: u32,
    /// Whether it is told who comes and goes.
    pub watch: bool,
}

/// A subscription's place on a channel.
pub struct Seat {
    presences: Arc<Presences>,
    hall: Arc<Hall>,
    subscriber: Subscriber,
    seating: Seating,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (key, seating) = (&self.hall.key, &self.seating);
        f.debug_tuple("Seat").field(key).field(seating).finish()
    }
}

impl Seat {
    /// Takes a seat; nobody is a member by that yet.
    ///
    /// # Errors
    /// [`ErrorCode::TooManyWatched`]: as many channels are watched as may be.
    pub(super) fn take(
        presences: &Arc<Presences>,
        key: FeedKey,
        place: &Place,
        subscriber: Subscriber,
        seating: Seating,
    ) -> Result<Self, ErrorBody> {
        let hall = presences.enter(key, place, seating.list_max);
        let mut seat = Self {
            presences: presences.clone(),
            hall,
            subscriber,
            seating,
        };
        if seat.seating.watch && !seat.follow() {
            // Dropped, it must not give back what it has not got.
            seat.seating.watch = false;
            let message = "the node watches as many channels for presence as it may";
            return Err(ErrorBody::new(ErrorCode::TooManyWatched, message));
        }
        Ok(seat)
    }

    /// Lets the channel be followed from now on; false if there is no room.
    fn follow(&self) -> bool {
        let (presences, hall) = (&self.presences, &self.hall);
        hall.look(|inside| {
            if inside.watching == 0 {
                if !presences.watch_place() {
                    return false;
                }
                let follow = watch::run(presences.clone(), hall.clone());
                inside.follower = Some(presences.tasks.spawn(follow).abort_handle());
            }
            inside.watching += 1;
            true
        })
    }

    /// Whether it watches.
    pub fn watches(&self) -> bool {
        self.seating.watch
    }

    /// Waits until it is known who is there, if that is to be told. Cancel safe.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`]: it is not known in time.
    pub async fn ready(&self) -> Result<(), ErrorBody> {
        if !self.seating.watch {
            return Ok(());
        }
        let mut ready = self.hall.ready.subscribe();
        let known = timeout(READY_TIMEOUT, ready.wait_for(|ready| *ready)).await;
        match known {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let message = "who is on the channel is not known now";
                Err(ErrorBody::new(ErrorCode::Unavailable, message))
            }
        }
    }

    /// Becomes a member, if the subscription stands: `open` answers its command, with what
    /// it is told first, and says so. Nothing is told to it before, and nothing missed
    /// after.
    pub fn enter(&self, open: impl FnOnce(Option<Presence>) -> bool) -> bool {
        let (seating, id) = (&self.seating, self.subscriber.id);
        let living = self.presences.living();
        self.presences.turn(&self.hall, |inside| {
            let stands = if seating.watch {
                let watcher = Watcher {
                    id,
                    port: self.subscriber.port.clone(),
                    encoding: self.subscriber.encoding,
                    behind: false,
                };
                inside.admit(watcher, &living, open)
            } else {
                open(None)
            };
            if stands {
                inside.room.join(id, &seating.member);
            }
            stands
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (seating, id) = (&self.seating, self.subscriber.id);
        let unwatched = self.presences.turn(&self.hall, |inside| {
            inside.room.leave(id, &who(&seating.member));
            inside.watchers.retain(|watcher| watcher.id != id);
            inside.seats -= 1;
            inside.watching -= usize::from(seating.watch);
            let unwatched = seating.watch && inside.watching == 0;
            if unwatched {
                if let Some(follower) = inside.follower.take() {
                    follower.abort();
                }
                inside.room.unwatch();
                self.hall.ready.send_replace(false);
            }
            unwatched
        });
        if unwatched {
            self.presences.watch_place_back();
        }
        self.presences.tidy(&self.hall);
    }
}
