//! One editor on one edge node: types what the trace says when the trace allows it,
//! publishes it, takes in what is delivered, and now and then does what must not
//! get through: malformed edits, and events sent twice.
//!
//! Owns the editor, its client and its subscriptions. Must not know the others but
//! through the document's channel and the board.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use protocol::frame::{Named, Published, Start};
use protocol::outcome::{OutcomeEvent, OutcomeKind};
use tokio::time::{Instant, sleep, sleep_until};

use super::board::Board;
use super::chores::{Chore, Chores};
use super::edit::Edit;
use super::editor::{Arrival, Editor};
use super::error::DemoError;
use super::latency::Latencies;
use super::malformed;
use super::pace::Pace;
use super::trace::Trace;
use super::witness::{Author, Witness};
use client::{Client, ClientError, ClientStats, Delivery, Draft, Resend, Subscription, data_of};

/// Longest time in which nothing happens at all before the run is given up: far
/// longer than a lane's takeover or an election takes.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What one participant ends with.
#[derive(Debug)]
pub struct Finished {
    /// Its text.
    pub text: String,
    /// Sequence of each edit delivered to it, in order.
    pub seqs: Vec<u64>,
    /// Edits published and acknowledged.
    pub acked: usize,
    /// Malformed edits of which it was told that they are rejected.
    pub rejects: usize,
    /// Edits it sent twice that were answered as duplicates with the first position.
    pub duplicates: usize,
    /// From publish to ack.
    pub to_ack: Latencies,
    /// From another's publish to delivery here.
    pub to_delivery: Latencies,
    /// How long it could not type because the trace had it wait.
    pub waited: Duration,
    /// What its client lived through.
    pub stats: ClientStats,
}

/// What was published.
enum Kind {
    Edit { first_sent: u64 },
    Malformed,
    Resent { resend: Resend, first: Published },
}

/// An ack that has come.
struct Acked {
    n: u64,
    kind: Kind,
    data: Bytes,
    latency: Duration,
    outcome: Result<Published, ClientError>,
}

/// What is published at its turn.
enum Next {
    Edit { txn: u32, update: Vec<u8> },
    Chore(Chore),
}

/// An edit that was acknowledged, to be sent again.
struct Known {
    resend: Resend,
    data: Bytes,
    published: Published,
}

/// What all participants share.
#[derive(Clone)]
pub struct Shared {
    /// How far they are.
    pub board: Arc<Board>,
    /// How fast they may publish.
    pub pace: Arc<Pace>,
    /// Who looks on.
    pub witness: Arc<dyn Witness>,
}

/// One editor and its connection.
pub struct Participant {
    author: Author,
    client: Client,
    deliveries: Subscription,
    outcomes: Subscription,
    shared: Shared,
    editor: Editor,
    chores: Chores,
    typed: usize,
    next: Option<(Instant, Next)>,
    acks: FuturesUnordered<BoxFuture<'static, Acked>>,
    /// Numbers of malformed edits of which no outcome was told yet.
    unrejected: BTreeSet<u64>,
    known: Option<Known>,
    waiting_since: Option<Instant>,
    finished: Finished,
}

impl Participant {
    /// Subscribes to the document and to the client's own outcomes. Nobody may
    /// publish before all participants have come so far.
    ///
    /// # Errors
    /// The edge node refuses.
    pub async fn join(
        agent: u32,
        channel: &str,
        trace: &Arc<Trace>,
        client: Client,
        chores: Chores,
        shared: Shared,
    ) -> Result<Self, DemoError> {
        let failed = |source| DemoError::Client { agent, source };
        let now = || Start::Named(Named::Now);
        let deliveries = client.subscribe(channel, now()).await.map_err(failed)?;
        let prefix = client.session().outcome_prefix;
        let namespace = channel.split('.').next().unwrap_or_default();
        let told = format!("{prefix}.{namespace}");
        let outcomes = client.subscribe(&told, now()).await;
        let author = Author {
            agent,
            client: client.client_id().clone(),
            channel: channel.to_owned(),
        };
        let after = deliveries.subscribed().after;
        shared.witness.subscribed(&author, after);
        Ok(Self {
            author,
            client,
            deliveries,
            outcomes: outcomes.map_err(failed)?,
            shared,
            editor: Editor::new(trace, agent),
            chores,
            typed: 0,
            next: None,
            acks: FuturesUnordered::new(),
            unrejected: BTreeSet::new(),
            known: None,
            waiting_since: None,
            finished: Finished {
                text: String::new(),
                seqs: Vec::new(),
                acked: 0,
                rejects: 0,
                duplicates: 0,
                to_ack: Latencies::default(),
                to_delivery: Latencies::default(),
                waited: Duration::ZERO,
                stats: ClientStats::default(),
            },
        })
    }

