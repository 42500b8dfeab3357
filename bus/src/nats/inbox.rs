//! Replies to requests, all by one subscription.
//!
//! Owns the table of who waits for which reply. async-nats has such a table too,
//! but it keeps an entry for ever when a reply never comes; here an entry lives as
//! long as the one who waits.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_nats::{Client, Message};
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::error::BusError;

enum Waiter {
    One(oneshot::Sender<Message>),
    Many(mpsc::Sender<Message>),
}

type Table = Arc<Mutex<HashMap<u64, Waiter>>>;

/// The reply subjects of one connection.
pub(super) struct Inbox {
    prefix: String,
    table: Table,
    next: AtomicU64,
    task: AbortHandle,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inbox {
    /// Subscribes under the client's own inbox prefix.
    pub(super) async fn new(client: &Client) -> Result<Self, BusError> {
        let prefix = client.new_inbox();
        let mut replies = client
            .subscribe(format!("{prefix}.*"))
            .await
            .map_err(|_| BusError::Disconnected)?;
        let table = Table::default();
        let waiting = table.clone();
        // Not under Tokio's budget: runs of thousands of replies would overtake a task
        // that hands over 128 at a turn, and its bounded queue drops what it cannot take.
        let task = tokio::spawn(tokio::task::unconstrained(async move {
            while let Some(message) = replies.next().await {
                hand_over(&waiting, message);
            }
        }));
        Ok(Self {
            prefix,
            table,
            next: AtomicU64::new(1),
            task: task.abort_handle(),
        })
    }

    fn subject(&self, token: u64) -> String {
        format!("{}.{token}", self.prefix)
    }

    fn insert(&self, waiter: Waiter) -> Entry {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        self.table.lock().insert(token, waiter);
        Entry {
            token,
            table: self.table.clone(),
        }
    }

    /// Waits for one reply; returns the subject that it is sent to.
    pub(super) fn one(&self) -> (String, OneReply) {
        let (sender, receiver) = oneshot::channel();
        let entry = self.insert(Waiter::One(sender));
        (
            self.subject(entry.token),
            OneReply {
                receiver,
                _entry: entry,
            },
        )
    }

    /// Waits for several replies; holds at most `bound`, later ones are lost, and who
    /// waits finds that by the sequences.
    pub(super) fn many(&self, bound: usize) -> (String, ManyReplies) {
        let (sender, receiver) = mpsc::channel(bound);
        let entry = self.insert(Waiter::Many(sender));
        (
            self.subject(entry.token),
            ManyReplies {
                receiver,
                _entry: entry,
            },
        )
    }
}

fn hand_over(table: &Table, message: Message) {
    let Some(token) = message
        .subject
        .rsplit('.')
        .next()
        .and_then(|token| token.parse::<u64>().ok())
    else {
        return;
    };
    let mut table = table.lock();
    match table.get(&token) {
        Some(Waiter::Many(sender)) => {
            let lost = sender.try_send(message).is_err();
            metrics::counter!("nats_replies_lost_total").increment(u64::from(lost));
        }
        Some(Waiter::One(_)) => {
            if let Some(Waiter::One(sender)) = table.remove(&token) {
                // The one who waited may have gone in this moment.
                let _ = sender.send(message);
            }
        }
        None => {}
    }
}

/// A place in the table; leaving it frees the place.
struct Entry {
    token: u64,
    table: Table,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.lock().remove(&self.token);
    }
}

/// A reply to come.
pub(super) struct OneReply {
    receiver: oneshot::Receiver<Message>,
    _entry: Entry,
}

impl Future for OneReply {
    type Output = Result<Message, BusError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The sender goes only with the whole connection, when nobody can tell any more.
        Pin::new(&mut self.receiver)
            .poll(cx)
            .map_err(|_| BusError::Timeout)
    }
}

impl OneReply {
    /// The reply, if it is there.
    pub(super) fn now(&mut self) -> Option<Message> {
        self.receiver.try_recv().ok()
    }
}

/// Replies to come. Dropping it stops them.
pub(super) struct ManyReplies {
    receiver: mpsc::Receiver<Message>,
    _entry: Entry,
}

impl ManyReplies {
    /// The next reply. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Message, BusError> {
        self.receiver.recv().await.ok_or(BusError::Timeout)
    }
}
