//! Between a read and its client: a bounded queue of responses, and how it ends.
//!
//! Owns the responses that wait. A client that takes nothing for a while is sent
//! away: what waits for it is dropped, since it reads on from its last token.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

use super::fault::ReplayFault;
use crate::proto::ReadResponse;

/// Responses that wait for a client; each is about 256 KiB at most. Policy: the read
/// waits, and with it Kafka's consumer.
const RESPONSES_MAX: usize = 4;
/// How long a client may take nothing, as WebSocket clients may.
const STALLED_AFTER: Duration = Duration::from_secs(20);
/// Between two looks whether it has.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Where a read puts its responses.
#[derive(Clone)]
pub(crate) struct Out {
    queue: mpsc::Sender<ReadResponse>,
    sent: Arc<AtomicU64>,
}

/// How the answers end.
pub(super) struct Ending(Arc<Mutex<State>>);

/// What the client reads.
pub(crate) struct Answers(Arc<Mutex<State>>);

struct State {
    queue: Option<mpsc::Receiver<ReadResponse>>,
    last: Option<Status>,
    reader: Option<Waker>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing panics while it is held.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The three ends of one read's answers.
pub(super) fn answers() -> (Out, Ending, Answers) {
    let (queue, receiver) = mpsc::channel(RESPONSES_MAX);
    let state = Arc::new(Mutex::new(State {
        queue: Some(receiver),
        last: None,
        reader: None,
    }));
    let out = Out {
        queue,
        sent: Arc::default(),
    };
    (out, Ending(state.clone()), Answers(state))
}

impl Out {
    /// Sends from a task. Cancel safe.
    pub(super) async fn send(&self, response: ReadResponse) -> Result<(), ReplayFault> {
        let sent = self.queue.send(response).await;
        self.count(sent.is_ok())
    }

    /// Sends from a thread.
    pub(super) fn send_blocking(&self, response: ReadResponse) -> Result<(), ReplayFault> {
        let sent = self.queue.blocking_send(response);
        self.count(sent.is_ok())
    }

    fn count(&self, sent: bool) -> Result<(), ReplayFault> {
        self.sent.fetch_add(u64::from(sent), Ordering::Relaxed);
        if sent { Ok(()) } else { Err(ReplayFault::Gone) }
    }

    /// Whether the client has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Waits until the client has gone. Cancel safe.
    pub(super) async fn closed(&self) {
        self.queue.closed().await;
    }

    /// Waits until the queue has been full for [`STALLED_AFTER`] without anything
    /// being taken from it; returns that time. Cancel safe.
    pub(super) async fn stalled(&self) -> Duration {
        let mut full: Option<(u64, Instant)> = None;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let sent = self.sent.load(Ordering::Relaxed);
            full = match full {
                _ if self.queue.capacity() > 0 => None,
                Some((before, since)) if before == sent => Some((before, since)),
                _ => Some((sent, Instant::now())),
            };
            if full.is_some_and(|(_, since)| since.elapsed() >= STALLED_AFTER) {
                return STALLED_AFTER;
            }
        }
    }
}

impl Ending {
    /// What the client gets after everything that waits for it.
    pub(super) fn end(&self, status: Status) {
        lock(&self.0).last = Some(status);
    }

    /// What the client gets instead of it.
    pub(super) fn cut(&self, status: Status) {
        let mut state = lock(&self.0);
        (state.queue, state.last) = (None, Some(status));
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

impl Stream for Answers {
    type Item = Result<ReadResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = lock(&self.0);
        if let Some(queue) = &mut state.queue {
            match queue.poll_recv(context) {
                Poll::Ready(Some(response)) => return Poll::Ready(Some(Ok(response))),
                Poll::Ready(None) => state.queue = None,
                Poll::Pending => {
                    state.reader = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(state.last.take().map(Err))
    }
}

impl Drop for Answers {
    /// The read sees that its client has gone.
    fn drop(&mut self) {
        lock(&self.0).queue = None;
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;

    use super::*;

    async fn filled() -> (Out, Ending, Answers) {
        let (out, ending, answers) = answers();
        for _ in 0..RESPONSES_MAX {
            out.send(ReadResponse::default()).await.unwrap();
        }
        (out, ending, answers)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_stalled_and_one_that_takes_is_not() {
        let (out, ending, mut answers) = filled().await;
        let begun = Instant::now();
        out.stalled().await;
        assert!(begun.elapsed() >= STALLED_AFTER);

        let begun = Instant::now();
        let (waiting, sender) = (out.clone(), out.clone());
        let stalled = tokio::spawn(async move { waiting.stalled().await });
        for _ in 0..5 {
            tokio::time::sleep(STALLED_AFTER / 2).await;
            answers.next().await.unwrap().unwrap();
            sender.send(ReadResponse::default()).await.unwrap();
        }
        assert!(!stalled.is_finished());
        stalled.await.unwrap();
        assert!(begun.elapsed() >= STALLED_AFTER / 2 * 5 + STALLED_AFTER);

        ending.cut(Status::resource_exhausted("x"));
        assert!(out.is_closed(), "what waited is dropped");
        assert!(answers.next().await.unwrap().is_err());
        assert!(answers.next().await.is_none());
    }

    #[tokio::test]
    async fn an_end_comes_after_what_waits() {
        let (out, ending, answers) = filled().await;
        ending.end(Status::unavailable("x"));
        drop(out);
        let all: Vec<_> = answers.collect().await;
        assert_eq!(all.len(), RESPONSES_MAX + 1);
        assert!(all[RESPONSES_MAX].is_err());
    }

    #[tokio::test]
    async fn a_client_that_goes_is_noticed() {
        let (out, _ending, answers) = filled().await;
        drop(answers);
        out.closed().await;
        assert!(out.send(ReadResponse::default()).await.is_err());
    }
}