    /// Runs until everything is typed, delivered, acknowledged and told. Every
    /// branch of the wait is cancel safe.
    ///
    /// # Errors
    /// [`DemoError`]: whatever makes it impossible to end.
    pub async fn run(mut self) -> Result<Finished, DemoError> {
        loop {
            self.choose()?;
            if self.is_done() {
                return self.finish().await;
            }
            let turn = self.next.as_ref().map(|(turn, _)| *turn);
            tokio::select! {
                delivery = self.deliveries.next() => self.delivered(delivery)?,
                outcome = self.outcomes.next() => self.told(outcome)?,
                Some(acked) = self.acks.next(), if !self.acks.is_empty() => self.acked(acked)?,
                () = sleep_until(turn.unwrap_or_else(Instant::now)), if turn.is_some() => {
                    self.publish().await?;
                }
                () = sleep(STALL_TIMEOUT) => return Err(self.stalled()),
            }
        }
    }

    fn is_done(&self) -> bool {
        self.next.is_none()
            && self.editor.has_typed_all()
            && self.editor.has_received_all()
            && self.chores.is_empty()
            && self.acks.is_empty()
            && self.unrejected.is_empty()
    }

    async fn finish(mut self) -> Result<Finished, DemoError> {
        self.finished.stats = self.client.stats();
        self.client.close().await;
        let agent = self.author.agent;
        let text = self.editor.finish();
        self.finished.text = text.map_err(|source| DemoError::Editor { agent, source })?;
        Ok(self.finished)
    }

    /// Decides what is published next, and takes a turn for it.
    fn choose(&mut self) -> Result<(), DemoError> {
        if self.next.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        let all_typed = self.editor.has_typed_all();
        let next = match self.chores.due(self.typed, all_typed, self.known.is_some()) {
            Some(chore) => Some(Next::Chore(chore)),
            None => self.type_next()?,
        };
        let waits = next.is_none() && !all_typed;
        match (waits, self.waiting_since) {
            (true, None) => self.waiting_since = Some(now),
            (false, Some(since)) => {
                self.finished.waited += now - since;
                self.waiting_since = None;
            }
            _ => {}
        }
        self.next = next.map(|next| (self.shared.pace.turn(now), next));
        Ok(())
    }

    fn type_next(&mut self) -> Result<Option<Next>, DemoError> {
        let agent = self.author.agent;
        let typed = self.editor.next_local();
        let typed = typed.map_err(|source| DemoError::Editor { agent, source })?;
        self.typed += usize::from(typed.is_some());
        Ok(typed.map(|(txn, update)| Next::Edit { txn, update }))
    }

    /// Publishes what is next, without waiting for its ack.
    async fn publish(&mut self) -> Result<(), DemoError> {
        let next = self.next.take();
        let Some((draft, kind)) = next.and_then(|(_, next)| self.compose(next)) else {
            return Ok(());
        };
        let (agent, data, started) = (self.author.agent, draft.data.clone(), Instant::now());
        let ack = self.client.publish_start(draft).await;
        let ack = ack.map_err(|source| DemoError::Client { agent, source })?;
        if !matches!(kind, Kind::Resent { .. }) {
            self.shared.witness.sent(&self.author, ack.n(), &data);
        }
        if matches!(kind, Kind::Malformed) {
            self.unrejected.insert(ack.n());
        }
        self.acks.push(Box::pin(async move {
            let n = ack.n();
            let outcome = ack.await;
            Acked {
                n,
                kind,
                data,
                latency: started.elapsed(),
                outcome,
            }
        }));
        Ok(())
    }

    /// The event that is published now.
    fn compose(&mut self, next: Next) -> Option<(Draft, Kind)> {
        let first_sent = self.client.server_time_us();
        let (data, resend, kind) = match next {
            Next::Edit { txn, update } => {
                self.shared.board.publish(txn);
                let sent = Some(first_sent);
                let edit = Edit { txn, update, sent };
                (edit.encode(), None, Kind::Edit { first_sent })
            }
            Next::Chore(Chore::Malformed(index)) => (malformed::data(index), None, Kind::Malformed),
            Next::Chore(Chore::Resend) => {
                let Known {
                    resend,
                    data,
                    published: first,
                } = self.known.take()?;
                (data, Some(resend), Kind::Resent { resend, first })
            }
        };
        let mut draft = Draft::json(self.author.channel.as_str(), data);
        draft.resend = resend;
        Some((draft, kind))
    }

