//! What a connection costs that is subscribed and silent: memory, and processor time with
//! the pings that keep it open. Both as the slope between few and many of them, so that
//! what the node needs once is not theirs.

use std::time::Duration;

use edge::EdgeConfig;
use harness::wait;

use crate::crowd::Crowd;
use crate::options::Options;
use crate::table::Row;
use crate::world;

/// Connections at the first look, and at the second.
const FEW: usize = 5_000;
const MANY: usize = 15_000;
/// Looks at the memory after which it is taken to have settled.
const LOOKS: usize = 20;
/// Between two pings of the node, milliseconds: as it is by default.
const PING_INTERVAL_MS: u64 = 25_000;
/// How long processor time is looked at: two rounds of pings.
const WATCHED: Duration = Duration::from_secs(50);

/// The least of several looks: handshakes that are just over leave buffers behind.
async fn settled(pid: u32) -> anyhow::Result<f64> {
    let (mut looks, mut least) = (0, f64::INFINITY);
    let settled = wait::look("the memory settles", world::DEADLINE, async || {
        least = least.min(world::resident_bytes(pid).map_err(|error| error.to_string())?);
        looks += 1;
        if looks >= LOOKS {
            Ok(least)
        } else {
            Err(format!("{looks} looks"))
        }
    });
    settled.await.map_err(anyhow::Error::msg)
}

/// Resident bytes, and processor time in seconds for each second.
async fn figures(pid: u32) -> anyhow::Result<[f64; 2]> {
    let bytes = settled(pid).await?;
    let before = world::process_seconds(pid)?;
    tokio::time::sleep(WATCHED).await;
    let used = world::process_seconds(pid)? - before;
    Ok([bytes, used / WATCHED.as_secs_f64()])
}

/// Measures.
///
/// # Errors
/// The servers are not here, or a connection is refused.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let builder = world::builder().processes();
    let builder = builder.edge_config(|_, config| {
        world::open_wide(&mut config.limits);
        config.limits.ping_interval_ms = PING_INTERVAL_MS;
        config.limits.connections = 2 * MANY;
        config.limits.connections_per_user = 2 * MANY;
        config.limits.connections_per_address = 2 * MANY;
        config.probe_interval_ms = EdgeConfig::default().probe_interval_ms;
    });
    let mut deployment = world::start(builder).await?;
    let (address, pid, token) = (
        deployment.edges[0].address(),
        deployment.edges[0].pid(),
        deployment.token("crowd"),
    );
    let mut crowd = Crowd::new();
    let (few, many) = (options.count(FEW), options.count(MANY));
    crowd.join(address, &token, "chat.idle", few).await?;
    let before = figures(pid).await?;
    crowd.join(address, &token, "chat.idle", many - few).await?;
    let after = figures(pid).await?;
    drop(crowd);
    deployment.stop().await;
    let slope = |index: usize| (after[index] - before[index]) / (many - few) as f64;
    let row = |what: &str, unit, ours, target: &str| Row {
        what: format!("idle connection, one subscription, {what}"),
        unit,
        ours,
        bare: None,
        note: format!(
            "slope between {few} and {many} connections of one user, authenticated, on one channel, \
             which answer a ping every {} s; target at full optimisation: at most {target}",
            PING_INTERVAL_MS / 1_000
        ),
    };
    Ok(vec![
        row("resident memory", "KiB", slope(0) / 1024.0, "6"),
        row("processor time", "µs/s", slope(1) * 1e6, "1.5"),
    ])
}
