//! Leases: who may work on what, for a short time.
//!
//! A lease only elects: two processes may both believe for a moment that they hold
//! one, so whoever holds it also fences its commits with [`Lease::revision`]. An
//! entry in the bucket `LEASES` ends by the bucket's time-to-live; time is this
//! process's own monotonic clock, read before each request was sent, so that it runs
//! out here before it does at the server.

use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::BusError;
use crate::kv::Kv;
use service::shutdown::Shutdown;

/// A lease is renewed when this part of its time-to-live has passed, so that two
/// renewals may fail.
const RENEW_PART: u32 = 3;
/// Wait between two attempts of one renewal.
const RETRY_DELAY: Duration = Duration::from_millis(50);
/// Used for a bucket whose entries do not end.
const TTL_FALLBACK: Duration = Duration::from_secs(5);

/// Why a lease is not held any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseLost {
    /// Its time has passed without a renewal.
    #[error("the lease has expired")]
    Expired,
    /// Somebody else holds it, or somebody deleted it.
    #[error("the lease is held by another owner")]
    Taken,
}

/// A lease that is held.
#[derive(Debug)]
pub struct Lease {
    kv: Kv,
    key: String,
    value: Bytes,
    acquired: u64,
    current: u64,
    ttl: Duration,
    deadline: Instant,
}

impl Lease {
    /// Tries to take a lease; `None` if somebody holds it.
    ///
    /// # Errors
    /// Those of the bus. After [`BusError::Timeout`] the lease may have been taken for
    /// nobody; it ends by itself.
    pub async fn acquire(kv: &Kv, key: &str, owner: &str) -> Result<Option<Self>, BusError> {
        let ttl = if kv.max_age().is_zero() {
            TTL_FALLBACK
        } else {
            kv.max_age()
        };
        // The second part makes this acquisition's entry different from any other.
        let value = Bytes::from(format!("{owner}#{:016x}", rand::rng().random::<u64>()));
        let before = Instant::now();
        let acquired = match kv.create(key, value.clone()).await {
            Ok(revision) => revision,
            Err(BusError::Exists) => return Ok(None),
            Err(error) => return Err(error),
        };
        let deadline = before + ttl;
        Ok(Some(Self {
            kv: kv.clone(),
            key: key.into(),
            value,
            acquired,
            current: acquired,
            ttl,
            deadline,
        }))
    }

    /// Who holds a lease now, as it called itself.
    ///
    /// # Errors
    /// Those of the bus. Cancel safe.
    pub async fn holder(kv: &Kv, key: &str) -> Result<Option<String>, BusError> {
        let entry = kv.get(key).await?;
        Ok(entry.map(|(value, _)| {
            let text = String::from_utf8_lossy(&value).into_owned();
            text.rsplit_once('#')
                .map_or(text.clone(), |(owner, _)| owner.into())
        }))
    }

    /// The revision at which it was acquired: grows with every owner.
    pub fn revision(&self) -> u64 {
        self.acquired
    }

    /// What it is for.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How long it lasts from a renewal on.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// When it ends unless it is renewed before.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether its time has not passed. Another may hold it all the same, if this
    /// process was stopped: commits are fenced.
    pub fn is_current(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// Renews it, trying again until it ends. Cancel safe: the next renewal finds out
    /// what became of this one.
    ///
    /// # Errors
    /// [`LeaseLost`]: stop working at once.
    pub async fn renew(&mut self) -> Result<(), LeaseLost> {
        while self.is_current() {
            let before = Instant::now();
            let update = self.kv.update(&self.key, self.value.clone(), self.current);
            match timeout(self.ttl / RENEW_PART, update).await {
                Ok(Ok(revision)) => {
                    self.current = revision;
                    self.deadline = before + self.ttl;
                    return Ok(());
                }
                // Either somebody else's, or our own renewal whose answer was lost.
                Ok(Err(BusError::Conflict)) => self.adopt().await?,
                Ok(Err(error)) if !error.temporary() => {
                    tracing::warn!(%error, key = self.key, "lease cannot be renewed");
                    return Err(LeaseLost::Expired);
                }
                Ok(Err(_)) | Err(_) => {}
            }
            tokio::time::sleep(RETRY_DELAY.min(self.ttl / 10)).await;
        }
        Err(LeaseLost::Expired)
    }

    /// Takes over the entry's revision if the entry is ours.
    async fn adopt(&mut self) -> Result<(), LeaseLost> {
        match timeout(self.ttl / RENEW_PART, self.kv.get(&self.key)).await {
            Ok(Ok(Some((value, revision)))) if value == self.value => {
                self.current = revision;
                Ok(())
            }
            Ok(Ok(_)) => Err(LeaseLost::Taken),
            // Not known yet: the next attempt asks again.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// Gives it back, so that the next owner need not wait for its end. Best effort.
    pub async fn release(self) {
        let deleted = timeout(self.ttl, self.kv.delete(&self.key, self.current)).await;
        if !matches!(deleted, Ok(Ok(()))) {
            tracing::debug!(key = self.key, "lease was not released and ends by itself");
        }
    }
}

/// A lease that a task keeps renewing.
#[derive(Debug)]
pub struct Kept {
    revision: u64,
    lost: watch::Receiver<Option<LeaseLost>>,
    deadline: watch::Receiver<Instant>,
}

impl Kept {
    /// The revision at which it was acquired.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether it is lost, or its time has passed.
    pub fn is_lost(&self) -> bool {
        self.lost.borrow().is_some() || Instant::now() >= *self.deadline.borrow()
    }

    /// The loss as a value to watch.
    pub fn watch(&self) -> watch::Receiver<Option<LeaseLost>> {
        self.lost.clone()
    }

    /// Waits until it is lost or released. Cancel safe.
    pub async fn lost(&mut self) {
        // An error means that the task has ended, which it does only without the lease.
        let _ = self.lost.wait_for(Option::is_some).await;
    }
}

/// Renews a lease in a task of its own until `stop` is triggered or [`Kept`] and its
/// watches are dropped; then releases it. Trigger `stop` only after the work under
/// the lease has ended.
pub fn keep(lease: Lease, stop: Shutdown) -> Kept {
    let (lost, lost_watch) = watch::channel(None);
    let (deadline, deadline_watch) = watch::channel(lease.deadline);
    let kept = Kept {
        revision: lease.revision(),
        lost: lost_watch,
        deadline: deadline_watch,
    };
    tokio::spawn(async move {
        let mut lease = lease;
        loop {
            let due = lease.deadline - (lease.ttl - lease.ttl / RENEW_PART);
            // All branches are cancel safe: they only wait.
            let stopped = tokio::select! {
                () = sleep_until(due) => false,
                () = stop.triggered() => true,
                () = lost.closed() => true,
            };
            if stopped {
                lease.release().await;
                // Nobody holds it any more; who still looks must not think otherwise.
                lost.send_replace(Some(LeaseLost::Expired));
                return;
            }
            if let Err(reason) = lease.renew().await {
                metrics::counter!("lease_lost_total").increment(1);
                tracing::warn!(key = lease.key, %reason, "lease lost");
                lost.send_replace(Some(reason));
                return;
            }
            deadline.send_replace(lease.deadline);
        }
    });
    kept
}