    fn acked(&mut self, acked: Acked) -> Result<(), DemoError> {
        let agent = self.author.agent;
        let witness = &self.shared.witness;
        witness.answered(&self.author, acked.n, &acked.outcome);
        let published = acked
            .outcome
            .map_err(|source| DemoError::Client { agent, source })?;
        match acked.kind {
            Kind::Edit { first_sent } => {
                self.finished.to_ack.add(acked.latency);
                self.finished.acked += 1;
                let n = published.n;
                self.known = Some(Known {
                    resend: Resend { n, first_sent },
                    data: acked.data,
                    published,
                });
            }
            Kind::Malformed => {}
            Kind::Resent { resend, first } => {
                let same = published.duplicate && published.position.seq == first.position.seq;
                self.finished.duplicates += usize::from(same);
                // It may be needed again if nothing else is acknowledged any more.
                self.known.get_or_insert(Known {
                    resend,
                    data: acked.data,
                    published: first,
                });
            }
        }
        Ok(())
    }

    /// An event on the document's channel.
    fn delivered(
        &mut self,
        delivery: Option<Result<Delivery, ClientError>>,
    ) -> Result<(), DemoError> {
        let agent = self.author.agent;
        let (event, arrived) = match self.open(delivery)? {
            Delivery::Event { event, arrived } => (event, arrived),
            Delivery::CaughtUp { .. }
            | Delivery::Ephemeral { .. }
            | Delivery::Dropped { .. }
            | Delivery::Presence(_) => {
                return Ok(());
            }
            Delivery::Gap(gap) => {
                let (from, to) = (gap.from, gap.to);
                return Err(DemoError::Gap { agent, from, to });
            }
        };
        self.shared.witness.delivered(&self.author, &event);
        let seq = event.seq;
        let edit = Edit::decode(&data_of(&event).unwrap_or_default());
        let edit = edit.map_err(|source| DemoError::Edit { seq, source })?;
        let arrival = self.editor.received(edit.txn, edit.update);
        let arrival = arrival.map_err(|source| DemoError::Editor { agent, source })?;
        if arrival == Arrival::Remote
            && let Some(latency) = self.shared.board.latency(edit.txn, arrived)
        {
            self.finished.to_delivery.add(latency);
        }
        self.shared.board.deliver();
        self.finished.seqs.push(seq);
        Ok(())
    }

    /// An event on this client's outcome channel.
    fn told(&mut self, delivery: Option<Result<Delivery, ClientError>>) -> Result<(), DemoError> {
        let Delivery::Event { event, .. } = self.open(delivery)? else {
            return Ok(());
        };
        let agent = self.author.agent;
        let data = data_of(&event).unwrap_or_default();
        let unexpected = |n, reason| DemoError::Outcome { agent, n, reason };
        let outcome: OutcomeEvent =
            serde_json::from_slice(&data).map_err(|error| unexpected(0, error.to_string()))?;
        let rejected = outcome.outcome == OutcomeKind::Rejected && !outcome.reason.is_empty();
        if !rejected || !self.unrejected.remove(&outcome.n) {
            let kind = format!("{:?}: {}", outcome.outcome, outcome.reason);
            return Err(unexpected(outcome.n, kind));
        }
        self.finished.rejects += 1;
        Ok(())
    }

    fn open(&self, delivery: Option<Result<Delivery, ClientError>>) -> Result<Delivery, DemoError> {
        let agent = self.author.agent;
        match delivery {
            Some(Ok(delivery)) => Ok(delivery),
            Some(Err(source)) => Err(DemoError::Client { agent, source }),
            None => Err(DemoError::Ended { agent }),
        }
    }

    fn stalled(&self) -> DemoError {
        let missing = format!(
            "{} acks, {} rejects, {}",
            self.acks.len(),
            self.unrejected.len(),
            match (self.editor.has_typed_all(), self.editor.has_received_all()) {
                (_, true) => "nothing else",
                (true, false) => "deliveries",
                (false, false) => "deliveries that it may not type without",
            }
        );
        DemoError::Stalled {
            agent: self.author.agent,
            seconds: STALL_TIMEOUT.as_secs(),
            missing,
        }
    }
}
