//! One channel's presence on this node: its machine and its watchers, under one lock that
//! is never held across a wait.
//!
//! Owns both. What the machine wants written goes on the agenda, what it has to tell into
//! the outboxes of the watchers. A watcher whose outbox is full is told nothing until it
//! has room, and then everything anew: so nobody who reads nothing costs memory, and
//! nobody's view stays wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::frame::{Encoding, Presence, Push, encode};
use protocol::name::StoreName;
use protocol::presence::Part;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::core::feed::relay::FeedKey;
use crate::core::metrics::meters;
use crate::core::port::{Port, Sent};
use presence::agenda::Agenda;
use presence::room::{Act, Living, Room};
use presence::told::COUNT_PACE;

/// What the writer does for a channel.
#[derive(Debug)]
pub enum Job {
    /// Writes this node's part.
    Write(Part),
    /// Removes it.
    Remove,
}

/// What is due, and what is to be written.
pub type Halls = Agenda<Arc<Hall>, Job>;

/// A subscription that is told who is there.
#[derive(Debug)]
pub struct Watcher {
    /// The subscription.
    pub id: u64,
    /// Where its frames go.
    pub port: Arc<Port>,
    /// How they are encoded.
    pub encoding: Encoding,
    /// It has missed something.
    pub behind: bool,
}

/// What is behind the lock.
#[derive(Debug)]
pub struct Inside {
    /// The machine.
    pub room: Room,
    /// Who is told.
    pub watchers: Vec<Watcher>,
    /// Subscriptions that keep this; each may be a member.
    pub seats: usize,
    /// Those among them that watch, or are about to.
    pub watching: usize,
    /// Follows the channel while somebody watches.
    pub follower: Option<AbortHandle>,
    /// Parts of nodes that are not known to live, as the last read found them.
    pub strays: BTreeMap<String, u64>,
    /// When it is due.
    scheduled: Option<Instant>,
    /// When watchers that are behind are tried again.
    again: Option<Instant>,
}

/// One channel's presence on this node.
#[derive(Debug)]
pub struct Hall {
    /// Tenant and channel.
    pub key: FeedKey,
    /// Where the channel lives.
    pub store: StoreName,
    number: u64,
    inside: Mutex<Inside>,
    /// The channel is followed, and was read since.
    pub ready: watch::Sender<bool>,
    /// The channel should be read again.
    pub wish: Notify,
    /// It has been told that the channel is occupied, as this node's part says.
    pub told: AtomicBool,
}

impl Hall {
    /// A channel on which nobody is yet; `number` is its own.
    pub fn new(key: FeedKey, store: StoreName, list_max: u32, number: u64) -> Self {
        let room = Room::new(key.channel.as_str(), list_max);
        let inside = Inside {
            room,
            watchers: Vec::new(),
            seats: 0,
            watching: 0,
            follower: None,
            strays: BTreeMap::new(),
            scheduled: None,
            again: None,
        };
        Self {
            key,
            store,
            number,
            inside: Mutex::new(inside),
            ready: watch::channel(false).0,
            wish: Notify::new(),
            told: AtomicBool::new(false),
        }
    }

    /// Looks inside.
    pub fn look<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.inside.lock())
    }

    /// Changes something, and does what follows from it.
    pub fn turn<T>(
        self: &Arc<Self>,
        halls: &Halls,
        living: &Living,
        change: impl FnOnce(&mut Inside) -> T,
    ) -> T {
        let now = Instant::now();
        let mut inside = self.inside.lock();
        let changed = change(&mut inside);
        for act in inside.room.poll(living, now) {
            match act {
                Act::Write(part) => halls.add(self.clone(), Job::Write(part)),
                Act::Remove => halls.add(self.clone(), Job::Remove),
                Act::Tell(pushes) => inside.tell(&pushes),
                Act::Read => self.wish.notify_one(),
            }
        }
        inside.catch_up(now);
        let due = [inside.room.due(living, now), inside.again];
        let due = due.into_iter().flatten().min();
        let before = std::mem::replace(&mut inside.scheduled, due);
        if before.is_some() || due.is_some() {
            halls.plan(self.number, before, due.map(|at| (at, self.clone())));
        }
        changed
    }
}

/// Frames in both encodings, each made when it is needed.
#[derive(Default)]
struct Frames {
    json: Option<Vec<Bytes>>,
    msgpack: Option<Vec<Bytes>>,
}

impl Frames {
    fn of(&mut self, encoding: Encoding, pushes: &[Push]) -> &[Bytes] {
        let slot = match encoding {
            Encoding::Json => &mut self.json,
            Encoding::Msgpack => &mut self.msgpack,
        };
        slot.get_or_insert_with(|| pushes.iter().map(|push| encode(encoding, push)).collect())
    }
}

