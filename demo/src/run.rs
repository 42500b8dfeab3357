//! All of the demo together: editors join, type until the trace is told, and then
//! every text is held against the trace's. Owns the participants' tasks.

use std::net::SocketAddr;
use std::sync::Arc;

use protocol::frame::Encoding;
use rand::Rng;
use tokio::task::JoinSet;

use super::board::Board;
use super::chores::{Chore, Chores};
use super::error::DemoError;
use super::latency::Latencies;
use super::mirror::{self, Rebuilt};
use super::pace::Pace;
use super::participant::{Finished, Participant, Shared};
use super::report::Report;
use super::trace::Trace;
use super::witness::Witness;
use client::{Client, ClientOptions};

/// What is done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is typed.
    pub trace: Arc<Trace>,
    /// Events per second on average, over all editors.
    pub rate: f64,
    /// Malformed edits, over all editors.
    pub malformed: usize,
    /// Events sent twice, over all editors.
    pub resent: usize,
}

/// Where it is done.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Edge nodes; editors take them in turn.
    pub edges: Vec<String>,
    /// The bridge's gRPC.
    pub grpc: SocketAddr,
    /// A token for each editor in turn, and the first also for the mirror.
    pub tokens: Vec<String>,
    /// Who looks on.
    pub witness: Arc<dyn Witness>,
}

/// Runs the demo on a fresh channel. Progress can be watched on the board that
/// `started` is handed when the editors have joined. Dropping the future ends all.
///
/// # Errors
/// [`DemoError`] if it could not be brought to its end; a text that differs is in
/// the report.
pub async fn run(
    plan: &Plan,
    targets: &Targets,
    started: impl FnOnce(Arc<Board>),
) -> Result<Report, DemoError> {
    let channel = format!("doc.{:016x}", rand::rng().random::<u64>());
    let clients = connect(plan, targets).await?;
    let shared = Shared {
        board: Arc::new(Board::new(plan.trace.txns.len())),
        pace: Arc::new(Pace::new(plan.rate)),
        witness: Arc::clone(&targets.witness),
    };
    let mut participants = Vec::with_capacity(clients.len());
    for (agent, client) in (0u32..).zip(clients) {
        let chores = chores(plan, agent as usize);
        let joined =
            Participant::join(agent, &channel, &plan.trace, client, chores, shared.clone());
        participants.push(joined.await?);
    }
    started(Arc::clone(&shared.board));
    let begun = tokio::time::Instant::now();
    let mut tasks = JoinSet::new();
    for (agent, participant) in participants.into_iter().enumerate() {
        tasks.spawn(async move { (agent, participant.run().await) });
    }
    let mut finished = Vec::with_capacity(plan.trace.agents);
    while let Some(task) = tasks.join_next().await {
        let (agent, outcome) = task?;
        finished.push((agent, outcome?));
    }
    let seconds = begun.elapsed().as_secs_f64();
    finished.sort_by_key(|(agent, _)| *agent);
    let finished: Vec<Finished> = finished.into_iter().map(|(_, end)| end).collect();
    let token = targets.tokens.first().map_or("", String::as_str);
    let rebuilt = mirror::rebuild(targets.grpc, token, &channel).await?;
    Ok(report(plan, targets, channel, seconds, &finished, &rebuilt))
}

/// One client per agent, each on the next edge node; every other one speaks
/// MessagePack.
async fn connect(plan: &Plan, targets: &Targets) -> Result<Vec<Client>, DemoError> {
    if targets.edges.is_empty() || targets.tokens.is_empty() {
        return Err(DemoError::NoEdge);
    }
    let mut clients = Vec::with_capacity(plan.trace.agents);
    for agent in 0..plan.trace.agents {
        let edge = &targets.edges[agent % targets.edges.len()];
        let token = &targets.tokens[agent % targets.tokens.len()];
        let mut options = ClientOptions::new(edge.as_str(), token.as_str());
        if agent % 2 == 1 {
            options.encoding = Encoding::Msgpack;
        }
        let client = Client::connect(options).await;
        clients.push(client.map_err(|source| DemoError::Client {
            agent: agent as u32,
            source,
        })?);
    }
    Ok(clients)
}

/// An agent's share of the malformed edits and resends. One that types nothing has
/// nothing to send twice.
fn chores(plan: &Plan, agent: usize) -> Chores {
    let agents = plan.trace.agents;
    let own = plan.trace.typed_by(agent as u32).count();
    let malformed = (agent..plan.malformed).step_by(agents);
    let resends = if own == 0 {
        0
    } else {
        (agent..plan.resent).step_by(agents).count()
    };
    let chores = malformed
        .map(Chore::Malformed)
        .chain(std::iter::repeat_n(Chore::Resend, resends));
    Chores::spread(own, chores)
}

fn report(
    plan: &Plan,
    targets: &Targets,
    channel: String,
    seconds: f64,
    finished: &[Finished],
    rebuilt: &Rebuilt,
) -> Report {
    let (mut to_ack, mut to_delivery) = (Latencies::default(), Latencies::default());
    for end in finished {
        to_ack.extend(&end.to_ack);
        to_delivery.extend(&end.to_delivery);
    }
    let sum = |of: fn(&Finished) -> usize| finished.iter().map(of).sum::<usize>();
    let events = sum(|end| end.acked);
    let resent = (0..plan.trace.agents)
        .filter(|agent| plan.trace.typed_by(*agent as u32).next().is_some())
        .map(|agent| (agent..plan.resent).step_by(plan.trace.agents).count())
        .sum::<usize>();
    let text = &plan.trace.end_content;
    Report {
        channel,
        editors: finished.len(),
        edges: targets.edges.len().min(finished.len()),
        events,
        deliveries: sum(|end| end.seqs.len()),
        malformed: plan.malformed,
        rejects: sum(|end| end.rejects),
        resent,
        duplicates: sum(|end| end.duplicates),
        publish_to_ack: to_ack.summary(),
        publish_to_delivery: to_delivery.summary(),
        rate: (events + plan.malformed + resent) as f64 / seconds.max(f64::MIN_POSITIVE),
        rate_max: plan.rate,
        seconds,
        waited_seconds: finished.iter().map(|end| end.waited.as_secs_f64()).sum(),
        text_chars: text.chars().count(),
        editors_equal: finished.iter().map(|end| end.text == *text).collect(),
        mirror_equal: rebuilt.text == *text,
        mirror_order_equal: finished.iter().all(|end| end.seqs == rebuilt.seqs),
        reconnects: finished.iter().map(|end| end.stats.reconnects).sum(),
        breaks: finished.iter().map(|end| end.stats.breaks).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{Session, generate};

    #[test]
    fn chores_are_shared_out_completely() {
        let session = Session {
            txns: 40,
            ..Session::default()
        };
        let plan = Plan {
            trace: Arc::new(generate(&session)),
            rate: 1.0,
            malformed: 5,
            resent: 3,
        };
        let mut done = Vec::new();
        for agent in 0..plan.trace.agents {
            let mut chores = chores(&plan, agent);
            while let Some(chore) = chores.due(0, true, true) {
                done.push(chore);
            }
        }
        let resends = done.iter().filter(|chore| **chore == Chore::Resend).count();
        assert_eq!((done.len(), resends), (8, 3));
        (0..5).for_each(|index| assert!(done.contains(&Chore::Malformed(index))));
    }
}
