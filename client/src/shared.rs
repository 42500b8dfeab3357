//! What the actor tells all handles: the session as the node described it, the node's
//! clock, and what was lived through. The actor writes, handles read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::frame::Connected;
use protocol::name::ClientId;
use tokio::time::Instant;

/// What the client has lived through so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientStats {
    /// Connections after the first.
    pub reconnects: u64,
    /// Events sent again after a connection was lost.
    pub resends: u64,
    /// Breaks of a channel's chain, each repaired by reading from the stream.
    pub breaks: u64,
    /// Times that a full queue made a channel be left and read again later.
    pub overflows: u64,
    /// Connections that began with a ticket.
    pub tickets: u64,
}

/// What the actor tells all handles.
#[derive(Debug)]
pub(super) struct Shared {
    pub client: ClientId,
    pub reconnects: AtomicU64,
    pub resends: AtomicU64,
    pub breaks: AtomicU64,
    pub overflows: AtomicU64,
    pub tickets: AtomicU64,
    session: Mutex<Connected>,
    /// The server's time, microseconds since 1970, and ours when it said so.
    clock: Mutex<(u64, Instant)>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks can leave a value half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(client: ClientId, connected: &Connected) -> Self {
        Self {
            client,
            reconnects: AtomicU64::new(0),
            resends: AtomicU64::new(0),
            breaks: AtomicU64::new(0),
            overflows: AtomicU64::new(0),
            tickets: AtomicU64::new(0),
            session: Mutex::new(connected.clone()),
            clock: Mutex::new((connected.time, Instant::now())),
        }
    }

    pub fn connected(&self, connected: &Connected) {
        *lock(&self.clock) = (connected.time, Instant::now());
        *lock(&self.session) = connected.clone();
    }

    pub fn refreshed(&self, expires_at: u64) {
        lock(&self.session).expires_at = expires_at;
    }

    pub fn data_bytes_max(&self) -> usize {
        lock(&self.session).limits.data_bytes
    }

    pub fn session(&self) -> Connected {
        lock(&self.session).clone()
    }

    pub fn stats(&self) -> ClientStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ClientStats {
            reconnects: read(&self.reconnects),
            resends: read(&self.resends),
            breaks: read(&self.breaks),
            overflows: read(&self.overflows),
            tickets: read(&self.tickets),
        }
    }

    pub fn server_time_us(&self) -> u64 {
        let (time, at) = *lock(&self.clock);
        time + at.elapsed().as_micros() as u64
    }
}
