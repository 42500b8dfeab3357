//! A subscriber to one channel that records what it receives. It may leave and come
//! back, on any node, and remains one view: the checker demands that it is complete.
//!
//! The view is shared with the deployment, which waits for it before a check. What
//! the events mean it does not know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use checker::{Delivered, Recorder, Subscription as Owed};
use client::{
    Client, ClientError, ClientOptions, Delivery, Event, Named, Start, Subscription, data_of,
};
use protocol::name::Tenant;
use protocol::position::{Epoch, Position};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{body_hash, wait};

/// From the first event kept.
pub const EARLIEST: Start = Start::Named(Named::Earliest);

/// What one subscriber has seen of one channel.
#[derive(Debug)]
pub struct View {
    name: String,
    /// `tenant/channel`.
    channel: String,
    recorder: Recorder,
    state: Mutex<State>,
    /// Everything up to this sequence was delivered, or announced as lost.
    reached: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    epoch: Epoch,
    from_seq: u64,
    position: Position,
    gaps: Vec<(u64, u64)>,
    caught_up: u64,
    events: Vec<Event>,
    end: Option<ClientError>,
}

impl View {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock leaves whole values behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The subscriber's name in the history.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `tenant/channel`.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Whether everything up to `seq` has come.
    ///
    /// # Errors
    /// How far it is.
    pub fn has_reached(&self, seq: u64) -> Result<(), String> {
        let reached = *self.reached.borrow();
        if reached >= seq {
            return Ok(());
        }
        let state = self.lock();
        let end = state
            .end
            .as_ref()
            .map(|error| format!(", and it has ended: {error}"));
        Err(format!(
            "{} has seen {} events of {} up to {reached} of {seq}{}",
            self.name,
            state.events.len(),
            self.channel,
            end.unwrap_or_default()
        ))
    }

    /// What it is owed up to `until_seq` of `stream`.
    pub(crate) fn owed(&self, stream: &str, until_seq: u64) -> Owed {
        let state = self.lock();
        Owed {
            subscriber: self.name.clone(),
            channel: self.channel.clone(),
            stream: stream.to_owned(),
            from_seq: state.from_seq,
            until_seq,
            gaps: state.gaps.clone(),
        }
    }

    fn take(&self, delivery: Delivery) {
        let mut state = self.lock();
        let reached = match delivery {
            Delivery::Event { event, .. } => {
                self.recorder.record(Delivered {
                    subscriber: self.name.clone(),
                    channel: self.channel.clone(),
                    seq: event.seq,
                    prev: event.prev,
                    body: body_hash(&data_of(&event).unwrap_or_default()),
                    id: event.id.clone(),
                });
                state.position = Position {
                    epoch: state.epoch.clone(),
                    seq: event.seq,
                    time: Some(event.time),
                };
                let seq = event.seq;
                state.events.push(event);
                seq
            }
            Delivery::Gap(gap) => {
                state.gaps.push((gap.from, gap.to));
                gap.to
            }
            // They are in no history that could be checked.
            Delivery::Ephemeral { .. } | Delivery::Dropped { .. } | Delivery::Presence(_) => return,
            Delivery::CaughtUp { seq } => {
                state.caught_up += 1;
                seq
            }
        };
        drop(state);
        self.reached.send_if_modified(|now| {
            let further = reached > *now;
            *now = reached.max(*now);
            further
        });
    }
}

/// A subscriber to one channel.
#[derive(Debug)]
pub struct Follower {
    view: Arc<View>,
    plain_channel: String,
    session: Option<(Client, JoinHandle<()>)>,
}

impl Follower {
    /// Subscribes; the node has agreed when this returns.
    ///
    /// # Errors
    /// The node refuses, or cannot be reached.
    pub async fn join(
        options: ClientOptions,
        recorder: &Recorder,
        tenant: &Tenant,
        name: String,
        channel: &str,
        start: Start,
    ) -> Result<Self, ClientError> {
        let (client, subscription) = subscribe(options, channel, start).await?;
        let subscribed = subscription.subscribed();
        let state = State {
            epoch: subscribed.epoch.clone(),
            from_seq: subscribed.after,
            position: Position {
                epoch: subscribed.epoch.clone(),
                seq: subscribed.after,
                time: None,
            },
            gaps: Vec::new(),
            caught_up: 0,
            events: Vec::new(),
            end: None,
        };
        let view = Arc::new(View {
            name,
            channel: format!("{tenant}/{channel}"),
            recorder: recorder.clone(),
            reached: watch::channel(state.from_seq).0,
            state: Mutex::new(state),
        });
        Ok(Self {
            session: Some((
                client,
                tokio::spawn(follow(Arc::clone(&view), subscription)),
            )),
            view,
            plain_channel: channel.to_owned(),
        })
    }

    /// What it has seen; outlives it.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The session, unless it has left.
    pub fn client(&self) -> Option<&Client> {
        self.session.as_ref().map(|(client, _)| client)
    }

    /// Cuts the connection without a word and stays away. Returns where it was.
    pub async fn leave(&mut self) -> Position {
        if let Some((client, task)) = self.session.take() {
            client.abort();
            // It ends with the queue of deliveries, after the last of them.
            task.await.expect("the task only records");
        }
        self.position()
    }

    /// Comes back after [`Follower::leave`], on any node, from where it was.
    ///
    /// # Errors
    /// The node refuses, or cannot be reached.
    pub async fn rejoin(&mut self, options: ClientOptions) -> Result<(), ClientError> {
        let start = Start::After(self.position());
        let (client, subscription) = subscribe(options, &self.plain_channel, start).await?;
        self.view.lock().end = None;
        let task = tokio::spawn(follow(Arc::clone(&self.view), subscription));
        self.session = Some((client, task));
        Ok(())
    }

    /// Where it is.
    pub fn position(&self) -> Position {
        self.view.lock().position.clone()
    }

    /// Every event so far.
    pub fn events(&self) -> Vec<Event> {
        self.view.lock().events.clone()
    }

    /// How many events so far.
    pub fn count(&self) -> usize {
        self.view.lock().events.len()
    }

    /// How often it was told that it has caught up.
    pub fn caught_up(&self) -> u64 {
        self.view.lock().caught_up
    }

    /// Gaps that were announced, both ends inclusive.
    pub fn gaps(&self) -> Vec<(u64, u64)> {
        self.view.lock().gaps.clone()
    }

    /// Waits until so many events have come.
    ///
    /// # Panics
    /// If they do not.
    pub async fn received(&self, count: usize) {
        let what = format!("{} receives {count} events", self.view.name);
        wait::until(&what, async || match self.count() {
            enough if enough >= count => Ok(()),
            few => Err(format!(
                "{few} have come; ended: {:?}",
                self.view.lock().end
            )),
        })
        .await;
    }

    /// Waits until everything up to `seq` has come.
    ///
    /// # Panics
    /// If it does not.
    pub async fn reached(&self, seq: u64) {
        let what = format!("{} is at {seq}", self.view.name);
        wait::until(&what, async || self.view.has_reached(seq)).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some((client, _)) = &self.session {
            client.abort();
        }
    }
}

async fn subscribe(
    options: ClientOptions,
    channel: &str,
    start: Start,
) -> Result<(Client, Subscription), ClientError> {
    let client = Client::connect(options).await?;
    let subscription = client.subscribe(channel, start).await?;
    Ok((client, subscription))
}

async fn follow(view: Arc<View>, mut subscription: Subscription) {
    while let Some(delivery) = subscription.next().await {
        match delivery {
            Ok(delivery) => view.take(delivery),
            Err(error) => view.lock().end = Some(error),
        }
    }
}
