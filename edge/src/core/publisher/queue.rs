//! A queue between whoever finds work and the one who gives it out.
//!
//! A plain structure. It needs no bound of its own where every entry stands for work
//! that is bounded already; its user says by what. Pushing never waits.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// First in, first out; closed once.
#[derive(Debug)]
pub struct Queue<T> {
    /// `None` once it is closed.
    waiting: Mutex<Option<VecDeque<T>>>,
    pushed: Notify,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Some(VecDeque::new())),
            pushed: Notify::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Adds to the end.
    ///
    /// # Errors
    /// The entry, if the queue is closed.
    pub fn push(&self, entry: T) -> Result<(), T> {
        match self.waiting.lock().as_mut() {
            Some(waiting) => waiting.push_back(entry),
            None => return Err(entry),
        }
        self.pushed.notify_one();
        Ok(())
    }

    /// Takes the first, waiting for one; never returns once the queue is closed. For
    /// one reader. Cancel safe.
    pub async fn next(&self) -> T {
        loop {
            let first = self.waiting.lock().as_mut().and_then(VecDeque::pop_front);
            if let Some(first) = first {
                return first;
            }
            self.pushed.notified().await;
        }
    }

    /// Takes no more; hands out what is left.
    pub fn close(&self) -> VecDeque<T> {
        self.waiting.lock().take().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_pushed_comes_out_in_order_and_nothing_goes_in_after_the_close() {
        let queue = Queue::default();
        assert_eq!(
            (queue.push(1), queue.push(2), queue.push(3)),
            (Ok(()), Ok(()), Ok(()))
        );
        assert_eq!((queue.next().await, queue.next().await), (1, 2));
        assert_eq!(queue.close(), [3]);
        assert_eq!(queue.push(4), Err(4));
    }
}
