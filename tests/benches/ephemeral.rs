//! A thousand players in rooms of fifty, each of whom says twenty times a second where it
//! is: from one player's word to another's ear, through an edge node, and beside it the
//! same players straight on NATS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use control::{Deployer, NamespaceDraft};
use harness::Deployment;
use protocol::class::{Class, Classes};
use protocol::name::Namespace;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::crowd;
use crate::options::Options;
use crate::players::{Frame, Player, play};
use crate::table::{Row, median, quantile};
use crate::world;

/// Players.
const PLAYERS: usize = 1_000;
/// Players of a room.
const ROOM: usize = 50;
/// Between two words of a player.
const EVERY: Duration = Duration::from_millis(50);
/// How long they play before it counts, and while it counts.
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(5);
/// Bytes of a stream: nothing is stored.
const STREAM_BYTES_MAX: u64 = 1 << 20;
/// How long the namespace lets deliveries wait for more, milliseconds.
const BATCHES_MS: [u32; 2] = [0, 20];
/// Players that connect at a time.
const CONNECTING: usize = 16;

fn room_of(player: usize) -> usize {
    player / ROOM
}

async fn seated(address: SocketAddr, token: &str, player: usize) -> anyhow::Result<Player> {
    let channel = format!("room.r{}", room_of(player));
    let stream = crowd::subscriber(address, token, &channel, player).await?;
    stream.set_nodelay(true)?;
    let frame: Frame = Arc::new(move |n, text: &str| {
        let frame = format!(
            "{{\"id\":{n},\"publish\":{{\"channel\":\"{channel}\",\"class\":\"ephemeral\",\"n\":{n},\"data\":{text}}}}}"
        );
        crowd::masked(frame.as_bytes()).map_or_else(|_| Bytes::new(), Bytes::from)
    });
    Ok(Player {
        stream,
        frame: Some(frame),
        samples: player.is_multiple_of(ROOM),
    })
}

/// The same player on NATS itself, by its protocol.
async fn bare(address: &str, player: usize) -> anyhow::Result<Player> {
    let subject = format!("yard.r{}", room_of(player));
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {subject} 1\r\nPING\r\n");
    stream.write_all(hello.as_bytes()).await?;
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while !line.starts_with("PONG") {
        line.clear();
        anyhow::ensure!(lines.read_line(&mut line).await? > 0, "NATS refuses");
    }
    let frame: Frame =
        Arc::new(move |_, text: &str| format!("PUB {subject} {}\r\n{text}\r\n", text.len()).into());
    Ok(Player {
        stream: lines.into_inner(),
        frame: Some(frame),
        samples: player.is_multiple_of(ROOM),
    })
}

/// Everybody, a few at a time.
///
/// # Errors
/// One of them is refused.
pub async fn gathered<F>(count: usize, join: impl Fn(usize) -> F) -> anyhow::Result<Vec<Player>>
where
    F: Future<Output = anyhow::Result<Player>>,
{
    let mut players = Vec::with_capacity(count);
    for first in (0..count).step_by(CONNECTING) {
        let joining = (first..(first + CONNECTING).min(count)).map(&join);
        for player in futures_util::future::join_all(joining).await {
            players.push(player?);
        }
    }
    Ok(players)
}

async fn namespace(deployment: &Deployment, batch_ms: u32) -> anyhow::Result<()> {
    let store = deployment.store_name().clone();
    let draft = NamespaceDraft {
        classes: Some(Classes::of(&[Class::Ephemeral])?),
        batch_ms: Some(batch_ms),
        ..NamespaceDraft::new(Namespace::parse("room")?, store, None)
    };
    let deployer = Deployer::new(&deployment.bus, "bench");
    deployer.apply_namespace(draft).await?;
    Ok(())
}

/// p50 and p99 in milliseconds, the part that arrived, and cores of the node.
struct Figures {
    p50: f64,
    p99: f64,
    arrived: f64,
    cores: f64,
}

async fn round(players: Vec<Player>, pid: Option<u32>) -> anyhow::Result<Figures> {
    let used = |pid: Option<u32>| pid.map_or(Ok(0.0), world::process_seconds);
    let before = used(pid)?;
    let mut measured = play(players, EVERY, WARM_UP, MEASURED).await?;
    let seconds = (WARM_UP + MEASURED).as_secs_f64();
    Ok(Figures {
        cores: (used(pid)? - before) / seconds,
        // One of each room looks, and hears everybody in it once.
        arrived: measured.waits.len() as f64 / measured.said as f64,
        p50: quantile(&mut measured.waits, 0.5),
        p99: quantile(&mut measured.waits, 0.99),
    })
}

/// Measures.
///
/// # Errors
/// The servers are not here, or refuse a player.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let builder = world::builder().processes();
    let builder = builder.store(|store| store.max_bytes = STREAM_BYTES_MAX);
    let mut deployment = world::start(builder).await?;
    let (address, pid) = (deployment.edges[0].address(), deployment.edges[0].pid());
    let token = deployment.token("player");
    let nats = deployment.servers.nats_url().to_owned();
    let nats = nats.rsplit('/').next().context("an address")?;
    let count = options.count(PLAYERS) / ROOM * ROOM;
    let mut rows = Vec::new();
    for batch_ms in BATCHES_MS {
        namespace(&deployment, batch_ms).await?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds() {
            let players = gathered(count, |player| seated(address, &token, player)).await?;
            ours.push(round(players, Some(pid)).await?);
            let players = gathered(count, |player| bare(nats, player)).await?;
            theirs.push(round(players, None).await?);
        }
        rows.extend(told(count, batch_ms, &ours, &theirs));
    }
    deployment.stop().await;
    Ok(rows)
}

fn told(count: usize, batch_ms: u32, ours: &[Figures], theirs: &[Figures]) -> [Row; 2] {
    let of = |list: &[Figures], pick: fn(&Figures) -> f64| median(list.iter().map(pick).collect());
    let pace = count as u128 * 1_000 / EVERY.as_millis();
    let note = format!(
        "less is better; {pace} events a second, each to {ROOM} players, all of which run \
         beside it; {:.1} % of the events arrived, straight on NATS {:.1} %; the node used {:.2} \
         cores; yardstick: the same players as clients of NATS; target at full optimisation: \
         p99 under 50 ms",
        100.0 * of(ours, |figures| figures.arrived),
        100.0 * of(theirs, |figures| figures.arrived),
        of(ours, |figures| figures.cores),
    );
    let row = |part: &str, pick: fn(&Figures) -> f64| Row {
        what: format!(
            "ephemeral, {count} players at 20 Hz in rooms of {ROOM}, `batch_ms` {batch_ms}, {part}"
        ),
        unit: "ms",
        ours: of(ours, pick),
        bare: Some(of(theirs, pick)),
        note: note.clone(),
    };
    [
        row("p50", |figures| figures.p50),
        row("p99", |figures| figures.p99),
    ]
}
