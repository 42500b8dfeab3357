//! Processes that want one lease: whoever believes to hold it is alone, as long as the
//! store's clock is not set; and who gets it later has a higher revision whatever
//! happens.
//!
//! Owns the processes and what they believed. Each holder writes events in its own name,
//! so that the checker has something to compare.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use bus::lease::Lease;
use bytes::Bytes;
use checker::{Acked, Sent};
use parking_lot::Mutex;
use protocol::bus::Outgoing;
use protocol::stream::Bucket;
use protocol::subject::Kind;
use tokio::time::{Instant, sleep};

use crate::collect::body;
use crate::plan::{Act, Mix, Step};
use crate::process::Process;
use crate::world::World;

const PROCESSES: u32 = 3;
const CLAIM: Duration = Duration::from_millis(300);

pub const MIX: Mix = &[
    (20, Act::Work, PROCESSES - 1, 0),
    (6, Act::Crash, PROCESSES - 1, 20),
    (6, Act::Sleep, PROCESSES - 1, 12_000),
    (6, Act::Cut, PROCESSES - 1, 1_400),
    (4, Act::Break, PROCESSES - 1, 300),
    (4, Act::Weather, 0, 2),
    (10, Act::Pass, 0, 6),
    (1, Act::Clock, 0, 40),
];

/// A time in which a process believed to hold the lease.
#[derive(Debug, Clone, Copy)]
struct Belief {
    revision: u64,
    from: Instant,
    until: Instant,
}

#[derive(Default)]
struct Shared {
    beliefs: Vec<Belief>,
    wanted: u64,
}

/// The processes.
pub struct Scene {
    world: World,
    shared: Arc<Mutex<Shared>>,
    processes: Vec<Process>,
}

impl Scene {
    pub fn start(world: &World) -> Self {
        let shared = Arc::default();
        Self {
            processes: (0..PROCESSES).map(|n| start(world, &shared, n)).collect(),
            world: world.clone(),
            shared,
        }
    }

    pub fn take(&mut self, step: &Step) {
        let who = step.who as usize;
        match step.act {
            Act::Work => self.shared.lock().wanted += 1,
            Act::Crash => self.processes[who].crash(step.much),
            Act::Sleep => self.processes[who].sleep(Duration::from_millis(step.much.into())),
            Act::Cut | Act::Break => return self.world.trouble(step, name(step.who)),
            _ => {}
        }
        if step.act != Act::Work {
            self.world.injected(step.act.word());
        }
        self.revive();
    }

    fn revive(&mut self) {
        for (n, process) in (0..).zip(&mut self.processes) {
            if process.is_over() {
                *process = start(&self.world, &self.shared, n);
            }
        }
    }

    pub async fn end(mut self) {
        self.world.calm((0..PROCESSES).map(name));
        self.processes.iter().for_each(Process::spare);
        self.revive();
        let before = self.shared.lock().beliefs.len();
        let shared = self.shared.clone();
        let passes = || shared.lock().beliefs.len() > before + 1;
        self.world.rest("the lease", passes).await;
        self.judge();
        self.world.record(&self.world.events());
    }

    /// Beliefs in the order of revisions follow one another.
    fn judge(&self) {
        let was_set = self.world.tally().contains_key(Act::Clock.word());
        let mut beliefs = self.shared.lock().beliefs.clone();
        beliefs.sort_by_key(|belief| belief.revision);
        for pair in beliefs.windows(2) {
            if pair[0].revision == pair[1].revision {
                self.world
                    .problem(format!("two hold one revision: {pair:?}"));
            }
            if pair[0].until > pair[1].from && !was_set {
                self.world
                    .problem(format!("two hold the lease at once: {pair:?}"));
            }
        }
    }
}

fn name(who: u32) -> String {
    format!("holder-{who}")
}

fn start(world: &World, shared: &Arc<Mutex<Shared>>, n: u32) -> Process {
    let holder = Holder {
        bus: world.model.connect(&name(n)),
        world: world.clone(),
        shared: shared.clone(),
        n,
    };
    Process::start(async move { holder.run().await })
}

struct Holder {
    bus: Bus,
    world: World,
    shared: Arc<Mutex<Shared>>,
    n: u32,
}

impl Holder {
    async fn run(&self) {
        let leases = loop {
            match self.bus.kv(Bucket::Leases).await {
                Ok(leases) => break leases,
                Err(_) => sleep(CLAIM).await,
            }
        };
        loop {
            if let Ok(Some(lease)) = Lease::acquire(&leases, "one", &name(self.n)).await {
                self.hold(lease).await;
            }
            sleep(CLAIM + Duration::from_millis(u64::from(self.n) * 7)).await;
        }
    }

    async fn hold(&self, mut lease: Lease) {
        self.world.injected("tenure");
        let revision = lease.revision();
        let at = self.believe(&lease);
        // Every third tenure is given back.
        let rounds = if revision.is_multiple_of(3) { 2 } else { 40 };
        for round in 0..rounds {
            if !lease.is_current() {
                return;
            }
            self.write(revision, round).await;
            sleep(Duration::from_millis(250)).await;
            if lease.renew().await.is_err() {
                return;
            }
            self.extend(at, &lease);
        }
        let now = Instant::now();
        self.shared.lock().beliefs[at].until = now;
        lease.release().await;
    }

    fn believe(&self, lease: &Lease) -> usize {
        let mut shared = self.shared.lock();
        shared.beliefs.push(Belief {
            revision: lease.revision(),
            from: Instant::now(),
            until: lease.deadline(),
        });
        shared.beliefs.len() - 1
    }

    fn extend(&self, at: usize, lease: &Lease) {
        self.shared.lock().beliefs[at].until = lease.deadline();
    }

    async fn write(&self, revision: u64, n: u64) {
        let wanted = {
            let mut shared = self.shared.lock();
            let wanted = shared.wanted > 0;
            shared.wanted = shared.wanted.saturating_sub(1);
            wanted
        };
        if !wanted {
            return;
        }
        let publisher = format!("holder{revision}/c");
        let (subject, envelope) = self.world.event(Kind::Ev, "doc.0", &publisher, n);
        let (payload, publisher) = (Bytes::from(n.to_string()), format!("acme/{publisher}"));
        self.world.history.record(Sent {
            publisher: publisher.clone(),
            n,
            channel: "acme/doc.0".into(),
            body: body(&payload),
            first_us: 0,
        });
        let message = Outgoing {
            subject,
            headers: envelope.to_headers(),
            payload,
            msg_id: Some(envelope.id),
            expect: None,
        };
        // What failed is not sent again: it may be stored or not.
        if let Ok(ack) = self.bus.publish(message).await {
            self.world.history.record(Acked {
                publisher,
                n,
                channel: "acme/doc.0".into(),
                stream: ack.stream.to_string(),
                seq: ack.seq,
                duplicate: ack.duplicate,
            });
        }
    }
}
