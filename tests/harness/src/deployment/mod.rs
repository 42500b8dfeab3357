//! Everything together: servers, a store with namespaces and functions, instances of
//! the services, clients, and the way into the checker.
//!
//! Owns all of it; dropping a deployment ends everything that it started. Each has a
//! NATS server of its own, so that deployments never meet.
//!
//! - `builder`: what a deployment is made of; `setup`: what its store holds
//! - `check`: waiting until everything has arrived, and judging the history

mod builder;
mod check;
mod setup;

use std::collections::BTreeMap;
use std::time::Duration;

use auth::Signer;
use bridge::BridgeConfig;
use bus::Bus;
use checker::{Expected, Recorder};
use client::replay::ReplayClient;
use client::{ClientOptions, Start};
use edge::EdgeConfig;
use protocol::name::{Tenant, User};
use protocol::report::WorkerReport;
use protocol::secret::Secret;
use protocol::spec::{FunctionLimits, FunctionSpec, StoreSpec};
use protocol::stream::Bucket;
use tempfile::TempDir;
use workers::WorkerConfig;

use crate::collect::streams::Log;
use crate::follower::{Follower, View};
use crate::instance::Instance;
use crate::onlooker::Onlooker;
use crate::servers::Servers;
use crate::wait;
use crate::writer::Writer;

pub use builder::Builder;
pub use setup::{FunctionChoice, TICKS};

/// How long tokens of tests last.
const TOKEN_TTL: Duration = Duration::from_secs(3600);
/// What tokens of tests allow.
const SCOPES: [&str; 6] = [
    "publish:>",
    "subscribe:>",
    "replay:>",
    "inputs:>",
    "manage:>",
    "trace:>",
];

/// A whole system under test.
pub struct Deployment {
    /// Edge nodes.
    pub edges: Vec<Instance<EdgeConfig>>,
    /// Workers.
    pub workers: Vec<Instance<WorkerConfig>>,
    /// Bridges.
    pub bridges: Vec<Instance<BridgeConfig>>,
    /// The history.
    pub recorder: Recorder,
    /// The number from which the test's random choices follow.
    pub seed: u64,
    /// The tenant of every client.
    pub tenant: Tenant,
    /// The store.
    pub store: StoreSpec,
    /// The functions that are deployed.
    pub functions: Vec<FunctionSpec>,
    /// A connection of the test's own.
    pub bus: Bus,
    /// The secret that signs tokens.
    pub secret: Secret,
    signer: Signer,
    /// Distinguishes this deployment in a Kafka that others use too.
    token: String,
    expectations: BTreeMap<String, Vec<Expected>>,
    views: Vec<std::sync::Arc<View>>,
    ingress: Log,
    events: Log,
    folder: TempDir,
    /// Last, so that the servers outlive everything that uses them.
    pub servers: Servers,
}

impl Deployment {
    /// Begins a deployment: two edge nodes, a worker and a bridge in this process, with
    /// the functions of documents.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A token that allows everything.
    pub fn token(&self, user: &str) -> String {
        self.token_with(user, &SCOPES, TOKEN_TTL)
    }

    /// Any token.
    pub fn token_with(&self, user: &str, scopes: &[&str], ttl: Duration) -> String {
        let user = User::parse(user).expect("a test names valid users");
        self.signer.mint(&self.tenant, &user, scopes, ttl)
    }

    /// A token of another tenant, for everything of its own.
    pub fn token_of(&self, tenant: &str, user: &str) -> String {
        let tenant = Tenant::parse(tenant).expect("a test names valid tenants");
        let user = User::parse(user).expect("a test names valid users");
        let scopes = ["publish:>", "subscribe:>"];
        self.signer.mint(&tenant, &user, &scopes, TOKEN_TTL)
    }

    /// How a client of these edge nodes connects; they are tried in this order.
    pub fn client_options(&self, edges: &[usize], user: &str) -> ClientOptions {
        let mut options = ClientOptions::new(String::new(), self.token(user));
        options.edges = edges
            .iter()
            .map(|edge| self.edges[*edge].address().to_string())
            .collect();
        options
    }

    /// A recording publisher.
    ///
    /// # Panics
    /// If no node takes it.
    pub async fn writer(&self, edges: &[usize], user: &str) -> Writer {
        self.writer_with(self.client_options(edges, user), user)
            .await
    }

    /// A recording publisher with options of its own. `user` is the one of its token.
    ///
    /// # Panics
    /// If no node takes it.
    pub async fn writer_with(&self, options: ClientOptions, user: &str) -> Writer {
        let writer = Writer::connect(
            options,
            &self.recorder,
            &self.tenant,
            user,
            &self.store.name,
        )
        .await;
        writer.unwrap_or_else(|error| panic!("{user} cannot connect: {error}"))
    }

