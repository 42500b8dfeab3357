//! Redeployments that workers cannot follow at once, or at all: whatever was accepted has
//! its outputs afterwards.

use bus::Kv;
use bytes::Bytes;
use harness::{Deployment, FunctionChoice, environment, until};
use protocol::checkpoint::Digest;
use protocol::name::{FunctionName, Namespace};
use protocol::spec::key;
use protocol::stream::Bucket;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::common::{EARLIEST, edit};

/// Events of each step.
const EVENTS: usize = 20;

/// A bucket that is there since the bootstrap.
async fn bucket(deployment: &Deployment, bucket: Bucket) -> Kv {
    deployment.bus.kv(bucket).await.unwrap()
}

/// Writes a function's spec as a deployment would that asks nobody.
async fn write_spec(deployment: &Deployment, name: &str, change: impl FnOnce(&mut Value)) {
    let functions = bucket(deployment, Bucket::Functions).await;
    let (json, _) = functions.get(name).await.unwrap().unwrap();
    let mut spec: Value = serde_json::from_slice(&json).unwrap();
    change(&mut spec);
    let json = Bytes::from(serde_json::to_vec(&spec).unwrap());
    functions.put(name, json).await.unwrap();
}

fn digest(module: &[u8]) -> String {
    Digest::from_bytes(Sha256::digest(module).into()).to_string()
}

/// The same module under another digest: a component may end with a section of any name
/// (component model, binary format: custom sections).
pub fn variant(module: &Bytes) -> Bytes {
    let mut bytes = module.to_vec();
    bytes.extend([0, 4, 2, b'v', b'2', 0]);
    bytes.into()
}

/// Waits until a worker says why what is deployed does not run.
async fn broken(deployment: &Deployment, name: &str) {
    let name = FunctionName::parse(name).unwrap();
    until("the worker says that it cannot follow", async || {
        let reports = deployment.reports().await?;
        match reports
            .values()
            .any(|report| report.broken.contains_key(&name))
        {
            true => Ok(()),
            false => Err(format!("{reports:?}")),
        }
    })
    .await;
}

/// A namespace that is bound while the worker has an older spec, its module being slow,
/// missing or not one at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_bound_while_a_module_is_missing_loses_no_input() {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[FunctionChoice::Probe]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    // The namespace is there from the start in tests; here it comes later.
    let config = bucket(&deployment, Bucket::Config).await;
    let lab = key::namespace(&Namespace::parse("lab").unwrap());
    let (namespace, revision) = config.get(&lab).await.unwrap().unwrap();
    config.delete(&lab, revision).await.unwrap();

    let module = environment::module("probe");
    let next = variant(&module);
    write_spec(&deployment, "probe", |spec| {
        spec["digest"] = json!(digest(&next))
    })
    .await;
    broken(&deployment, "probe").await;
    config.put(&lab, namespace).await.unwrap();
    until("the nodes know the namespace", async || {
        let client = client::Client::connect(deployment.client_options(&[0], "eve")).await;
        let client = client.map_err(|error| error.to_string())?;
        let subscribed = client.subscribe("lab.a", EARLIEST).await;
        subscribed.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let seen = deployment.follow(&[0], "bob", "lab.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    for _ in 0..EVENTS {
        ann.start("lab.a", r#"{"do":"pass"}"#).await.unwrap();
    }
    ann.settle_all().await;
    deployment.bus.put_module(next).await.unwrap();
    seen.received(EVENTS).await;

    // What does not compile changes nothing either.
    let garbage = Bytes::from_static(b"no module at all");
    let stored = deployment.bus.put_module(garbage).await.unwrap();
    write_spec(&deployment, "probe", |spec| {
        spec["digest"] = json!(stored.to_string())
    })
    .await;
    broken(&deployment, "probe").await;
    for _ in 0..EVENTS {
        ann.start("lab.a", r#"{"do":"pass"}"#).await.unwrap();
    }
    ann.settle_all().await;
    seen.received(2 * EVENTS).await;
    write_spec(&deployment, "probe", |spec| {
        spec["digest"] = json!(digest(&module))
    })
    .await;
    deployment.check().await;
}

/// Inputs that a gate has never handled when it is taken away wait for its first worker
/// to have it, deployed anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_deployed_behind_its_inputs_handles_them() {
    let builder = Deployment::builder()
        .without_mirror()
        .edges(1)
        .workers(0)
        .functions(&[FunctionChoice::Probe]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let seen = deployment.follow(&[0], "bob", "lab.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    for _ in 0..EVENTS {
        ann.start("lab.a", r#"{"do":"pass"}"#).await.unwrap();
    }
    ann.settle_all().await;
    let probe = FunctionName::parse("probe").unwrap();
    // A deployer may not take away what a namespace names, but an operator can.
    let functions = deployment.bus.kv(Bucket::Functions).await.unwrap();
    let (_, revision) = functions.get(probe.as_str()).await.unwrap().unwrap();
    functions.delete(probe.as_str(), revision).await.unwrap();
    deployment.add_worker(0).await;
    deployment.deploy(FunctionChoice::Probe).await;
    seen.received(EVENTS).await;
    deployment.check().await;
}

/// A module that starts with no such configuration holds its lanes, and the inputs wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redeploy_that_does_not_start_holds_its_inputs_until_one_does() {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[FunctionChoice::Gate]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let seen = deployment.follow(&[0], "bob", "doc.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    ann.publish("doc.a", edit(0)).await.unwrap();
    seen.received(1).await;
    write_spec(&deployment, "document-gate", |spec| {
        spec["config"] = json!({"update_bytes_max": "many"});
    })
    .await;
    for n in 0..EVENTS {
        ann.start("doc.a", edit(n as u64 + 1)).await.unwrap();
    }
    ann.settle_all().await;
    until("the lane halts and says why", async || {
        let reports = deployment.reports().await?;
        let functions = reports
            .values()
            .flat_map(|report| report.functions.values());
        let lanes: Vec<_> = functions.flat_map(|function| &function.lanes).collect();
        let reason = |text: &String| text.contains("update_bytes_max");
        match lanes
            .iter()
            .any(|lane| lane.halted.as_ref().is_some_and(reason))
        {
            true => Ok(()),
            false => Err(format!("{lanes:?}")),
        }
    })
    .await;
    write_spec(&deployment, "document-gate", |spec| {
        spec["config"] = json!({})
    })
    .await;
    seen.received(EVENTS + 1).await;
    deployment.check().await;
}
