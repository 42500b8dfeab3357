//! What is measured: deployments, streams filled beforehand, and what a process or a
//! thread has used of the machine.
//!
//! Owns nothing. Reads processor time and memory from `/proc`, so it needs Linux.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use edge::{EdgeLimits, RateLimits};
use harness::{Builder, Deployment, FunctionChoice};
use protocol::bus::Outgoing;
use protocol::envelope::Envelope;
use protocol::id::{EventId, Publisher};
use protocol::lane::Lane;
use protocol::name::{Channel, ClientId, FunctionName, User};
use protocol::subject::{Kind, Subject};

/// Events stored at once when a stream is filled.
const FILL_BATCH: usize = 500;
/// Most bytes of a stream: several rounds of the largest measurement.
const STREAM_BYTES_MAX: u64 = 2 << 30;
/// Unit of processor times in `/proc`: ticks per second, fixed by Linux's interface.
const TICKS_PER_SECOND: f64 = 100.0;
/// Between two pings of an edge node, milliseconds: subscribers that do nothing but
/// read answer none, and must not be closed for it.
const PING_INTERVAL_MS: u64 = 600_000;
/// How long anything that is measured may take.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A deployment with room for large streams, and patience with clients that only read.
pub fn builder() -> Builder {
    Deployment::builder()
        .functions(&[])
        .workers(0)
        .without_mirror()
        .edges(1)
        .store(|store| store.max_bytes = STREAM_BYTES_MAX)
        .edge_config(|_, config| open_wide(&mut config.limits))
}

/// What is measured is what a node can do, by one user; not what it allows one.
pub fn open_wide(limits: &mut EdgeLimits) {
    limits.ping_interval_ms = PING_INTERVAL_MS;
    let rate = RateLimits {
        operations_per_second: u64::MAX,
        bytes_per_second: u64::MAX,
    };
    limits.connection = rate.clone();
    limits.user = rate.clone();
    limits.tenant = rate;
    limits.connections_per_user = limits.connections;
    limits.connections_per_address = limits.connections;
}

/// Starts what is to be measured.
///
/// # Errors
/// The servers are not here.
pub async fn start(builder: Builder) -> anyhow::Result<Deployment> {
    builder
        .start()
        .await
        .context("the servers cannot be had on this machine")
}

/// Data of so many bytes: a JSON string.
pub fn text(bytes: usize) -> Bytes {
    format!("\"{}\"", "x".repeat(bytes - 2)).into()
}

/// An edit of a document as editors send them: 72 bytes of update.
pub fn edit(txn: u64) -> Bytes {
    format!("{{\"txn\":{txn},\"update\":\"{}\"}}", "AAAA".repeat(24)).into()
}

/// Names of channels.
///
/// # Errors
/// The namespace is no name.
pub fn channels(namespace: &str, count: usize) -> anyhow::Result<Vec<Channel>> {
    let names = (0..count).map(|n| Channel::parse(&format!("{namespace}.c{n}")));
    Ok(names.collect::<Result<_, _>>()?)
}

/// Fills INGRESS or EVENTS with events as an edge would have stored them, spread over
/// some channels.
///
/// # Errors
/// The store refuses.
pub async fn fill(
    deployment: &Deployment,
    kind: Kind,
    channels: &[Channel],
    count: usize,
    data: &Bytes,
) -> anyhow::Result<()> {
    fill_each(deployment, kind, channels, count, &|_| data.clone()).await
}

/// The same with data of its own for each event. The channels are of one namespace.
///
/// # Errors
/// The store refuses.
pub async fn fill_each(
    deployment: &Deployment,
    kind: Kind,
    channels: &[Channel],
    count: usize,
    data: &(dyn Fn(usize) -> Bytes + Sync),
) -> anyhow::Result<()> {
    let (store, tenant) = (&deployment.store, &deployment.tenant);
    let publisher = Publisher {
        user: User::parse("load")?,
        client: ClientId::parse("fill")?,
    };
    let of_lab = |channel: &Channel| channel.as_str().starts_with("lab.");
    let gate = match channels.iter().any(of_lab) {
        true => FunctionChoice::Probe,
        false => FunctionChoice::Gate,
    };
    let gate = FunctionName::parse(gate.name())?;
    let message = |n: usize| {
        let channel = &channels[n % channels.len()];
        let id = EventId {
            tenant: tenant.clone(),
            publisher: publisher.clone(),
            n: n as u64,
        };
        let envelope = Envelope {
            id: id.to_string(),
            publisher: Some(publisher.clone()),
            time: Some(1),
            gate: (kind == Kind::In).then(|| gate.clone()),
            ..Envelope::default()
        };
        Outgoing {
            subject: Subject::event(
                kind,
                &store.name,
                Lane::of(tenant, channel, store.lanes),
                tenant,
                channel,
            ),
            headers: envelope.to_headers(),
            payload: data(n),
            msg_id: None,
            expect: None,
        }
    };
    for start in (0..count).step_by(FILL_BATCH) {
        let batch = (start..count.min(start + FILL_BATCH))
            .map(message)
            .collect();
        deployment.bus.commit_batch(batch).await?;
    }
    Ok(())
}

/// Processor time of a process so far, all threads, seconds.
///
/// # Errors
/// The process is gone.
pub fn process_seconds(pid: u32) -> anyhow::Result<f64> {
    seconds(&format!("/proc/{pid}/stat"))
}

/// Processor time of this thread so far, seconds.
///
/// # Errors
/// There is no `/proc`.
pub fn thread_seconds() -> anyhow::Result<f64> {
    seconds("/proc/thread-self/stat")
}

/// Fields 14 and 15: time in user mode and in the kernel.
fn seconds(file: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
    let rest = text
        .rsplit_once(')')
        .context("a stat file names its program")?
        .1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let [.., user, system] = fields.get(..13).context("a stat file has many fields")? else {
        bail!("too few fields")
    };
    Ok((user.parse::<f64>()? + system.parse::<f64>()?) / TICKS_PER_SECOND)
}

/// Resident memory of a process, bytes.
///
/// # Errors
/// The process is gone.
pub fn resident_bytes(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("a process has resident memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}
