//! One channel to a thousand connections at a pace: deliveries for a second of the node's
//! processor time, and how long one takes; with a delay that the namespace states and
//! without. Beside it Centrifugo, if it is here, with the same load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use client::Client;
use control::{Deployer, NamespaceDraft};
use harness::Deployment;
use protocol::name::Namespace;
use tokio::net::TcpStream;

use crate::centrifugo::Centrifugo;
use crate::crowd;
use crate::ephemeral::gathered;
use crate::options::Options;
use crate::players::{Frame, Player, play};
use crate::table::{Row, median, quantile};
use crate::world;

/// Connections that listen.
const CONNECTIONS: usize = 1_000;
/// One of so many looks at the times.
const SAMPLED: usize = 50;
/// Between two events.
const EVERY: Duration = Duration::from_millis(5);
/// How long it goes on before it counts, and while it counts.
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(6);
/// How long the namespace lets deliveries wait for more, milliseconds.
const BATCHES_MS: [u32; 2] = [0, 20];
/// The channel.
const CHANNEL: &str = "live.crowd";

/// Writers so far: the numbers of one are its own for ever, so each round has another.
static WRITERS: AtomicUsize = AtomicUsize::new(0);

/// What one round showed.
struct Figures {
    per_second: f64,
    p99: f64,
    arrived: f64,
}

/// Who says something, in what words.
fn speaker(
    stream: TcpStream,
    frame: impl Fn(u64, &str) -> String + Send + Sync + 'static,
) -> Player {
    let frame: Frame = Arc::new(move |n, text: &str| {
        let masked = crowd::masked(frame(n, text).as_bytes());
        masked.map_or_else(|_| Bytes::new(), Bytes::from)
    });
    Player {
        stream,
        frame: Some(frame),
        samples: false,
    }
}

fn listener(stream: TcpStream, index: usize) -> Player {
    Player {
        stream,
        frame: None,
        samples: index.is_multiple_of(SAMPLED),
    }
}

async fn round(mut players: Vec<Player>, speaker: Player, pid: u32) -> anyhow::Result<Figures> {
    let listeners = players.len();
    players.push(speaker);
    let before = world::process_seconds(pid)?;
    let mut measured = play(players, EVERY, WARM_UP, MEASURED).await?;
    let used = world::process_seconds(pid)? - before;
    let samplers = listeners.div_ceil(SAMPLED) as f64;
    let seconds = (WARM_UP + MEASURED).as_secs_f64();
    let said = measured.said as f64 / MEASURED.as_secs_f64() * seconds;
    Ok(Figures {
        per_second: said * listeners as f64 / used,
        arrived: measured.waits.len() as f64 / (measured.said as f64 * samplers),
        p99: quantile(&mut measured.waits, 0.99),
    })
}

async fn ours(deployment: &mut Deployment, count: usize) -> anyhow::Result<Figures> {
    let (address, pid) = (deployment.edges[0].address(), deployment.edges[0].pid());
    let token = deployment.token("crowd");
    let listeners = gathered(count, |index| {
        let token = token.clone();
        async move {
            let stream = crowd::subscriber(address, &token, CHANNEL, index).await?;
            Ok(listener(stream, index))
        }
    });
    let listeners = listeners.await?;
    let writer = count + WRITERS.fetch_add(1, Ordering::Relaxed);
    let stream = crowd::subscriber(address, &token, "live.quiet", writer).await?;
    stream.set_nodelay(true)?;
    let speaker = speaker(stream, |n, text| {
        format!(
            "{{\"id\":{n},\"publish\":{{\"channel\":\"{CHANNEL}\",\"n\":{n},\"data\":{text}}}}}"
        )
    });
    round(listeners, speaker, pid).await
}

async fn theirs(centrifugo: &Centrifugo, count: usize) -> anyhow::Result<Figures> {
    let listeners = gathered(count, |index| async move {
        let stream = centrifugo.session(Some(CHANNEL)).await?;
        Ok(listener(stream, index))
    });
    let listeners = listeners.await?;
    let speaker = speaker(centrifugo.session(None).await?, |n, text| {
        format!("{{\"id\":{n},\"publish\":{{\"channel\":\"{CHANNEL}\",\"data\":{text}}}}}")
    });
    round(listeners, speaker, centrifugo.pid()).await
}

/// The namespace, once the node delivers by it.
async fn namespace(deployment: &Deployment, batch_ms: u32) -> anyhow::Result<()> {
    let store = deployment.store_name().clone();
    let draft = NamespaceDraft {
        batch_ms: Some(batch_ms),
        ..NamespaceDraft::new(Namespace::parse("live")?, store, None)
    };
    Deployer::new(&deployment.bus, "bench")
        .apply_namespace(draft)
        .await?;
    let options = deployment.client_options(&[0], "looker");
    let client = Client::connect(options).await?;
    let known = harness::wait::look("the namespace is known", world::DEADLINE, async || {
        let subscribed = client.subscribe("live.look", client::Start::Named(client::Named::Now));
        subscribed
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    });
    known.await.map_err(anyhow::Error::msg)?;
    client.close().await;
    Ok(())
}

/// Measures.
///
/// # Errors
/// The servers are not here, or refuse.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut deployment = world::start(world::builder().processes()).await?;
    let centrifugo = Centrifugo::start().await?;
    let count = options.count(CONNECTIONS);
    let mut rows = Vec::new();
    for batch_ms in BATCHES_MS {
        namespace(&deployment, batch_ms).await?;
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds() {
            own.push(ours(&mut deployment, count).await?);
            if let Some(centrifugo) = &centrifugo {
                others.push(theirs(centrifugo, count).await?);
            }
        }
        rows.extend(told(count, batch_ms, &own, &others));
    }
    deployment.stop().await;
    Ok(rows)
}

fn told(count: usize, batch_ms: u32, ours: &[Figures], theirs: &[Figures]) -> [Row; 2] {
    let of = |list: &[Figures], pick: fn(&Figures) -> f64| {
        (!list.is_empty()).then(|| median(list.iter().map(pick).collect()))
    };
    let pace = 1_000 / EVERY.as_millis();
    let note = format!(
        "{pace} events a second, {:.1} % arrived, of Centrifugo {:.1} %; yardstick: Centrifugo with the \
         same load, if `EDDYLINE_CENTRIFUGO` names it; targets at full optimisation: {} times \
         its deliveries for a CPU second, p99 under half of its",
        100.0 * of(ours, |figures| figures.arrived).unwrap_or(0.0),
        100.0 * of(theirs, |figures| figures.arrived).unwrap_or(0.0),
        if batch_ms == 0 { "1.6" } else { "3" },
    );
    let row = |part: &str, unit, pick: fn(&Figures) -> f64| Row {
        what: format!(
            "one channel to {count} connections at a pace, `batch_ms` {batch_ms}, {part}"
        ),
        unit,
        ours: of(ours, pick).unwrap_or(f64::NAN),
        bare: of(theirs, pick),
        note: note.clone(),
    };
    [
        row("cost", "deliveries per CPU second", |figures| {
            figures.per_second
        }),
        row("p99", "ms", |figures| figures.p99),
    ]
}
