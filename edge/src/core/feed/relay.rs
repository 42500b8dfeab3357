//! One channel's relay: its chain and its live subscribers, under one lock that is
//! never held across a wait.
//!
//! Owns both. Subscribers that are behind are not in the list: they replay by
//! themselves and join when they are level. Knows no task and no stream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chain::ring::Link;
use chain::state::{FeedState, Missing, Output, Probed, Repaired};
use parking_lot::Mutex;
use protocol::frame::Encoding;
use protocol::name::{Channel, Tenant};
use protocol::position::Epoch;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use service::clock::now_us;
use shares::lossy::{Passed, Passing};
use tokio::sync::{Notify, watch};

use super::repair::Source;
use crate::core::delivery::{Encoded, caught_up};
use crate::core::directory::Place;
use crate::core::ephemeral::fleeting::Fleeting;
use crate::core::leader::DOUBTS;
use crate::core::metrics::meters;
use crate::core::port::{Note, Port, Pushed};
use crate::core::run::{Form, Run};
use crate::core::wants::Wants;

impl Link for Encoded {
    fn seq(&self) -> u64 {
        Encoded::seq(self)
    }

    fn prev(&self) -> u64 {
        Encoded::prev(self)
    }

    fn size(&self) -> usize {
        Encoded::size(self)
    }
}

/// What names a feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FeedKey {
    /// The tenant.
    pub tenant: Tenant,
    /// The channel.
    pub channel: Channel,
}

/// How far a feed has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its subscription and its mark are being made.
    Opening,
    /// It relays.
    Open,
    /// It could not be opened, or has ended.
    Ended,
}

/// What became of an attempt to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// The subscriber is live.
    Live,
    /// Only the stream has what it misses, up to this sequence.
    Behind {
        /// The feed's position.
        to: u64,
    },
    /// The outbox was full, or its client has granted no more; the subscriber stands here.
    Full {
        /// Last sequence pushed.
        at: u64,
    },
    /// The subscription has ended.
    Closed,
    /// The feed has ended: the store's epoch changed, or the node stops.
    Ended,
}

/// Who joins.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// The subscription.
    pub id: u64,
    /// Where its events go.
    pub port: Arc<Port>,
    /// How they are encoded.
    pub encoding: Encoding,
    /// What it wants of them.
    pub wants: Wants,
}

struct Live {
    subscriber: Subscriber,
    at: u64,
}

struct Shared {
    state: FeedState<Arc<Encoded>>,
    live: BTreeMap<u64, Live>,
    /// Whoever gets ephemeral events, level or not; `None` while the namespace allows none.
    listening: Option<BTreeMap<u64, Subscriber>>,
    /// Events that arrived since the last probe.
    arrivals: u64,
    /// The stream has lost what was relayed.
    rolled_back: bool,
}

/// One channel's relay.
pub struct Feed {
    /// What names it.
    pub key: FeedKey,
    /// Where its events are stored.
    pub source: Source,
    /// The store's epoch when it was made.
    pub epoch: Epoch,
    /// Where the channel lives.
    pub place: Place,
    /// What its live events come under.
    pub fan: Subject,
    /// What its ephemeral events come under.
    pub eph: Subject,
    shared: Mutex<Shared>,
    stage: watch::Sender<Stage>,
    /// A repair or the number of users wants the task's attention.
    pub(super) attention: Notify,
    users: AtomicUsize,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed({}/{})", self.key.tenant, self.key.channel)
    }
}

impl Feed {
    /// A feed whose task has not run yet.
    pub fn new(key: FeedKey, place: &Place) -> Self {
        let subject =
            |kind| Subject::event(kind, &place.store, place.lane, &key.tenant, &key.channel);
        let source = Source {
            channel: key.channel.as_str().into(),
            stream: StreamName::events(&place.store),
            subject: subject(Kind::Ev),
        };
        let shared = Shared {
            state: FeedState::new(0),
            live: BTreeMap::new(),
            listening: None,
            arrivals: 0,
            rolled_back: false,
        };
        Self {
            fan: subject(Kind::Fan),
            eph: subject(Kind::Eph),
            source,
            epoch: place.epoch.clone(),
            place: place.clone(),
            shared: Mutex::new(shared),
            stage: watch::channel(Stage::Opening).0,
            attention: Notify::new(),
            users: AtomicUsize::new(0),
            key,
        }
    }

    /// One more holds this feed; called under the registry's lock.
    pub fn add_user(&self) {
        self.users.fetch_add(1, Ordering::AcqRel);
    }

