//! Three brokers as one Kafka, with a proxy before each one's second door: any of them
//! can be killed, frozen, started again, cut off from the bridges.
//!
//! Owns the brokers and the proxies. Whose topics they hold, it does not know.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use devstack::{KafkaCluster, KafkaClusterPlan, KafkaOptions, KafkaServer};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataPartition;

use crate::blocking::blocking;
use crate::proxy::Proxy;
use crate::wait;

/// Brokers of a Kafka: each topic has a copy on every one.
pub const BROKERS: usize = 3;
/// How long brokers may take to tell their topics; they are asked again.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// Brokers; clones share them. The last one ends them.
#[derive(Debug, Clone)]
pub struct Brokers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster: Mutex<KafkaCluster>,
    bootstrap: String,
    doors: Vec<Proxy>,
}

impl Brokers {
    /// Starts brokers, of which the first `controllers` elect the controller.
    ///
    /// # Panics
    /// If they do not start.
    pub async fn start(node: &KafkaOptions, controllers: usize) -> Self {
        let plan = KafkaClusterPlan::new(node, BROKERS, controllers);
        let mut plan = plan.expect("ports are free");
        let mut doors = Vec::with_capacity(BROKERS);
        for broker in 0..BROKERS {
            let proxy = Proxy::to(plan.side_door(broker)).await;
            plan.detour(broker, proxy.address());
            doors.push(proxy);
        }
        let started = blocking(move || KafkaCluster::start(plan)).await;
        let cluster = started.unwrap_or_else(|error| panic!("kafka: {error}"));
        Self(Arc::new(Inner {
            bootstrap: cluster.bootstrap(),
            cluster: Mutex::new(cluster),
            doors,
        }))
    }

    /// Addresses of the brokers themselves, for those who look on.
    pub fn bootstrap(&self) -> &str {
        &self.0.bootstrap
    }

    /// Addresses of the proxies: whoever starts from them never gets past one.
    pub fn proxied_bootstrap(&self) -> String {
        let all: Vec<String> = self.0.doors.iter().map(Proxy::address).collect();
        all.join(",")
    }

    /// The proxy before a broker.
    pub fn door(&self, broker: usize) -> &Proxy {
        &self.0.doors[broker]
    }

    /// Kills a broker (SIGKILL).
    ///
    /// # Panics
    /// As all of these: if it fails.
    pub async fn kill(&self, broker: usize) {
        self.on(broker, KafkaServer::kill).await;
    }

    /// Freezes a broker (SIGSTOP).
    pub async fn pause(&self, broker: usize) {
        self.on(broker, KafkaServer::pause).await;
    }

    /// Lets a frozen broker go on.
    pub async fn resume(&self, broker: usize) {
        self.on(broker, KafkaServer::resume).await;
    }

    /// Starts brokers again, all at once, and waits until they serve.
    pub async fn restart(&self, brokers: &[usize]) {
        let brokers = brokers.to_vec();
        let done = self.with(move |cluster| cluster.restart(&brokers)).await;
        done.unwrap_or_else(|error| panic!("kafka: {error}"));
    }

    /// Waits until a transactional id has a coordinator other than `not`; who it is.
    pub async fn coordinator_but(&self, id: &str, not: Option<usize>) -> usize {
        wait::until(&format!("{id} has a coordinator"), async || {
            let id = id.to_owned();
            let found = self
                .with(move |cluster| cluster.transaction_coordinator(&id))
                .await;
            match found {
                Ok(found) if Some(found) != not => Ok(found),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Waits until a partition has a leader other than `not`; who it is.
    pub async fn leader_but(&self, topic: &str, partition: i32, not: Option<usize>) -> usize {
        wait::until(&format!("{topic}/{partition} is led"), async || {
            let found = self.partitions().await?;
            let found = found
                .iter()
                .find(|at| at.topic == topic && at.partition == partition);
            match found.and_then(|at| at.leader) {
                Some(leader) if Some(leader) != not => Ok(leader),
                other => Err(format!("by {other:?}")),
            }
        })
        .await
    }

    /// Waits until every partition of every topic has so many copies in sync.
    pub async fn in_sync(&self, copies: usize) {
        wait::until(&format!("{copies} copies are in sync"), async || {
            let found = self.partitions().await?;
            match found
                .iter()
                .find(|at| at.leader.is_none() || at.in_sync != copies)
            {
                Some(behind) => Err(format!("{behind:?}")),
                None => Ok(()),
            }
        })
        .await;
    }

    /// All partitions as any broker that answers tells them.
    pub async fn partitions(&self) -> Result<Vec<Partition>, String> {
        let bootstrap = self.0.bootstrap.clone();
        let read = move || -> Result<Vec<Partition>, rdkafka::error::KafkaError> {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .create()?;
            let metadata = consumer.fetch_metadata(None, METADATA_TIMEOUT)?;
            let topics = metadata.topics().iter();
            let all = topics.flat_map(|topic| {
                let partitions = topic.partitions().iter();
                partitions.map(|partition| Partition::of(topic.name(), partition))
            });
            Ok(all.collect())
        };
        blocking(read).await.map_err(|error| error.to_string())
    }

    async fn with<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut KafkaCluster) -> T + Send + 'static,
    ) -> T {
        let inner = Arc::clone(&self.0);
        // A test that panicked in a call left brokers behind that can still be stopped.
        blocking(move || call(&mut inner.cluster.lock().unwrap_or_else(PoisonError::into_inner)))
            .await
    }

    async fn on(&self, broker: usize, call: fn(&mut KafkaServer) -> devstack::Result<()>) {
        let done = self
            .with(move |cluster| call(cluster.broker_mut(broker)))
            .await;
        done.unwrap_or_else(|error| panic!("broker {broker}: {error}"));
    }
}

/// One partition, as brokers tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The broker that leads it, if there is one.
    pub leader: Option<usize>,
    /// Copies that have everything.
    pub in_sync: usize,
}

impl Partition {
    fn of(topic: &str, partition: &MetadataPartition) -> Self {
        Self {
            topic: topic.to_owned(),
            partition: partition.id(),
            // Brokers call themselves one more than we count.
            leader: usize::try_from(partition.leader() - 1).ok(),
            in_sync: partition.isr().len(),
        }
    }
}
