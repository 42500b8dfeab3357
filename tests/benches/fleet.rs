//! A hundred functions on sixteen lanes each: what they cost two workers while nothing
//! comes, and how long lanes are on their way when a worker comes, goes or dies.

use std::time::Duration;

use bytes::Bytes;
use control::{Deployer, FunctionDraft};
use harness::{Deployment, environment, wait};
use protocol::name::{ChannelPattern, FunctionName};
use tokio::time::Instant;
use workers::WorkerConfig;

use crate::options::Options;
use crate::table::Row;
use crate::world;

/// Functions.
const FUNCTIONS: usize = 100;
/// Modules that they share among them: to compile one for each would take minutes.
const MODULES: usize = 10;
/// Lanes of the store.
const LANES: u16 = 16;
/// Workers among which they are shared; a third comes and goes.
const WORKERS: usize = 2;
/// How long the idle fleet is looked at.
const IDLE: Duration = Duration::from_secs(10);
const MIB: f64 = 1024.0 * 1024.0;

/// The probe with a number in it: another module, which is compiled by itself.
fn module(number: usize) -> Bytes {
    let mut wasm = environment::module("probe").to_vec();
    let name = format!("{number:03}");
    let length = u8::try_from(1 + name.len()).expect("three digits");
    wasm.extend([0, length, length - 1]);
    wasm.extend(name.as_bytes());
    wasm.into()
}

async fn deploy(deployment: &Deployment, count: usize) -> anyhow::Result<()> {
    let deployer = Deployer::new(&deployment.bus, "bench");
    for number in 0..count {
        let name = FunctionName::parse(&format!("f{number:03}"))?;
        let on = vec![ChannelPattern::parse(&format!("chat.f{number:03}.>"))?];
        let draft = FunctionDraft::new(name, deployment.store.name.clone(), on);
        deployer
            .deploy(draft, vec![module(number % MODULES)])
            .await?;
    }
    Ok(())
}

/// Waits until this many workers own all lanes, each its share; how long that took.
async fn shared(deployment: &Deployment, workers: usize, lanes: usize) -> anyhow::Result<f64> {
    let began = Instant::now();
    let what = format!("{workers} workers own {lanes} lanes");
    let owned = wait::look(&what, world::DEADLINE * 4, async || {
        let owned = deployment.owned().await?;
        let shares = owned.values().filter(|lanes| **lanes > 0);
        // Of each function's lanes a worker has the same number as another, or one more.
        let even = |share: &usize| share.abs_diff(lanes / workers) <= lanes / usize::from(LANES);
        match owned.values().sum::<usize>() == lanes
            && shares.clone().count() == workers
            && shares.clone().all(even)
        {
            true => Ok(()),
            false => Err(format!("{owned:?}")),
        }
    });
    owned.await.map_err(anyhow::Error::msg)?;
    Ok(began.elapsed().as_secs_f64())
}

/// Memory of the workers and the part of a core that they use.
async fn idle(deployment: &mut Deployment) -> anyhow::Result<(f64, f64)> {
    let pids: Vec<u32> = deployment.workers[..WORKERS]
        .iter_mut()
        .map(|worker| worker.pid())
        .collect();
    let seconds = || pids.iter().map(|pid| world::process_seconds(*pid)).sum();
    let before: anyhow::Result<f64> = seconds();
    tokio::time::sleep(IDLE).await;
    let after: anyhow::Result<f64> = seconds();
    let bytes: anyhow::Result<f64> = pids.iter().map(|pid| world::resident_bytes(*pid)).sum();
    Ok((
        bytes? / MIB,
        (after? - before?) / IDLE.as_secs_f64() * 100.0,
    ))
}

/// What was seen.
struct Figures {
    mib: f64,
    percent: f64,
    first: f64,
    comes: f64,
    goes: f64,
    dies: f64,
}

async fn measure(
    deployment: &mut Deployment,
    functions: usize,
    lanes: usize,
) -> anyhow::Result<Figures> {
    deployment.workers[WORKERS].stop().await;
    deploy(deployment, functions).await?;
    let first = shared(deployment, WORKERS, lanes).await?;
    let (mib, percent) = idle(deployment).await?;
    let began = Instant::now();
    deployment.workers[WORKERS].start().await;
    shared(deployment, WORKERS + 1, lanes).await?;
    let comes = began.elapsed().as_secs_f64();
    let began = Instant::now();
    deployment.workers[WORKERS].stop().await;
    shared(deployment, WORKERS, lanes).await?;
    let goes = began.elapsed().as_secs_f64();
    deployment.workers[WORKERS].start().await;
    shared(deployment, WORKERS + 1, lanes).await?;
    deployment.workers[WORKERS].kill();
    let dies = shared(deployment, WORKERS, lanes).await?;
    Ok(Figures {
        mib,
        percent,
        first,
        comes,
        goes,
        dies,
    })
}

/// Measures.
///
/// # Errors
/// The servers are not here, or lanes find no owner.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let builder = world::builder().processes().workers(WORKERS + 1).edges(0);
    let builder = builder.store(|store| store.lanes = LANES);
    // Those of the tests claim faster than a worker does that is left as it is.
    let claims = WorkerConfig::default().claim_interval_ms;
    let builder = builder.worker_config(move |_, config| config.claim_interval_ms = claims);
    let mut deployment = world::start(builder).await?;
    let functions = options.count(FUNCTIONS);
    let lanes = functions * usize::from(LANES);
    let found = measure(&mut deployment, functions, lanes).await?;
    deployment.stop().await;
    let row = |what: &str, unit, ours, note: &str| Row {
        what: format!("{functions} functions on {LANES} lanes: {what}"),
        unit,
        ours,
        bare: None,
        note: note.into(),
    };
    let each = found.mib * 1024.0 / lanes as f64;
    Ok(vec![
        row(
            "two idle workers, resident memory",
            "MiB",
            found.mib,
            "ten modules; target: at most 512 in all",
        ),
        row(
            "the same, for each idle lane",
            "KiB",
            each,
            "what the processes and the compiled code take included",
        ),
        row(
            "two idle workers, processor time",
            "% of a core",
            found.percent,
            "reports and heartbeats; idle lanes write nothing",
        ),
        row(
            "all lanes have an owner after the last deployment",
            "s",
            found.first,
            "the compiling of what is left included",
        ),
        row(
            "a third worker has its share after",
            "s",
            found.comes,
            "its start and its reading of compiled code included; target: at most 10",
        ),
        row(
            "one that leaves has handed over after",
            "s",
            found.goes,
            "its whole stop included; target: at most 2",
        ),
        row(
            "one that dies is replaced after",
            "s",
            found.dies,
            "target: at most 10",
        ),
    ])
}
