//! The two watches that tell the world about the connections, of which a bus has two:
//! one reads, one writes.
//!
//! Owns what is known of both. Does not know how either is made.

use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::Event;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Which of the two connections stands.
#[derive(Debug)]
struct Standing {
    reading: bool,
    writing: bool,
}

/// The two watches that tell the world about the connections.
#[derive(Debug)]
pub(super) struct Signals {
    /// How the connection calls itself, for logs.
    name: String,
    standing: Mutex<Standing>,
    connected: watch::Sender<bool>,
    connects: watch::Sender<u64>,
    /// Whether we are closing it ourselves.
    draining: AtomicBool,
}

impl Signals {
    /// Both stand.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            standing: Mutex::new(Standing {
                reading: true,
                writing: true,
            }),
            connected: watch::channel(true).0,
            connects: watch::channel(1).0,
            draining: AtomicBool::new(false),
        }
    }

    /// Whether both stand, as a value to watch.
    pub(super) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    /// How often the one that reads was made, as a value to watch.
    pub(super) fn connects(&self) -> watch::Receiver<u64> {
        self.connects.subscribe()
    }

    /// Notes whether the connection that reads stands.
    pub(super) fn reads(&self, up: bool) {
        let mut standing = self.standing.lock();
        let changed = std::mem::replace(&mut standing.reading, up) != up;
        self.tell(&standing);
        if changed && up {
            self.connects.send_modify(|count| *count += 1);
        }
    }

    /// Notes whether the connection that writes stands.
    pub(super) fn writes(&self, up: bool) {
        let mut standing = self.standing.lock();
        standing.writing = up;
        self.tell(&standing);
    }

    fn tell(&self, standing: &Standing) {
        let up = standing.reading && standing.writing;
        self.connected
            .send_if_modified(|now| std::mem::replace(now, up) != up);
        metrics::gauge!("nats_connected").set(if up { 1.0 } else { 0.0 });
    }

    /// Takes in what the connection that reads says of itself.
    pub(super) fn hear(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.reads(true);
                tracing::info!(name = self.name, "connected to nats");
            }
            Event::Disconnected => {
                self.reads(false);
                if self.draining.load(Ordering::Relaxed) {
                    tracing::debug!("disconnected from nats");
                } else {
                    tracing::warn!(name = self.name, "disconnected from nats");
                }
            }
            Event::Closed => {
                // Only our own drain closes for good: reconnecting never gives up.
                self.reads(false);
                tracing::debug!("nats connection closed");
            }
            Event::SlowConsumer(_) => metrics::counter!("nats_slow_consumer_total").increment(1),
            Event::ServerError(error) => tracing::warn!(%error, "nats server"),
            Event::ClientError(error) => tracing::debug!(%error, "nats client"),
            Event::Draining => self.draining.store(true, Ordering::Relaxed),
            Event::LameDuckMode => tracing::info!(%event, "nats"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected_means_both_and_only_reading_anew_counts() {
        let signals = Signals::new("test");
        let (connected, connects) = (signals.connected(), signals.connects());
        let seen = || (*connected.borrow(), *connects.borrow());
        assert_eq!(seen(), (true, 1));
        signals.writes(false);
        assert_eq!(seen(), (false, 1));
        signals.reads(false);
        signals.reads(true);
        assert_eq!(seen(), (false, 2), "the one that writes is not back");
        signals.reads(true);
        signals.writes(true);
        assert_eq!(seen(), (true, 2), "said twice, made once");
        signals.reads(false);
        assert_eq!(seen(), (false, 2));
    }
}
