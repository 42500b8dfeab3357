//! Three edge nodes are restarted one after the other while events flow and some hundred
//! clients are there: nothing is lost, and those who leave a node come to the others spread
//! out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::raw::Received;
use harness::traffic::{Traffic, channels, follow_all};
use harness::{DEADLINE, Deployment, NatsChoice, RawSession, wait};
use protocol::close_code::CloseCode;
use protocol::frame::{Action, Encoding, Subscribe};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hunt::forgetful;

/// Nodes.
const NODES: usize = 3;
/// Clients that do nothing but stay connected.
const GUESTS: usize = 240;
/// Sessions that leave a draining node in a second: it takes seconds.
const CLOSES_PER_SECOND: u64 = 20;
/// Comings back are counted by such parts of time: as long as a node spreads them itself.
const PART: Duration = Duration::from_secs(1);
/// Events that have their ack between two restarts.
const BETWEEN: usize = 100;

/// When guests came back.
type Returns = Arc<Mutex<Vec<Instant>>>;

/// One that goes to another node when its own goes away, as PROTOCOL says.
struct Guest {
    nodes: Vec<SocketAddr>,
    token: String,
    name: String,
    returns: Returns,
}

impl Guest {
    async fn stay(self, first: usize, stop: CancellationToken) {
        let mut node = first;
        let mut session = self.come(&mut node).await;
        loop {
            // Cancel safe: the session is given up then.
            let wait_ms = tokio::select! {
                () = stop.cancelled() => return,
                wait_ms = sent_away(&mut session) => wait_ms,
            };
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            node += 1;
            session = self.come(&mut node).await;
            self.returns.lock().unwrap().push(Instant::now());
        }
    }

    /// Connects to a node, or to the one behind it if that does not take anybody.
    async fn come(&self, node: &mut usize) -> RawSession {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.enter(self.nodes[*node % self.nodes.len()]).await {
                Ok(session) => return session,
                Err(error) => assert!(Instant::now() < deadline, "{}: {error:#}", self.name),
            }
            *node += 1;
        }
    }

    async fn enter(&self, node: SocketAddr) -> anyhow::Result<RawSession> {
        let mut session = RawSession::open(node, Encoding::Json, None).await?;
        session.connect(&self.token, &self.name).await?;
        let subscribe = Action::Subscribe(Subscribe::new("chat.guests"));
        let reply = session.ask(subscribe).await?;
        anyhow::ensure!(reply.error.is_none(), "{:?}", reply.error);
        Ok(session)
    }
}

/// Waits until the node says that it goes away and closes; after how long to come back.
async fn sent_away(session: &mut RawSession) -> u64 {
    let mut told = None;
    loop {
        match session.next().await {
            Received::Frame(frame) => {
                told = frame
                    .going_away
                    .map(|told| told.reconnect_after_ms)
                    .or(told);
            }
            Received::Closed(code, _) => {
                assert_eq!(code, CloseCode::Restart.number());
                return told.expect("a node says that it goes away before it does");
            }
            Received::Lost => panic!("a node that is restarted closes its sessions"),
        }
    }
}

/// Restarts every node in turn; each serves again before the next one ends.
pub async fn restart(nats: NatsChoice) {
    let builder = forgetful().without_mirror().nats(nats).edges(NODES);
    let builder = builder.edge_config(|_, config| {
        config.limits.closes_per_second = CLOSES_PER_SECOND;
        config.limits.connections_per_user = 2 * GUESTS;
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let channels = channels(&deployment);
    let followers = follow_all(&mut deployment, &channels).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;
    let (returns, stop) = (Returns::default(), CancellationToken::new());
    let mut guests = guests(&deployment, &returns, &stop);
    traffic.flows(BETWEEN).await;
    for node in 0..NODES {
        returns.lock().unwrap().clear();
        deployment.edges[node].restart().await;
        deployment.edges[node].ready().await;
        spread(&returns, node).await;
        traffic.flows(BETWEEN).await;
        if let Some(ended) = guests.try_join_next() {
            panic!("a guest has ended: {ended:?}");
        }
    }
    stop.cancel();
    while let Some(ended) = guests.join_next().await {
        ended.unwrap();
    }
    traffic.conclude(&mut deployment, followers).await;
    deployment.stop().await;
}

fn guests(deployment: &Deployment, returns: &Returns, stop: &CancellationToken) -> JoinSet<()> {
    let nodes: Vec<_> = deployment.edges.iter().map(|edge| edge.address()).collect();
    let mut guests = JoinSet::new();
    for index in 0..GUESTS {
        let guest = Guest {
            nodes: nodes.clone(),
            token: deployment.token("guest"),
            name: format!("guest-{index}"),
            returns: returns.clone(),
        };
        guests.spawn(guest.stay(index % NODES, stop.clone()));
    }
    guests
}

/// Whoever was on the node is back, and in no second did more than twice as many come as in
/// the mean.
async fn spread(returns: &Returns, node: usize) {
    wait::until("the node's guests are back", async || {
        match returns.lock().unwrap().len() {
            few if few < GUESTS / NODES => Err(format!("{few} so far")),
            _ => Ok(()),
        }
    })
    .await;
    let mut times = returns.lock().unwrap().clone();
    times.sort();
    let begun = times[0];
    let mut parts: Vec<usize> = Vec::new();
    for time in &times {
        let part = (time.duration_since(begun).as_millis() / PART.as_millis()) as usize;
        parts.resize(parts.len().max(part + 1), 0);
        parts[part] += 1;
    }
    let mean = times.len() as f64 / parts.len() as f64;
    let peak = parts.iter().max().copied().unwrap_or_default() as f64;
    assert!(peak <= 2.0 * mean, "node {node}: {parts:?}");
}
