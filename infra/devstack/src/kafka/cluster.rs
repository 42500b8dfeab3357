//! Several brokers that are one Kafka. [`KafkaCluster`] owns them; which topics they
//! hold is the caller's business.

use super::settings::{self, KafkaMember, KafkaOptions};
use super::{Kafka, KafkaServer, wire};
use crate::error::{DevstackError, Result};
use crate::port::Lease;
use crate::server::Program;

/// Heap of each broker in MiB: it shares the machine with the others.
const HEAP_MB: u32 = 256;

/// What a cluster will be.
#[derive(Debug)]
pub struct KafkaClusterPlan {
    node: KafkaOptions,
    /// For brokers, and for the doors beside them.
    doors: Vec<Lease>,
    controllers: Vec<Lease>,
    told: Vec<Option<String>>,
}

/// A running Kafka of several brokers. They may be stopped, killed and frozen one by
/// one. Brokers are counted from 0 here, and call themselves one more.
#[derive(Debug)]
pub struct KafkaCluster {
    brokers: Vec<KafkaServer>,
    /// Held for their locks: ports stay ours.
    _ports: Vec<Lease>,
}

impl KafkaClusterPlan {
    /// So many brokers with these options, the first `controllers` of which elect the
    /// controller: with all of them, any one may be lost; with one, all others may.
    ///
    /// # Errors
    /// No port is free.
    pub fn new(node: &KafkaOptions, count: usize, controllers: usize) -> Result<KafkaClusterPlan> {
        let free = |count: usize| (0..count).map(|_| Lease::free()).collect::<Result<_>>();
        Ok(KafkaClusterPlan {
            node: KafkaOptions {
                data: None,
                port: 0,
                heap_mb: HEAP_MB,
                ..node.clone()
            },
            doors: free(count)?,
            controllers: free(controllers)?,
            told: vec![None; count],
        })
    }

    /// Where a broker has a second door for clients, `host:port`.
    pub fn side_door(&self, broker: usize) -> String {
        self.doors[broker].address()
    }

    /// Opens a broker's second door, and makes the broker tell clients that come
    /// through it to come by this address: it must lead to [`Self::side_door`].
    pub fn detour(&mut self, broker: usize, address: String) {
        self.told[broker] = Some(address);
    }

    fn options(&self, broker: usize, cluster_id: &str) -> KafkaOptions {
        let told = self.told[broker].clone();
        let member = KafkaMember {
            id: node_id(broker),
            cluster_id: cluster_id.to_owned(),
            controllers: self.controllers.iter().map(Lease::address).collect(),
            side_door: told.map(|told| (self.side_door(broker), told)),
        };
        KafkaOptions {
            member: Some(member),
            ..self.node.clone()
        }
    }
}

/// What a broker calls itself.
fn node_id(broker: usize) -> u32 {
    u32::try_from(broker + 1).expect("there are a few brokers")
}

impl KafkaCluster {
    /// Starts all brokers at once, since none is ready alone. Blocks for several
    /// seconds.
    ///
    /// # Errors
    /// A broker does not start; its log is quoted.
    pub fn start(plan: KafkaClusterPlan) -> Result<KafkaCluster> {
        let id = settings::cluster_id();
        let options = (0..plan.doors.len()).map(|broker| plan.options(broker, &id));
        let brokers = at_once(options, KafkaServer::start)?;
        let mut ports = plan.doors;
        ports.extend(plan.controllers);
        Ok(KafkaCluster {
            brokers,
            _ports: ports,
        })
    }

    /// How many brokers there are.
    pub fn size(&self) -> usize {
        self.brokers.len()
    }

    /// Addresses of all brokers, separated by commas; they do not lead through detours.
    pub fn bootstrap(&self) -> String {
        let all: Vec<String> = self.brokers.iter().map(KafkaServer::bootstrap).collect();
        all.join(",")
    }

    /// One of them, to be stopped, killed and frozen. To start several again, use
    /// [`Self::restart`]: they may need each other to be ready.
    pub fn broker_mut(&mut self, broker: usize) -> &mut KafkaServer {
        &mut self.brokers[broker]
    }

    /// Starts these brokers again, all at once, on their data and ports.
    ///
    /// # Errors
    /// A broker does not start; its log is quoted.
    pub fn restart(&mut self, brokers: &[usize]) -> Result<()> {
        let chosen = self.brokers.iter_mut().enumerate();
        let chosen = chosen.filter(|(broker, _)| brokers.contains(broker));
        at_once(chosen, |(_, server)| server.restart()).map(drop)
    }

    /// Which broker looks after a transactional id.
    ///
    /// # Errors
    /// No broker that runs knows it.
    pub fn transaction_coordinator(&self, id: &str) -> Result<usize> {
        let mut failed = std::io::Error::other("no broker runs");
        for broker in self.brokers.iter().filter(|broker| broker.pid().is_some()) {
            match wire::transaction_coordinator(&broker.bootstrap(), id) {
                Ok(node) => return Ok(usize::try_from(node - 1).unwrap_or_default()),
                Err(error) => failed = error,
            }
        }
        Err(DevstackError::Unreachable {
            server: Kafka::NAME,
            address: self.bootstrap(),
            source: failed,
        })
    }
}

/// Calls that block, each on a thread; the first error once all have ended.
fn at_once<I: Send, T: Send>(
    items: impl Iterator<Item = I>,
    call: impl Fn(I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let call = &call;
    std::thread::scope(|scope| {
        let running: Vec<_> = items.map(|item| scope.spawn(move || call(item))).collect();
        let ended = running.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        // All of them are waited for before the first error is returned.
        ended.collect::<Vec<_>>().into_iter().collect()
    })
}
