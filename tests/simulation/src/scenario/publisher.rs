//! Edges that die between storing an event and answering for it; clients that send
//! again elsewhere, at once or after the duplicate window.
//!
//! Owns edges and clients. What runs is the edge's publisher. A client keeps its part of
//! the contract: on a new session it sends what is open first, in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::bootstrap::StoreSettings;
use bytes::Bytes;
use checker::{Acked, Recorder, Refused, Sent};
use edge::core::draft::Draft;
use edge::core::publisher::{Answer, Publisher, Writer};
use edge::core::quota::task::Quotas;
use protocol::frame::{ErrorBody, Published, StoredIn};
use protocol::subject::Kind;
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::sync::oneshot::Receiver;
use tokio_util::task::TaskTracker;

use crate::collect::{body, channel};
use crate::plan::{Act, Mix, Step};
use crate::world::{World, channel_of, tenant};

const EDGES: u32 = 3;
const CLIENTS: u32 = 3;
/// Events that a client has open at most.
const WINDOW: usize = 16;
/// The duplicate window: long enough for what the store's clock is set by.
const REMEMBERED: Duration = Duration::from_secs(120);
/// Longer than any run.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

pub const MIX: Mix = &[
    (60, Act::Work, CLIENTS - 1, 2),
    (8, Act::Again, CLIENTS - 1, EDGES - 1),
    (4, Act::Crash, EDGES - 1, 0),
    (4, Act::Cut, EDGES - 1, 1_400),
    (3, Act::Break, EDGES - 1, 300),
    (3, Act::Weather, 0, 2),
    (2, Act::Stale, 0, 5_000),
    (2, Act::Leader, 0, 2_000),
    (1, Act::Batch, 0, 0),
    (1, Act::Clock, 0, 40),
    (3, Act::Pass, 0, 4),
    (1, Act::Pass, 0, 200),
];

pub fn settings() -> StoreSettings {
    crate::world::settings(REMEMBERED, KEPT)
}

/// Edges and clients.
pub struct Scene {
    world: World,
    edges: Vec<Edge>,
    clients: Vec<Client>,
    born: u32,
}

struct Edge {
    name: String,
    publisher: Arc<Publisher>,
    stop: Shutdown,
}

struct Client {
    name: String,
    n: u64,
    edge: usize,
    writer: Arc<Writer>,
    open: BTreeMap<u64, Open>,
}

/// An event without a final answer.
struct Open {
    channel: u32,
    first_sent: u64,
    /// Where the answer comes; `None`: refused for now, to be sent again.
    answer: Option<Receiver<Result<Published, ErrorBody>>>,
}

impl Scene {
    pub fn start(world: &World) -> Self {
        let edges: Vec<_> = (0..EDGES).map(|n| Edge::start(world, n)).collect();
        let clients = (0..CLIENTS).map(|n| Client {
            name: format!("ann/c{n}"),
            n: 0,
            edge: 0,
            writer: edges[0].publisher.writer(),
            open: BTreeMap::new(),
        });
        Self {
            world: world.clone(),
            clients: clients.collect(),
            edges,
            born: EDGES,
        }
    }

    pub fn take(&mut self, step: &Step) {
        let who = step.who as usize;
        match step.act {
            Act::Work => self.publish(who, step.much),
            Act::Again => {
                self.world.injected("again");
                self.reconnect(who, step.much as usize);
            }
            Act::Crash => self.crash(who),
            Act::Cut | Act::Break => {
                let name = self.edges[who].name.clone();
                self.world.trouble(step, name);
            }
            _ => {}
        }
    }

    fn publish(&mut self, who: usize, number: u32) {
        let client = &mut self.clients[who];
        client.hear(&self.world.history);
        if client.open.len() >= WINDOW {
            return;
        }
        client.resend(&self.world, &self.edges, true);
        client.n += 1;
        let (subject, _) = self
            .world
            .event(Kind::Ev, &format!("doc.{number}"), &client.name, 0);
        self.world.history.record(Sent {
            publisher: format!("acme/{}", client.name),
            n: client.n,
            channel: channel(subject.as_str()),
            body: body(client.n.to_string().as_bytes()),
            first_us: 0,
        });
        let open = Open {
            channel: number,
            first_sent: now_us(),
            answer: None,
        };
        client.open.insert(client.n, open);
        client.send(&self.world, &self.edges, client.n, false);
    }