    /// One less; the subscription `id` gets nothing more.
    pub fn remove_user(&self, id: u64) {
        {
            let mut shared = self.shared.lock();
            shared.live.remove(&id);
            if let Some(listening) = &mut shared.listening {
                listening.remove(&id);
            }
        }
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.attention.notify_one();
        }
    }

    /// Whether nobody holds it; only decisive under the registry's lock.
    pub fn is_unused(&self) -> bool {
        self.users.load(Ordering::Acquire) == 0
    }

    /// Waits until the feed is open; false if it could not be opened. Cancel safe.
    pub async fn opened(&self) -> bool {
        let mut stage = self.stage.subscribe();
        let reached = stage.wait_for(|stage| *stage != Stage::Opening).await;
        reached.is_ok_and(|stage| *stage == Stage::Open)
    }

    /// Everything on the channel up to here has been relayed.
    pub fn position(&self) -> u64 {
        self.shared.lock().state.position()
    }

    /// Whether nothing on the channel after `at` and up to `to` can have been missed
    /// by a subscriber that joins at `at`.
    pub fn vouches(&self, at: u64, to: u64) -> bool {
        self.shared.lock().state.vouches(at, to)
    }

    /// Makes a subscriber that stands at `at` live, if what it misses is still at
    /// hand; announces it with `caught_up` if asked to.
    pub fn join(&self, subscriber: &Subscriber, at: u64, announce: bool) -> Join {
        let mut shared = self.shared.lock();
        if *self.stage.borrow() == Stage::Ended {
            return Join::Ended;
        }
        let position = shared.state.position();
        let Some(run) = shared.state.since(at) else {
            return Join::Behind { to: position };
        };
        let Subscriber {
            id, port, encoding, ..
        } = subscriber;
        match port.push_run(*id, *encoding, &Run::new(run), at).0 {
            Pushed::Closed => return Join::Closed,
            Pushed::Full(at) | Pushed::Spent(at) => return Join::Full { at },
            Pushed::All(_) => {}
        }
        let at = at.max(position);
        let told = |id, at| {
            let frame = caught_up(*encoding, &self.source.channel, at);
            port.send_after(id, *encoding, at, frame)
        };
        if announce && !told(*id, at) {
            return Join::Closed;
        }
        if let Some(listening) = &mut shared.listening {
            listening.insert(*id, subscriber.clone());
        }
        shared.live.insert(
            *id,
            Live {
                subscriber: subscriber.clone(),
                at,
            },
        );
        Join::Live
    }

    /// A subscription stands: it gets ephemeral events from now on, if there are any,
    /// however far behind it is with what is stored.
    pub fn listen(&self, subscriber: &Subscriber) {
        if let Some(listening) = &mut self.shared.lock().listening {
            listening.insert(subscriber.id, subscriber.clone());
        }
    }

    /// Whether the channel has ephemeral events has changed. Whoever is level gets them from
    /// now on; the others once they are.
    pub fn allow_ephemeral(&self, allowed: bool) {
        let mut shared = self.shared.lock();
        if shared.listening.is_some() != allowed {
            let live = shared.live.iter();
            let live = live.map(|(id, live)| (*id, live.subscriber.clone()));
            shared.listening = allowed.then(|| live.collect());
        }
    }

    /// Ephemeral events arrived.
    pub fn fleeted(&self, events: &[Arc<Fleeting>]) {
        let shared = self.shared.lock();
        let (mut deliveries, mut passed) = (0, Passed::default());
        let all: Vec<_> = events.iter().collect();
        let together = Fleeting::together(events);
        let together: Vec<_> = together.iter().collect();
        for subscriber in shared.listening.iter().flat_map(BTreeMap::values) {
            let Subscriber {
                id,
                port,
                encoding,
                wants,
            } = subscriber;
            let wanted: Vec<_>;
            let is_wanted = |event: &Fleeting| {
                let (own, filter) = (wants.own.as_ref(), wants.filter.as_ref());
                !own.is_some_and(|own| event.is_of(own))
                    && filter.is_none_or(|filter| event.passes(filter))
            };
            let run = if all.iter().any(|event| !is_wanted(event)) {
                let some = all.iter().filter(|event| is_wanted(event));
                wanted = some.copied().collect();
                &wanted
            } else if port.form() == Form::Joined && !wants.counted {
                &together
            } else {
                &all
            };
            passed += port.push_lossy(*id, *encoding, run);
            deliveries += run.iter().map(|event| event.count()).sum::<u64>();
        }
        drop(shared);
        meters().ephemeral.increment(deliveries);
        meters().gave_way.increment(passed.dropped);
        meters().conflated.increment(passed.conflated);
    }

    /// Relays what the state machine put out to everybody who is live.
    fn relay(&self, shared: &mut Shared, outputs: Vec<Output<Arc<Encoded>>>) {
        let (breaks, dropped) = shared.state.take_counts();
        meters().breaks.increment(breaks);
        meters().held_dropped.increment(dropped);
        if outputs.is_empty() {
            return;
        }
        let run: Vec<_> = outputs
            .into_iter()
            .map(|output| match output {
                Output::Deliver(event) => event,
                Output::Gap { from, to } => {
                    meters().gaps.increment(1);
                    tracing::warn!(feed = ?self, from, to, "retention has taken events before they were relayed");
                    Encoded::gap(self.source.channel.clone(), from, to)
                }
            })
            .collect();
        let run = Run::new(run);
        let (mut deliveries, mut payloads) = (0, 0);
        shared.live.retain(|id, live| {
            let Subscriber { port, encoding, .. } = &live.subscriber;
            let (pushed, events) = port.push_run(*id, *encoding, &run, live.at);
            match pushed {
                Pushed::All(at) => {
                    live.at = at;
                    deliveries += events;
                    payloads += match live.subscriber.wants.filter {
                        None => run.payloads(*encoding, port.form()) as u64,
                        Some(_) => events,
                    };
                    true
                }
                Pushed::Full(at) => {
                    meters().lagging.increment(1);
                    port.note(Note::Lagging { id: *id, at });
                    false
                }
                Pushed::Spent(at) => {
                    meters().spent.increment(1);
                    port.note(Note::Lagging { id: *id, at });
                    false
                }
                Pushed::Closed => false,
            }
        });
        meters().deliveries.increment(deliveries);
        meters().payloads.increment(payloads);
    }

    /// Live events arrived.
    pub fn arrived(&self, events: Vec<Arc<Encoded>>) {
        let now_us = now_us();
        for age in events.iter().filter_map(|event| event.age(now_us)) {
            meters().delivery_seconds.record(age.as_secs_f64());
        }
        let mut shared = self.shared.lock();
        // What is old news is none: it must not keep a probe away.
        let position = shared.state.position();
        let news = events.iter().filter(|event| event.seq() > position);
        shared.arrivals += news.count() as u64;
        let mut outputs = Vec::with_capacity(events.len());
        for event in events {
            shared.state.delivery(event, &mut outputs);
        }
        self.relay(&mut shared, outputs);
    }

    /// A part of what was missing was read.
    pub fn repaired(&self, repaired: Repaired<Arc<Encoded>>) {
        meters().repaired.increment(repaired.events.len() as u64);
        let mut shared = self.shared.lock();
        let mut outputs = Vec::with_capacity(repaired.events.len());
        shared.state.repaired(repaired, &mut outputs);
        self.relay(&mut shared, outputs);
    }

    /// What has to be read from the stream, until it has been.
    pub fn missing(&self) -> Option<Missing> {
        self.shared.lock().state.missing()
    }

    /// It relays from here on: the channel's last event is `mark`.
    pub fn open_at(&self, mark: u64) {
        self.shared.lock().state = FeedState::new(mark);
        self.stage.send_replace(Stage::Open);
    }

    /// It relays no more; whoever was live is handed out.
    pub fn end(&self) -> Vec<Subscriber> {
        let mut shared = self.shared.lock();
        self.stage.send_replace(Stage::Ended);
        std::mem::take(&mut shared.live)
            .into_values()
            .map(|live| live.subscriber)
            .collect()
    }

    /// Whether it is open and nothing arrived since the last call.
    pub fn take_quiet(&self) -> bool {
        let mut shared = self.shared.lock();
        std::mem::take(&mut shared.arrivals) == 0 && *self.stage.borrow() == Stage::Open
    }

    /// A probe found this last event on the channel, as [`FeedState::probed`] says; it
    /// is repaired if it was missed, and the feed ends if the stream was rolled back.
    pub fn probed(&self, last: u64, ends_early: bool) {
        let mut shared = self.shared.lock();
        let probed = shared.state.probed(last, ends_early, DOUBTS);
        shared.rolled_back |= probed == Probed::RolledBack;
        drop(shared);
        self.act_on(probed, last);
    }

    /// The leader found this last event on the channel, as [`FeedState::vouched`] says.
    pub fn vouched(&self, last: u64, stream_last: u64) {
        let probed = self.shared.lock().state.vouched(last, stream_last);
        self.act_on(probed, last);
    }

    fn act_on(&self, probed: Probed, last: u64) {
        match probed {
            Probed::Level => return,
            Probed::Missed => {
                meters().probe_findings.increment(1);
                tracing::debug!(feed = ?self, last, "a probe found the channel behind");
            }
            Probed::RolledBack => {
                meters().rollbacks.increment(1);
                tracing::error!(feed = ?self, "the stream has lost events that were relayed");
            }
        }
        self.attention.notify_one();
    }

    /// Whether the leader should be asked what it has, as [`FeedState::wants_proof`].
    pub fn wants_proof(&self, first: u64, last: u64) -> bool {
        self.shared.lock().state.wants_proof(first, last)
    }

    /// Whether the stream has lost what was relayed.
    pub fn is_rolled_back(&self) -> bool {
        self.shared.lock().rolled_back
    }
}

#[cfg(test)]
mod tests;
