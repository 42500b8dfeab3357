//! A queue between those who find work and the one who does it, with a turn for each
//! tenant. Pushing never waits.
//!
//! Owns what waits. Full, it lets the newest of whoever has the most go, so that nobody
//! is kept out by what another has.

use parking_lot::Mutex;
use protocol::name::Tenant;
use tokio::sync::Notify;

use super::line::Line;

/// Closed once.
#[derive(Debug)]
pub struct Queue<T> {
    /// `None` once it is closed.
    waiting: Mutex<Option<Line<Tenant, T>>>,
    pushed: Notify,
    max: usize,
}

/// What did not stay in the queue.
#[derive(Debug, PartialEq, Eq)]
pub enum Left<T> {
    /// The queue is full, and this is the newest of whoever has the most in it.
    Full(T),
    /// The queue is closed.
    Closed(T),
}

impl<T> Queue<T> {
    /// One that holds so much.
    pub fn new(max: usize) -> Self {
        Self {
            waiting: Mutex::new(Some(Line::default())),
            pushed: Notify::new(),
            max,
        }
    }

    /// Adds something of a tenant.
    ///
    /// # Errors
    /// What had to go: this or something else.
    pub fn push(&self, tenant: &Tenant, entry: T) -> Result<(), Left<T>> {
        let mut waiting = self.waiting.lock();
        let Some(line) = waiting.as_mut() else {
            return Err(Left::Closed(entry));
        };
        line.push(tenant, entry);
        let over = if line.len() > self.max {
            line.pop_longest()
        } else {
            None
        };
        drop(waiting);
        self.pushed.notify_one();
        over.map_or(Ok(()), |over| Err(Left::Full(over)))
    }

    /// Takes up to so many, waiting for the first; never returns once the queue is closed.
    /// For one reader. Cancel safe.
    pub async fn next(&self, max: usize) -> Vec<T> {
        loop {
            let taken: Vec<T> = {
                let mut waiting = self.waiting.lock();
                let next = || waiting.as_mut().and_then(Line::pop);
                std::iter::from_fn(next).take(max).collect()
            };
            if !taken.is_empty() {
                return taken;
            }
            self.pushed.notified().await;
        }
    }

    /// Takes no more; hands out what is left.
    pub fn close(&self) -> Vec<T> {
        let left = self.waiting.lock().take();
        let mut left = left.unwrap_or_default();
        std::iter::from_fn(|| left.pop()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::parse(name).unwrap()
    }

    #[tokio::test]
    async fn a_queue_within_and_beyond_its_bound_and_closed() {
        let queue = Queue::new(3);
        let (noisy, quiet) = (tenant("noisy"), tenant("quiet"));
        for n in 1..=3 {
            assert_eq!(queue.push(&noisy, n), Ok(()));
        }
        assert_eq!(queue.push(&noisy, 4), Err(Left::Full(4)));
        assert_eq!(queue.push(&quiet, 5), Err(Left::Full(3)));
        assert_eq!(queue.next(2).await, [1, 5]);
        assert_eq!(queue.close(), [2]);
        assert_eq!(queue.push(&quiet, 6), Err(Left::Closed(6)));
    }
}
