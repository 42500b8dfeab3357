//! Several nats-servers that are one cluster. [`NatsCluster`] owns them; who is put
//! between them, and which streams they hold, is the caller's business.
//!
//! Each pair has one route, dialled by the one that comes first, so that whatever
//! stands at the dialled address sees all that the two say to each other.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::monitor::{self, Replica};
use super::settings::{NatsMember, NatsOptions};
use super::{NatsServer, StreamView};
use crate::error::{DevstackError, Result};
use crate::port::Lease;
use crate::process::wait_for;
use crate::server::Program;

/// What every cluster here calls itself.
const NAME: &str = "eddyline";
/// Longest wait for a cluster to be whole: an election takes 2 to 5 s, and a busy
/// machine several times that.
const WHOLE_DEADLINE: Duration = Duration::from_secs(90);

/// What a cluster will be.
#[derive(Debug)]
pub struct NatsClusterPlan {
    nodes: Vec<NatsOptions>,
    routes: Vec<Lease>,
    /// Where nobody listens: see [`NatsMember::advertise`].
    nowhere: Lease,
    detours: BTreeMap<(usize, usize), String>,
}

/// A running cluster. Its servers may be stopped, killed and frozen one by one.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<NatsServer>,
    /// Held for their locks: ports of routes stay ours.
    _ports: Vec<Lease>,
}

impl NatsClusterPlan {
    /// A cluster of so many servers, each with these options. Data folders are
    /// temporary, and ports free ones, whatever the options say.
    ///
    /// # Errors
    /// No port is free.
    pub fn new(node: &NatsOptions, count: usize) -> Result<NatsClusterPlan> {
        let node = NatsOptions {
            data: None,
            port: 0,
            monitor_port: 0,
            ..node.clone()
        };
        Ok(NatsClusterPlan {
            nodes: vec![node; count],
            routes: (0..count).map(|_| Lease::free()).collect::<Result<_>>()?,
            nowhere: Lease::free()?,
            detours: BTreeMap::new(),
        })
    }

    /// The options of one server, for what is particular to it.
    pub fn node(&mut self, index: usize) -> &mut NatsOptions {
        &mut self.nodes[index]
    }

    /// Where a server will take routes, `host:port`.
    pub fn route_address(&self, index: usize) -> String {
        self.routes[index].address()
    }

    /// Every pair: the first dials the second.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let count = self.nodes.len();
        (0..count)
            .flat_map(|first| (first + 1..count).map(move |second| (first, second)))
            .collect()
    }

    /// Makes the first of a pair dial this address, from where the second must be
    /// reached.
    pub fn detour(&mut self, pair: (usize, usize), address: String) {
        self.detours.insert(pair, address);
    }

    fn member(&self, index: usize) -> NatsMember {
        let dialled = |other: usize| {
            let detour = self.detours.get(&(index, other)).cloned();
            detour.unwrap_or_else(|| self.route_address(other))
        };
        // Itself too: a server without any route refuses to be part of a cluster, and
        // knows its own address when it meets it.
        let routes = index..self.nodes.len();
        NatsMember {
            cluster: NAME.to_owned(),
            name: server_name(index),
            listen: self.route_address(index),
            advertise: self.nowhere.address(),
            routes: routes.map(dialled).collect(),
        }
    }
}

/// The name of a server in its cluster, by its number from 0.
pub fn server_name(index: usize) -> String {
    format!("n{index}")
}

impl NatsCluster {
    /// Starts all servers and waits until they are one cluster. Blocks for seconds.
    ///
    /// # Errors
    /// A server does not start, or they do not find together; logs are quoted.
    pub fn start(plan: NatsClusterPlan) -> Result<NatsCluster> {
        let mut servers = Vec::with_capacity(plan.nodes.len());
        for (index, node) in plan.nodes.iter().enumerate() {
            let mut options = node.clone();
            options.member = Some(plan.member(index));
            servers.push(NatsServer::start(options)?);
        }
        let mut ports = plan.routes;
        ports.push(plan.nowhere);
        let cluster = NatsCluster {
            servers,
            _ports: ports,
        };
        cluster.whole()?;
        Ok(cluster)
    }

    /// How many servers there are.
    pub fn size(&self) -> usize {
        self.servers.len()
    }