impl Watcher {
    /// Puts frames into its outbox; one that is full leaves it behind.
    fn tell(&mut self, frames: &[Bytes]) {
        for frame in frames {
            if self.port.try_send_for(self.id, frame.clone()) == Sent::Full {
                meters().presence_behind.increment(1);
                self.behind = true;
                return;
            }
        }
        meters().presence_told.increment(frames.len() as u64);
    }
}

impl Inside {
    fn tell(&mut self, pushes: &[Push]) {
        let mut frames = Frames::default();
        for watcher in self.watchers.iter_mut().filter(|watcher| !watcher.behind) {
            watcher.tell(frames.of(watcher.encoding, pushes));
        }
    }

    /// Tells everything anew to those that have missed something and have room now.
    fn catch_up(&mut self, now: Instant) {
        let behind = self.watchers.iter().any(|watcher| watcher.behind);
        if !behind {
            self.again = None;
            return;
        }
        if self.again.is_some_and(|at| now < at) {
            return;
        }
        // Told that it is behind just now, it has no room yet.
        if self.again.is_some() {
            let all = [Push::Presence(self.room.watched())];
            let mut frames = Frames::default();
            for watcher in self.watchers.iter_mut().filter(|watcher| watcher.behind) {
                watcher.behind = false;
                watcher.tell(frames.of(watcher.encoding, &all));
            }
        }
        let behind = self.watchers.iter().any(|watcher| watcher.behind);
        self.again = behind.then(|| now + COUNT_PACE);
    }

    /// A subscription is told from now on; what it is told first. Its answer is queued by
    /// `open`, which says whether it stands.
    pub fn admit(
        &mut self,
        watcher: Watcher,
        living: &Living,
        open: impl FnOnce(Option<Presence>) -> bool,
    ) -> bool {
        let first = self.room.watch(living, Instant::now());
        let stands = open(Some(first));
        if stands {
            self.watchers.push(watcher);
        }
        stands
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::{Member, decode_from_server};
    use protocol::name::{Channel, Tenant};

    use super::*;

    fn hall(list_max: u32) -> Arc<Hall> {
        let key = FeedKey {
            tenant: Tenant::parse("acme").unwrap(),
            channel: Channel::parse("room.1").unwrap(),
        };
        Arc::new(Hall::new(
            key,
            StoreName::parse("main").unwrap(),
            list_max,
            1,
        ))
    }

    fn member(n: u64) -> Member {
        Member {
            user: format!("user-{n}"),
            client: "c".into(),
            session: "s".into(),
            since: n,
        }
    }

    fn taken(port: &Port) -> Vec<protocol::frame::FromServer> {
        let mut frames = Vec::new();
        port.take(usize::MAX, |frame| {
            frames.extend(decode_from_server(Encoding::Json, &frame).0);
        });
        frames
    }

    /// Time passes, and what is due is done.
    async fn pass(halls: &Halls, living: &Living) {
        tokio::time::advance(COUNT_PACE).await;
        while let Some(hall) = halls.next_due(Instant::now()) {
            hall.turn(halls, living, |_| ());
        }
        while let Some((hall, _)) = halls.next_job() {
            hall.turn(halls, living, |inside| {
                inside.room.wrote(true, Instant::now())
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_told_everything_anew_once_it_does() {
        let (halls, living, hall) = (Halls::default(), Living::new(), hall(100));
        let port = Arc::new(Port::new(
            400,
            &shares::budget::Budget::new(1 << 30),
            crate::core::run::Form::Joined,
        ));
        port.expect(1);
        let watcher = Watcher {
            id: 1,
            port: port.clone(),
            encoding: Encoding::Json,
            behind: false,
        };
        let reply = Bytes::from_static(b"{}");
        let open = |_| port.open(1, reply);
        assert!(hall.turn(&halls, &living, |inside| {
            inside.admit(watcher, &living, open)
        }));
        for n in 0..30 {
            hall.turn(&halls, &living, |inside| inside.room.join(n, &member(n)));
            pass(&halls, &living).await;
        }
        let mut waiting = 0;
        port.take(usize::MAX, |frame| waiting += frame.len());
        assert!(waiting <= 400, "the outbox is bounded");
        port.written(waiting);
        pass(&halls, &living).await;
        let frames = taken(&port);
        let all = frames[0].presence.as_ref().expect("everything anew");
        assert_eq!((frames.len(), all.count), (1, 30));
        port.written(10_000);
        hall.turn(&halls, &living, |inside| inside.room.join(99, &member(99)));
        pass(&halls, &living).await;
        let frames = taken(&port);
        assert_eq!(
            frames[0].join.as_ref().map(|join| join.user.as_str()),
            Some("user-99")
        );
    }
}