    /// A recording subscriber, which the check will wait for.
    ///
    /// # Panics
    /// If no node takes it.
    pub async fn follow(
        &mut self,
        edges: &[usize],
        user: &str,
        channel: &str,
        start: Start,
    ) -> Follower {
        let options = self.client_options(edges, user);
        self.follow_with(options, channel, start).await
    }

    /// A recording subscriber with options of its own.
    ///
    /// # Panics
    /// If no node takes it.
    pub async fn follow_with(
        &mut self,
        options: ClientOptions,
        channel: &str,
        start: Start,
    ) -> Follower {
        let name = format!("subscriber-{}", self.views.len() + 1);
        let joined =
            Follower::join(options, &self.recorder, &self.tenant, name, channel, start).await;
        let follower =
            joined.unwrap_or_else(|error| panic!("cannot subscribe to {channel}: {error}"));
        self.views.push(std::sync::Arc::clone(follower.view()));
        follower
    }

    /// A recording witness of the demo.
    pub fn onlooker(&self) -> std::sync::Arc<Onlooker> {
        let onlooker = Onlooker::new(&self.recorder, &self.tenant, &self.store.name);
        std::sync::Arc::new(onlooker)
    }

    /// A client of a bridge's replay.
    ///
    /// # Panics
    /// If the bridge does not answer.
    pub async fn replay_client(&self, bridge: usize, user: &str) -> ReplayClient {
        let (address, token) = (self.bridges[bridge].address(), self.token(user));
        wait::until("the bridge answers", async || {
            let client = ReplayClient::connect(address, &token).await;
            client.map_err(|error| error.to_string())
        })
        .await
    }

    /// Says how single inputs of a function must end; the check demands it.
    pub fn expect(
        &mut self,
        function: FunctionChoice,
        expected: impl IntoIterator<Item = Expected>,
    ) {
        let list = self
            .expectations
            .entry(function.name().to_owned())
            .or_default();
        list.extend(expected);
    }

    /// Deploys a function while everything runs, as it would have been at the start.
    ///
    /// # Panics
    /// If it is not accepted.
    pub async fn deploy(&mut self, choice: FunctionChoice) {
        let limits = FunctionLimits::default();
        let specs = setup::functions(&self.bus, &self.store.name, &[choice], &limits).await;
        self.functions
            .retain(|spec| spec.name.as_str() != choice.name());
        self.functions.extend(specs);
    }

    /// Lets the ticker make no more ticks, and handle those that it has made: a check waits
    /// for an end.
    ///
    /// # Panics
    /// If some worker does not take that up.
    pub async fn end_ticks(&self) {
        setup::end_ticks(&self.bus, &self.store.name).await;
    }

    /// What each worker of the store says of itself, by name.
    ///
    /// # Errors
    /// The bucket cannot be read now.
    pub async fn reports(&self) -> Result<BTreeMap<String, WorkerReport>, String> {
        let bucket = self.bus.kv(Bucket::Workers).await;
        let bucket = bucket.map_err(|error| error.to_string())?;
        let entries = bucket.entries().await.map_err(|error| error.to_string())?;
        let reports = entries.iter().map(|(_, json, _)| {
            let report: WorkerReport =
                serde_json::from_slice(json).map_err(|error| error.to_string())?;
            Ok((report.name.clone(), report))
        });
        reports.collect()
    }

    /// How many lanes each worker of the store says that it owns, by its name.
    ///
    /// # Errors
    /// As [`Self::reports`].
    pub async fn owned(&self) -> Result<BTreeMap<String, usize>, String> {
        let reports = self.reports().await?.into_iter();
        let count = reports.map(|(name, report)| {
            let functions = report.functions.values();
            (name, functions.map(|function| function.lanes.len()).sum())
        });
        Ok(count.collect())
    }

    /// First part of this deployment's topics in Kafka.
    pub fn topic_prefix(&self) -> &str {
        &self.token
    }

    /// What every instance is doing, for a failure's message.
    pub fn describe(&mut self) -> String {
        let mut text = vec![format!("seed {}", self.seed)];
        text.extend(self.edges.iter_mut().map(Instance::describe));
        text.extend(self.workers.iter_mut().map(Instance::describe));
        text.extend(self.bridges.iter_mut().map(Instance::describe));
        text.join("\n")
    }

    /// Stops every instance in order.
    ///
    /// # Panics
    /// If one does not drain.
    pub async fn stop(&mut self) {
        for edge in &mut self.edges {
            edge.stop().await;
        }
        for worker in &mut self.workers {
            worker.stop().await;
        }
        for bridge in &mut self.bridges {
            bridge.stop().await;
        }
    }
}