    /// Addresses of all servers, separated by commas.
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.servers.iter().map(NatsServer::url).collect();
        urls.join(",")
    }

    /// One of them.
    pub fn server(&self, index: usize) -> &NatsServer {
        &self.servers[index]
    }

    /// One of them, to be stopped, killed, frozen, started again on its data and ports.
    pub fn server_mut(&mut self, index: usize) -> &mut NatsServer {
        &mut self.servers[index]
    }

    /// Who leads a stream (`KV_{bucket}` for a bucket), as most of those say that can
    /// be asked; `None` while they do not agree or nobody does.
    pub fn leader(&self, stream: &str) -> Option<usize> {
        let mut votes = vec![0; self.size()];
        for index in 0..self.size() {
            if let Some(leader) = self.leader_seen_by(index, stream) {
                votes[leader] += 1;
            }
        }
        votes.iter().position(|count| *count > self.size() / 2)
    }

    /// Who leads a stream as one server sees it; `None` if it does not answer, has no
    /// copy or knows no leader.
    pub fn leader_seen_by(&self, index: usize, stream: &str) -> Option<usize> {
        let streams = self.asked(index)?.streams().ok()?;
        let found = streams.into_iter().find(|view| view.name == stream)?;
        self.index_of(&found.leader?)
    }

    /// Who leads the meta group, which places streams; as [`NatsCluster::leader`].
    pub fn meta_leader(&self) -> Option<usize> {
        let mut votes = vec![0; self.size()];
        for index in 0..self.size() {
            let meta = self
                .asked(index)
                .map(|server| monitor::meta(&address(server)));
            let leader = meta.and_then(|meta| meta.ok()?.leader);
            if let Some(leader) = leader.and_then(|name| self.index_of(&name)) {
                votes[leader] += 1;
            }
        }
        votes.iter().position(|count| *count > self.size() / 2)
    }

    /// Waits until every server runs and has everything, and every stream has a leader
    /// whose copies are all current.
    ///
    /// # Errors
    /// [`DevstackError::NotReady`] says what is missing.
    pub fn whole(&self) -> Result<()> {
        let mut missing = String::new();
        let whole = wait_for(WHOLE_DEADLINE, || {
            self.look().map_err(|problem| missing = problem).ok()
        });
        whole.ok_or_else(|| DevstackError::NotReady {
            server: super::Nats::NAME,
            waited: WHOLE_DEADLINE,
            problem: missing,
            log: self.log_tails(),
        })
    }

    fn look(&self) -> Result<(), String> {
        let meta = self.meta_leader().ok_or("the meta group has no leader")?;
        let text = |index: usize, error: io::Error| format!("{}: {error}", server_name(index));
        for index in 0..self.size() {
            let monitor = address(&self.servers[index]);
            monitor::healthy(&monitor).map_err(|error| text(index, error))?;
            let view = monitor::meta(&monitor).map_err(|error| text(index, error))?;
            if view.size != self.size() as u64 {
                return Err(format!(
                    "{} knows {} members",
                    server_name(index),
                    view.size
                ));
            }
            if index == meta {
                self.complete("the meta group", &view.replicas)?;
            }
            let streams = self.servers[index].streams();
            for stream in streams.map_err(|error| text(index, error))? {
                self.stream_is_whole(index, &stream)?;
            }
        }
        Ok(())
    }

    fn stream_is_whole(&self, index: usize, stream: &StreamView) -> Result<(), String> {
        let leader = stream
            .leader
            .as_deref()
            .and_then(|name| self.index_of(name));
        let leader = leader.ok_or_else(|| format!("{} has no leader", stream.name))?;
        // Only the leader knows how far the copies are; a stream may have fewer.
        match leader == index {
            true => current(&stream.name, &stream.replicas),
            false => Ok(()),
        }
    }

    fn complete(&self, what: &str, replicas: &[Replica]) -> Result<(), String> {
        if replicas.len() + 1 != self.size() {
            return Err(format!("{what} has {} members", replicas.len() + 1));
        }
        current(what, replicas)
    }

    /// A server, unless it is stopped.
    fn asked(&self, index: usize) -> Option<&NatsServer> {
        let server = &self.servers[index];
        server.pid().map(|_| server)
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        (0..self.size()).find(|index| server_name(*index) == name)
    }

    fn log_tails(&self) -> String {
        let tails = self.servers.iter().enumerate();
        let tails =
            tails.map(|(index, server)| format!("{}:\n{}", server_name(index), server.log_tail()));
        tails.collect::<Vec<_>>().join("\n")
    }
}

fn address(server: &NatsServer) -> String {
    server.program.monitor.address()
}

fn current(what: &str, replicas: &[Replica]) -> Result<(), String> {
    match replicas.iter().find(|replica| !replica.current) {
        Some(behind) => Err(format!("{}'s copy of {what} is behind", behind.name)),
        None => Ok(()),
    }
}
