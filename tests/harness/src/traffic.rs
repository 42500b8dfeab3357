//! Events that keep flowing while a test breaks things: a few writers that publish
//! seeded bursts, wander between edge nodes and resend what they have no ack for.
//!
//! Owns the writers and their tasks. What is broken meanwhile it does not know.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use checker::Report;
use client::Draft;
use protocol::lane::Lane;
use protocol::name::Channel;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::follower::EARLIEST;
use crate::{Deployment, Follower, Writer, wait};

/// Writers of a test.
const WRITERS: usize = 3;
/// Between the starts of two bursts of a writer: some hundred events a second in
/// all, which leaves most of two cores to what is tested.
const BURST_INTERVAL: Duration = Duration::from_millis(30);
/// Most events of a burst; they are in flight together.
const BURST_EVENTS_MAX: usize = 6;
/// One burst in so many is followed by a move to the next edge node, before its acks.
const MOVE_EVERY: u32 = 40;
/// One event in so many to a gate is malformed, so that outcomes are made too.
const MALFORMED_EVERY: u32 = 16;
/// One event in so many is to be told when it has passed its gate.
const RECEIPT_EVERY: u32 = 4;
/// Orders to the probe of which three are not to count at once.
const ORDERS: u32 = 20;
/// Events that have their ack after everything else that a test does.
const AFTERWARDS: usize = 100;
/// Numbers of one writer's bodies start here times its index: no two are equal.
const BODIES: u64 = 1_000_000;

/// Channels that reach every lane of the gate, and two that have no gate.
pub fn channels(deployment: &Deployment) -> Vec<String> {
    let lanes = deployment.store.lanes;
    let mut free: Vec<Lane> = (0..lanes).map(Lane).collect();
    let mut channels = vec!["chat.a".to_owned(), "chat.b".to_owned()];
    for number in 0.. {
        if free.is_empty() {
            break;
        }
        let name = format!("doc.{number}");
        let channel = Channel::parse(&name).expect("a valid name");
        let lane = Lane::of(&deployment.tenant, &channel, lanes);
        if let Some(at) = free.iter().position(|one| *one == lane) {
            free.swap_remove(at);
            channels.push(name);
        }
    }
    channels
}

/// Follows every channel from the start: in turn on one of the nodes alone, and on
/// all of them.
///
/// # Panics
/// If a node does not take a follower.
pub async fn follow_all(deployment: &mut Deployment, channels: &[String]) -> Followed {
    let all: Vec<usize> = (0..deployment.edges.len()).collect();
    let mut followers = Vec::with_capacity(channels.len());
    for (index, channel) in channels.iter().enumerate() {
        let nodes = match index % (all.len() + 1) {
            alone if alone < all.len() => &all[alone..=alone],
            _ => &all[..],
        };
        followers.push(deployment.follow(nodes, "bob", channel, EARLIEST).await);
    }
    Followed::ByClients(followers)
}

/// Who takes in what the writers publish.
#[derive(Debug)]
pub enum Followed {
    /// These, until the checker has looked: a follower that is dropped leaves.
    ByClients(Vec<Follower>),
    /// The mirror alone.
    ByMirror,
}

/// Running writers.
#[derive(Debug)]
pub struct Traffic {
    stop: CancellationToken,
    writers: JoinSet<()>,
    acked: Arc<AtomicUsize>,
}

impl Traffic {
    /// Starts publishing to all of these channels, through all edge nodes.
    ///
    /// # Panics
    /// If no node takes a writer.
    pub async fn begin(deployment: &Deployment, channels: &[String]) -> Self {
        let nodes = deployment.edges.len();
        let edges = |index| (0..nodes).map(|edge| (edge + index) % nodes).collect();
        let edges: Vec<Vec<usize>> = (0..WRITERS).map(edges).collect();
        Self::begin_through(deployment, channels, &edges).await
    }

