//! The demo, with the checker looking on: a session made up here, and the recorded one
//! where it lies beside the checkout.

use std::path::Path;
use std::sync::Arc;

use demo::generator::{Session, generate};
use demo::trace::Trace;
use demo::{self, Plan, Targets};
use harness::{Deployment, Onlooker};
use protocol::stream::StreamName;

/// Events per second: as many as the machine has time for beside other tests.
const RATE: f64 = 1_000.0;
/// Malformed edits, one of each kind.
const MALFORMED: usize = 5;
/// Edits that are sent twice.
const RESENT: usize = 4;
/// The recorded session.
const RECORDED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../shared/data/friendsforever.json.gz"
);

async fn replay(trace: Trace) {
    let Some(mut deployment) = Deployment::builder().start().await else {
        return;
    };
    let edits = trace.txns.len() as u64;
    let plan = Plan {
        trace: Arc::new(trace),
        rate: RATE,
        malformed: MALFORMED,
        resent: RESENT,
    };
    let onlooker = deployment.onlooker();
    let editors = 0..plan.trace.agents as u32;
    let tokens = editors.map(|agent| deployment.token(&Onlooker::user(agent)));
    let edges = deployment.edges.iter().map(|edge| edge.address());
    let targets = Targets {
        edges: edges.map(|address| address.to_string()).collect(),
        grpc: deployment.bridges[0].address(),
        tokens: tokens.collect(),
        witness: onlooker.clone(),
    };
    let report = demo::run(&plan, &targets, |_| {}).await.unwrap();
    assert!(report.holds(), "{report}");

    let stream = StreamName::events(deployment.store_name());
    let state = deployment.bus.stream_state(&stream).await.unwrap();
    onlooker.stayed_until(state.last_seq);
    let checked = deployment.check().await.counts;
    let editors = plan.trace.agents as u64;
    assert_eq!(checked.deliveries_owed, edits * editors);
    assert_eq!(checked.duplicates, RESENT as u64);
    // What was rejected is an input of the gate, what was not of the statistics too.
    let inputs = 2 * edits + MALFORMED as u64;
    assert!(checked.inputs_judged >= inputs && checked.mirror_owed >= inputs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_session() {
    replay(generate(&Session::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_session() {
    if !Path::new(RECORDED).exists() {
        eprintln!("there is no recorded session beside this checkout");
        return;
    }
    let trace = tokio::task::spawn_blocking(|| Trace::load(RECORDED));
    replay(trace.await.unwrap().unwrap()).await;
}