    /// A client opens a session at an edge, and what its old one would have said is
    /// never heard.
    fn reconnect(&mut self, who: usize, edge: usize) {
        let client = &mut self.clients[who];
        client.edge = edge;
        client.writer = self.edges[edge].publisher.writer();
        client.resend(&self.world, &self.edges, false);
    }

    /// An edge dies: its clients hear nothing more of it, and what it had sent arrives
    /// later or never.
    fn crash(&mut self, who: usize) {
        self.world.injected("crash");
        for client in self.clients.iter_mut().filter(|client| client.edge == who) {
            client.open.values_mut().for_each(|open| open.answer = None);
        }
        self.world.model.cut(&self.edges[who].name);
        self.edges[who].stop.trigger();
        let (model, name) = (self.world.model.clone(), self.edges[who].name.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            model.heal(&name);
        });
        self.edges[who] = Edge::start(&self.world, self.born);
        self.born += 1;
        for client in 0..self.clients.len() {
            if self.clients[client].edge == who {
                self.reconnect(client, (who + 1) % EDGES as usize);
            }
        }
    }

    pub async fn end(mut self) {
        let names: Vec<_> = self.edges.iter().map(|edge| edge.name.clone()).collect();
        self.world.calm(names);
        let world = self.world.clone();
        world
            .rest("a client", || {
                for client in &mut self.clients {
                    client.hear(&world.history);
                    client.resend(&world, &self.edges, true);
                }
                self.clients.iter().all(|client| client.open.is_empty())
            })
            .await;
        world.record(&world.events());
    }
}

impl Edge {
    fn start(world: &World, number: u32) -> Self {
        let (name, stop) = (format!("edge-{number}"), Shutdown::new());
        let bus = world.model.connect(&name);
        let faults = world.faults.clone();
        Self {
            publisher: Publisher::new(
                bus,
                Quotas::new("edge"),
                faults,
                stop.clone(),
                TaskTracker::new(),
            ),
            name,
            stop,
        }
    }
}

impl Client {
    /// Takes in the answers that are there.
    fn hear(&mut self, history: &Recorder) {
        let publisher = format!("acme/{}", self.name);
        let mut done = Vec::new();
        for (n, open) in &mut self.open {
            let Some(answer) = open.answer.as_mut().and_then(|to| to.try_recv().ok()) else {
                continue;
            };
            open.answer = None;
            let channel = format!("acme/doc.{}", open.channel);
            match answer {
                Ok(published) => {
                    history.record(Acked {
                        publisher: publisher.clone(),
                        n: *n,
                        channel,
                        stream: "EVENTS-main".into(),
                        seq: published.position.seq,
                        duplicate: published.duplicate,
                    });
                    done.push(*n);
                }
                Err(error) => {
                    history.record(Refused {
                        publisher: publisher.clone(),
                        n: *n,
                        channel,
                        code: code(&error),
                        temporary: error.temporary,
                    });
                    if !error.temporary {
                        done.push(*n);
                    }
                }
            }
        }
        for n in done {
            self.open.remove(&n);
        }
    }

    /// Sends again, in order: what was refused for now, or everything that is open.
    fn resend(&mut self, world: &World, edges: &[Edge], refused: bool) {
        let open = self.open.iter();
        let again = open.filter(|(_, open)| !refused || open.answer.is_none());
        let again: Vec<u64> = again.map(|(n, _)| *n).collect();
        for n in again {
            self.send(world, edges, n, true);
        }
    }

    fn send(&mut self, world: &World, edges: &[Edge], n: u64, again: bool) {
        let Some(open) = self.open.get_mut(&n) else {
            return;
        };
        let channel = format!("doc.{}", open.channel);
        let (subject, envelope) = world.event(Kind::Ev, &channel, &self.name, n);
        let channel = channel_of(&channel);
        let draft = Draft {
            tenant: tenant(),
            n,
            headers: envelope.to_headers(),
            id: envelope.id,
            subject,
            payload: Bytes::from(n.to_string()),
            stream: world.events(),
            lane: world.lane(&channel),
            stored_in: StoredIn::Events,
            epoch: world.store.epoch.clone(),
            expected_seq: None,
            first_sent: again.then_some(open.first_sent),
            channel,
        };
        let (answer, receiver) = Answer::waiter();
        open.answer = Some(receiver);
        edges[self.edge]
            .publisher
            .submit(&self.writer, draft, answer);
    }
}

/// The code as clients see it.
fn code(error: &ErrorBody) -> String {
    let code = serde_json::to_value(error.code);
    code.ok()
        .and_then(|code| code.as_str().map(str::to_owned))
        .unwrap_or_default()
}
