//! One edge node over two stores: events, and the outcomes of gates, come from the
//! store in which their namespace lives.

use std::time::Duration;

use bus::bootstrap::{StoreSettings, bootstrap};
use client::data_of;
use control::{Deployer, FunctionDraft, NamespaceDraft};
use harness::{Deployment, Follower, FunctionChoice, Instance, Placement, environment};
use protocol::frame::StoredIn;
use protocol::name::{FunctionName, Namespace, StoreName};
use protocol::outcome::{OutcomeEvent, OutcomeKind};
use protocol::permission::Role;
use protocol::spec::StoreSpec;
use workers::WorkerConfig;

use super::common::EARLIEST;

/// Leases belong to no store: all that are made in one place agree on their time.
const LEASE_TTL: Duration = Duration::from_secs(2);

/// The second store.
fn side() -> StoreName {
    StoreName::parse("side").unwrap()
}

/// Makes a second store with a namespace `far` behind a gate of its own.
async fn second_store(deployment: &Deployment) -> StoreSpec {
    let settings = StoreSettings {
        name: side(),
        lanes: 2,
        max_bytes: 64 << 20,
        lease_ttl: LEASE_TTL,
        ..StoreSettings::default()
    };
    let spec = bootstrap(&deployment.bus, &settings).await.unwrap();
    let (far, gate) = (
        Namespace::parse("far").unwrap(),
        FunctionName::parse("far-gate").unwrap(),
    );
    let deployer = Deployer::new(&deployment.bus, "test");
    let namespace = NamespaceDraft::new(far, settings.name.clone(), Some(gate.clone()));
    let applied = deployer.apply_namespace(namespace).await.unwrap();
    assert!(applied.notes[0].contains("is not deployed"), "{applied:?}");
    let draft = FunctionDraft::new(gate, settings.name, Vec::new());
    let module = environment::module("probe");
    deployer.deploy(draft, vec![module]).await.unwrap();
    spec
}

/// A worker of the second store.
async fn worker(deployment: &Deployment, spec: &StoreSpec) -> Instance<WorkerConfig> {
    let config = WorkerConfig {
        nats: deployment.servers.nats_settings(Role::Worker),
        store: spec.name.clone(),
        name: "worker-side".into(),
        claim_interval_ms: 200,
        ..WorkerConfig::default()
    };
    let folder = std::env::temp_dir();
    let mut worker = Instance::new("worker-side", config, Placement::InProcess, folder);
    worker.start().await;
    worker
}

fn outcomes(follower: &Follower) -> Vec<OutcomeEvent> {
    let events = follower.events();
    let read = events.iter().map(|event| data_of(event).unwrap());
    read.map(|data| serde_json::from_slice(&data).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_come_from_the_store_of_their_namespace() {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[FunctionChoice::Probe])
        .store(|store| store.lease_ttl = LEASE_TTL)
        .edges(1)
        .may_use(side());
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let side = second_store(&deployment).await;
    let mut far_worker = worker(&deployment, &side).await;
    // The node learns of the namespace by itself.
    let mut ann = deployment.writer(&[0], "ann").await;
    let prefix = ann.client().session().outcome_prefix;
    let near = deployment
        .follow(&[0], "ann", &format!("{prefix}.lab"), EARLIEST)
        .await;
    let far = harness::until("the node knows the namespace", async || {
        let channel = format!("{prefix}.far");
        let client = client::Client::connect(deployment.client_options(&[0], "ann")).await;
        let client = client.map_err(|error| error.to_string())?;
        let subscribed = client.subscribe(&channel, EARLIEST).await;
        subscribed.map(drop).map_err(|error| error.to_string())?;
        client.close().await;
        Ok(channel)
    })
    .await;
    let far = deployment.follow(&[0], "ann", &far, EARLIEST).await;

    let order = r#"{"do":"reject"}"#;
    let mut published = Vec::new();
    for channel in ["lab.a", "far.a", "lab.b", "far.b"] {
        let stored = ann.publish(channel, order).await.unwrap();
        assert_eq!(stored.stored_in, StoredIn::Ingress);
        published.push((channel.to_owned(), stored.position));
    }
    near.received(2).await;
    far.received(2).await;
    for (follower, namespace, epoch) in [
        (&near, "lab", &deployment.store.epoch),
        (&far, "far", &side.epoch),
    ] {
        let told = outcomes(follower);
        assert_eq!(told.len(), 2, "{told:?}");
        for outcome in told {
            assert_eq!(outcome.outcome, OutcomeKind::Rejected);
            assert!(outcome.channel.starts_with(namespace), "{outcome:?}");
            assert_eq!(outcome.position.epoch, *epoch);
            let of = published.iter().find(|(name, _)| *name == outcome.channel);
            assert_eq!(of.unwrap().1.seq, outcome.position.seq);
        }
    }
    far_worker.stop().await;
    deployment.stop().await;
}
