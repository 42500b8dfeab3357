//! What a connection costs that is subscribed and silent.

use harness::wait;

use crate::crowd::Crowd;
use crate::options::Options;
use crate::table::Row;
use crate::world;

/// Connections before the first look: what the node sets up once is not theirs.
const WARM: usize = 200;
/// Connections that are measured.
const CONNECTIONS: usize = 1_000;
/// Looks at the memory after which it is taken to have settled.
const LOOKS: usize = 20;

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

/// Measures.
///
/// # Errors
/// The servers are not here, or a connection is refused.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut deployment = world::start(world::builder().processes()).await?;
    let (address, pid, token) = (
        deployment.edges[0].address(),
        deployment.edges[0].pid(),
        deployment.token("crowd"),
    );
    let mut crowd = Crowd::new();
    crowd.join(address, &token, "chat.idle", WARM).await?;
    let before = settled(pid).await?;
    let count = options.count(CONNECTIONS);
    crowd.join(address, &token, "chat.idle", count).await?;
    let ours = (settled(pid).await? - before) / count as f64 / 1024.0;
    drop(crowd);
    deployment.stop().await;
    Ok(vec![Row {
        what: format!("idle connection, one subscription, resident memory ({count} of them)"),
        unit: "KiB",
        ours,
        bare: None,
        note: format!(
            "growth of the node's resident memory beyond the first {WARM} connections; target: at most 6"
        ),
    }])
}