    /// Starts a writer for each of these lists of edge nodes, between which it moves.
    ///
    /// # Panics
    /// If no node takes a writer.
    pub async fn begin_through(
        deployment: &Deployment,
        channels: &[String],
        edges: &[Vec<usize>],
    ) -> Self {
        let mut traffic = Self {
            stop: CancellationToken::new(),
            writers: JoinSet::new(),
            acked: Arc::default(),
        };
        for (index, edges) in edges.iter().enumerate() {
            let publisher = Publisher {
                writer: deployment.writer(edges, &format!("ann{index}")).await,
                channels: channels.to_vec(),
                random: StdRng::seed_from_u64(deployment.seed.wrapping_add(index as u64)),
                body: BODIES * index as u64,
            };
            let (stop, acked) = (traffic.stop.clone(), Arc::clone(&traffic.acked));
            traffic.writers.spawn(publisher.run(stop, acked));
        }
        traffic
    }

    /// Events that have their ack.
    pub fn acked(&self) -> usize {
        self.acked.load(Ordering::Relaxed)
    }

    /// Fails at once when a writer has: nothing that waits for events would end.
    ///
    /// # Panics
    /// If a writer has ended.
    pub fn assert_flows(&mut self) {
        if let Some(ended) = self.writers.try_join_next() {
            panic!("a writer has ended: {ended:?}");
        }
    }

    /// Waits until so many more events have their ack.
    ///
    /// # Panics
    /// If they do not get it.
    pub async fn flows(&mut self, more: usize) {
        let enough = self.acked() + more;
        wait::until("events flow", async || {
            self.assert_flows();
            match self.acked() {
                acked if acked >= enough => Ok(()),
                acked => Err(format!("{acked} of {enough} have their ack")),
            }
        })
        .await;
    }

    /// Lets events flow on for a while, ends, and has the checker look at everything:
    /// it must have had something to look at.
    ///
    /// # Panics
    /// If the history is not clean, or empty.
    pub async fn conclude(mut self, deployment: &mut Deployment, followed: Followed) -> Report {
        self.flows(AFTERWARDS).await;
        self.end().await;
        let report = deployment.check().await;
        let counts = &report.counts;
        let looked_at = match followed {
            Followed::ByClients(followers) => {
                drop(followers);
                counts.deliveries_owed > 0 && counts.inputs_judged > 0
            }
            Followed::ByMirror => counts.mirror_owed > 0,
        };
        assert!(looked_at, "{report}");
        report
    }

    /// Stops publishing; every event has its ack when this returns.
    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.writers.join_next().await {
            if let Err(failed) = ended {
                panic!("a writer has failed: {failed}");
            }
        }
    }
}

struct Publisher {
    writer: Writer,
    channels: Vec<String>,
    random: StdRng,
    body: u64,
}

impl Publisher {
    async fn run(mut self, stop: CancellationToken, acked: Arc<AtomicUsize>) {
        let mut pace = tokio::time::interval(BURST_INTERVAL);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            pace.tick().await;
            for _ in 0..self.random.random_range(1..=BURST_EVENTS_MAX) {
                let at = self.random.random_range(0..self.channels.len());
                let channel = self.channels[at].clone();
                let data = self.data(&channel);
                let draft = Draft {
                    receipt: self.random.random_ratio(1, RECEIPT_EVERY),
                    ..Draft::json(channel, data)
                };
                let started = self.writer.start_draft(draft).await;
                started.unwrap_or_else(|error| {
                    panic!("{} cannot publish: {error}", self.writer.name())
                });
            }
            if self.random.random_ratio(1, MOVE_EVERY) {
                let moved = self.writer.client().reset().await;
                moved.expect("the session lasts as long as its writer");
            }
            acked.fetch_add(self.writer.settle_all().await, Ordering::Relaxed);
        }
    }

    /// What the probe is to do: count, and now and then take back what it has counted.
    fn order(&mut self, body: u64) -> String {
        let then = match self.random.random_range(0..ORDERS) {
            0 => r#","then":"reject""#,
            1 => r#","then":"retry","until_attempt":2"#,
            2 => r#","then":"trap","until_attempt":2"#,
            _ => "",
        };
        format!(r#"{{"do":"remember","txn":{body}{then}}}"#)
    }

    fn data(&mut self, channel: &str) -> String {
        self.body += 1;
        let body = self.body;
        match channel.starts_with("doc.") {
            true if self.random.random_ratio(1, MALFORMED_EVERY) => format!(r#"{{"txn":{body}}}"#),
            true => format!(r#"{{"txn":{body},"update":"AAAA"}}"#),
            false if channel.starts_with("lab.") => self.order(body),
            false => format!(r#"{{"text":{body}}}"#),
        }
    }
}
