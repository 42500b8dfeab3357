//! Drives the network of a model: gives it the time, carries out its actions. The only
//! place of the model with a clock.
//!
//! Owns the network behind a lock that is never held across an await, the waiting
//! places of answers, and the task that lets happen what is due.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::link::Delivery;
use super::network::{Action, Network};
use super::request::Answer;
use crate::incoming::Incoming;

/// Messages that wait in one subscription. Policy: the newest is dropped and counted,
/// as the connection to NATS does.
const SUBSCRIPTION_MESSAGES_MAX: usize = 32_768;

/// What a process sees of its connection.
pub(super) struct Signals {
    pub connected: watch::Sender<bool>,
    pub connects: watch::Sender<u64>,
    /// Grows with every change, also those that the process does not see.
    pub changes: watch::Sender<u64>,
}

/// The network and who waits for it.
pub(super) struct World {
    pub network: Network,
    pub signals: Vec<Signals>,
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    subscriptions: HashMap<u64, mpsc::Sender<Incoming>>,
    stored: HashMap<String, watch::Sender<u64>>,
    ids: u64,
}

impl World {
    /// A place for one answer.
    pub(super) fn ticket(&mut self) -> (u64, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        self.ids += 1;
        self.answers.insert(self.ids, sender);
        (self.ids, receiver)
    }

    /// Nobody waits for this answer any more.
    pub(super) fn forget(&mut self, ticket: u64) {
        self.answers.remove(&ticket);
    }

    /// A place for the messages of a subscription.
    pub(super) fn subscription(&mut self) -> (u64, mpsc::Receiver<Incoming>) {
        let (sender, receiver) = mpsc::channel(SUBSCRIPTION_MESSAGES_MAX);
        self.ids += 1;
        self.subscriptions.insert(self.ids, sender);
        (self.ids, receiver)
    }

    /// Nobody reads this subscription any more.
    pub(super) fn unsubscribe(&mut self, id: u64) {
        self.subscriptions.remove(&id);
    }

    /// Grows with everything that a stream stores.
    pub(super) fn stored(&mut self, stream: &str) -> watch::Receiver<u64> {
        let stored = self.stored.entry(stream.to_owned());
        stored.or_insert_with(|| watch::channel(0).0).subscribe()
    }

    fn perform(&mut self, now: u64) {
        self.network.step(now);
        while let Some(action) = self.network.actions.pop_front() {
            match action {
                Action::Answer(ticket, answer) => {
                    if let Some(waiting) = self.answers.remove(&ticket) {
                        // The one who waited may have gone in this moment.
                        let _ = waiting.send(answer);
                    }
                }
                Action::Deliver(id, delivery) => self.deliver(id, delivery),
                Action::Stored(stream) => {
                    if let Some(stored) = self.stored.get(&stream) {
                        stored.send_modify(|count| *count += 1);
                    }
                }
                Action::Link(link) => {
                    let (link, signals) = (&self.network.links[link], &self.signals[link]);
                    signals.connected.send_replace(link.up);
                    signals.connects.send_if_modified(|connects| {
                        std::mem::replace(connects, link.connects) != link.connects
                    });
                    signals.changes.send_modify(|count| *count += 1);
                }
            }
        }
    }

    fn deliver(&mut self, id: u64, delivery: Delivery) {
        let Some(subscription) = self.subscriptions.get(&id) else {
            return;
        };
        let incoming = Incoming {
            subject: delivery.subject.into(),
            headers: delivery.headers,
            payload: delivery.payload,
            republished: delivery.republished,
            reply: None,
        };
        let lost = subscription.try_send(incoming).is_err();
        metrics::counter!("nats_slow_consumer_total").increment(u64::from(lost));
    }
}

/// What every connection of a model shares.
pub(super) struct Shared {
    world: Mutex<World>,
    start: Instant,
    wake: Arc<Notify>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Shared {
    /// Starts the task that lets happen what is due; it ends with the last connection.
    pub(super) fn start(network: Network) -> Arc<Self> {
        let wake = Arc::new(Notify::new());
        let shared = Arc::new(Self {
            world: Mutex::new(World {
                network,
                signals: Vec::new(),
                answers: HashMap::new(),
                subscriptions: HashMap::new(),
                stored: HashMap::new(),
                ids: 0,
            }),
            start: Instant::now(),
            wake: wake.clone(),
        });
        tokio::spawn(drive(Arc::downgrade(&shared), wake));
        shared
    }

    /// A model's time as the clock of the runtime shows it.
    pub(super) fn instant(&self, at_us: u64) -> Instant {
        self.start + Duration::from_micros(at_us)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Does something at the present time, and what follows from it.
    pub(super) fn act<T>(&self, change: impl FnOnce(&mut World, u64) -> T) -> T {
        let now = self.now();
        let mut world = self.world.lock();
        let before = world.network.next_due();
        let done = change(&mut world, now);
        world.perform(now);
        let after = world.network.next_due();
        drop(world);
        // Only what comes sooner than the task expects has to wake it.
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.wake.notify_one();
        }
        done
    }
}

async fn drive(shared: Weak<Shared>, wake: Arc<Notify>) {
    while let Some(strong) = shared.upgrade() {
        let due = strong.act(|world, now| {
            world.perform(now);
            world.network.next_due()
        });
        let due = due.map(|due| strong.instant(due));
        drop(strong);
        match due {
            None => wake.notified().await,
            // Both are cancel safe: they only wait.
            Some(due) => tokio::select! {
                biased;
                () = wake.notified() => {}
                () = tokio::time::sleep_until(due) => {}
            },
        }
    }
}
