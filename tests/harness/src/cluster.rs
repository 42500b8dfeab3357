//! Three nats-servers as one cluster, with a proxy on the route of each pair: every
//! one of them can be killed, frozen, started again, cut off from the others.
//!
//! Owns the servers and the proxies between them. Which streams they hold, and what
//! happens to those meanwhile, it does not know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use devstack::nats::server_name;
use devstack::{NatsCluster, NatsClusterPlan, NatsOptions, NatsServer};

use crate::blocking::blocking;
use crate::disk::SmallDisk;
use crate::proxy::{Direction, Proxy};
use crate::wait;

/// Servers of a cluster: one may be lost.
pub const SERVERS: usize = 3;

/// A cluster; clones share it. The last one ends it.
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    servers: Mutex<NatsCluster>,
    urls: Vec<String>,
    routes: BTreeMap<(usize, usize), Proxy>,
    /// Under the first server. After the servers, so that nobody writes to it when it
    /// goes.
    disk: Option<SmallDisk>,
}

impl Cluster {
    /// Starts servers with these options, the first one on the disk if there is one,
    /// and waits until they are one cluster.
    ///
    /// # Panics
    /// If they do not start.
    pub async fn start(node: &NatsOptions, disk: Option<SmallDisk>) -> Self {
        let mut plan = NatsClusterPlan::new(node, SERVERS).expect("ports are free");
        if let Some(disk) = &disk {
            plan.node(0).store = Some(disk.path().to_path_buf());
        }
        let mut routes = BTreeMap::new();
        for (first, second) in plan.pairs() {
            let proxy = Proxy::to(plan.route_address(second)).await;
            plan.detour((first, second), proxy.address());
            routes.insert((first, second), proxy);
        }
        let started = blocking(move || NatsCluster::start(plan)).await;
        let servers = started.unwrap_or_else(|error| panic!("a nats cluster: {error}"));
        let cluster = Self(Arc::new(Inner {
            urls: (0..SERVERS).map(|at| servers.server(at).url()).collect(),
            servers: Mutex::new(servers),
            routes,
            disk,
        }));
        let used = |proxy: &Proxy| {
            Direction::BOTH
                .iter()
                .all(|direction| proxy.passed(*direction) > 0)
        };
        assert!(
            cluster.0.routes.values().all(used),
            "routes go through their proxies"
        );
        cluster
    }

    /// Addresses of all servers, separated by commas.
    pub fn url(&self) -> String {
        self.0.urls.join(",")
    }

    /// Address of one server, `nats://host:port`.
    pub fn url_of(&self, server: usize) -> &str {
        &self.0.urls[server]
    }

    /// A proxy before one server, for whoever should reach NATS through it alone.
    pub async fn proxy_to(&self, server: usize) -> Proxy {
        let url = self.url_of(server);
        Proxy::to(url.trim_start_matches("nats://")).await
    }

    /// The disk under the first server.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.0.disk.as_ref()
    }

    /// Kills a server (SIGKILL).
    ///
    /// # Panics
    /// As all of these: if it fails.
    pub async fn kill(&self, server: usize) {
        self.on(server, NatsServer::kill).await;
    }

    /// Starts a server again, on its data and ports; waits until it takes connections,
    /// not until it has caught up.
    pub async fn restart(&self, server: usize) {
        self.on(server, NatsServer::restart).await;
    }

    /// Freezes a server (SIGSTOP).
    pub async fn pause(&self, server: usize) {
        self.on(server, NatsServer::pause).await;
    }

    /// Lets a frozen server go on.
    pub async fn resume(&self, server: usize) {
        self.on(server, NatsServer::resume).await;
    }

    /// Cuts a server off from the others; clients reach it as before. `told`: routes
    /// are closed; else nothing passes any more and nobody is told.
    pub fn isolate(&self, server: usize, told: bool) {
        for (pair, proxy) in &self.0.routes {
            if pair.0 == server || pair.1 == server {
                match told {
                    true => proxy.cut(),
                    false => proxy.hold(&Direction::BOTH),
                }
            }
        }
    }

    /// Heals every route.
    pub fn heal(&self) {
        self.0.routes.values().for_each(Proxy::heal);
    }

    /// Waits until most servers agree about who leads a stream (`KV_{bucket}` for a
    /// bucket), and tells who it is.
    pub async fn leader(&self, stream: &str) -> usize {
        self.leader_but(stream, None).await
    }

    /// As [`Self::leader`]; waits until it is somebody else than `not`.
    pub async fn leader_but(&self, stream: &str, not: Option<usize>) -> usize {
        wait::until(&format!("{stream} is led"), async || {
            let name = stream.to_owned();
            match self.with(move |servers| servers.leader(&name)).await {
                Some(leader) if Some(leader) != not => Ok(leader),
                other => Err(format!("by {other:?}")),
            }
        })
        .await
    }

    /// Makes a server lead a stream.
    ///
    /// # Panics
    /// If that does not happen.
    pub async fn lead(&self, stream: &str, server: usize) {
        let client = async_nats::connect(self.url_of(server)).await;
        let client = client.expect("nats takes connections");
        let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{stream}");
        let wish = format!(
            r#"{{"placement":{{"preferred":"{}"}}}}"#,
            server_name(server)
        );
        wait::until(
            &format!("server {server} leads {stream}"),
            async || match self.leader(stream).await {
                leader if leader == server => Ok(()),
                leader => {
                    let asked = client.request(subject.clone(), wish.clone().into()).await;
                    let answer = asked.map_err(|error| error.to_string())?;
                    Err(format!("{leader} does, and says {:?}", answer.payload))
                }
            },
        )
        .await;
    }

    /// Waits until every server has everything.
    pub async fn whole(&self) {
        let whole = self.with(|servers| servers.whole()).await;
        whole.unwrap_or_else(|error| panic!("the cluster is not whole: {error}"));
    }

    /// Runs a call that blocks.
    async fn with<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut NatsCluster) -> T + Send + 'static,
    ) -> T {
        let inner = Arc::clone(&self.0);
        // A test that panicked in a call left servers behind that can still be stopped.
        blocking(move || call(&mut inner.servers.lock().unwrap_or_else(PoisonError::into_inner)))
            .await
    }

    async fn on(&self, server: usize, call: fn(&mut NatsServer) -> devstack::Result<()>) {
        let done = self
            .with(move |servers| call(servers.server_mut(server)))
            .await;
        done.unwrap_or_else(|error| panic!("nats-server {server}: {error}"));
    }
}
