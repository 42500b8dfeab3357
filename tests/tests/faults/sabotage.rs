//! Steps that exactly-once stands on are left out: the checker must find what comes
//! of it, or the other tests prove nothing.
//!
//! Owns nothing beyond the deployment of each test.

use std::collections::BTreeMap;

use checker::Kind;
use harness::{Deployment, FunctionChoice};

/// Events of each test.
const EVENTS: u64 = 100;

/// Two owners of each lane, and commits without the guard: both are stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_guard_is_found() {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[FunctionChoice::Gate]);
    let builder = builder.workers(2).worker_config(|_, config| {
        config.faults = "lease.ignore=skip@1+,lane.no_guard=skip@1+".into();
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let lanes = usize::from(deployment.store.lanes);
    harness::until("every lane has two owners", async || {
        let mut owners: BTreeMap<u32, usize> = BTreeMap::new();
        for stored in deployment.stored().await {
            if matches!(stored.kind, Kind::Checkpoint { .. }) {
                *owners.entry(stored.lane).or_default() += 1;
            }
        }
        let shared = owners.values().filter(|owners| **owners >= 2).count();
        if shared == lanes {
            Ok(())
        } else {
            Err(format!("{owners:?}"))
        }
    })
    .await;

    let mut writer = deployment.writer(&[0], "ann").await;
    for n in 0..EVENTS {
        let edit = format!(r#"{{"txn":{n},"update":"AAAA"}}"#);
        writer
            .start(&format!("doc.{}", n % 8), edit)
            .await
            .expect("the session lasts");
    }
    writer.settle_all().await;
    harness::until("both owners have answered", async || {
        let stored = deployment.stored().await;
        let outputs = stored
            .iter()
            .filter(|stored| stored.kind == Kind::Ev && stored.function.is_some());
        match outputs.count() as u64 {
            outputs if outputs > EVENTS => Ok(()),
            outputs => Err(format!("{outputs} outputs of {EVENTS} inputs")),
        }
    })
    .await;
    deployment.settle().await;
    let report = deployment.report().await;
    assert!(
        report.has("OrdinalRepeated") && report.has("StoredTwice"),
        "{report}"
    );
}

/// The progress record is committed by itself, and the bridge dies before the records
/// are: it goes on behind them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_outside_the_transaction_is_found() {
    let builder = Deployment::builder()
        .hurried()
        .processes()
        .functions(&[])
        .workers(0);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    deployment.bridges[0].stop().await;
    let mut writer = deployment.writer(&[0], "ann").await;
    for n in 0..EVENTS {
        let text = format!(r#"{{"text":{n}}}"#);
        writer
            .start("chat.a", text)
            .await
            .expect("the session lasts");
    }
    writer.settle_all().await;

    let bridge = &mut deployment.bridges[0];
    bridge.config.faults = "mirror.progress_outside=skip@1+,mirror.before_commit=kill@1".into();
    bridge.start().await;
    harness::until("the bridge dies before its commit", async || {
        bridge
            .ended()
            .map(|_| ())
            .ok_or_else(|| "it lives".to_owned())
    })
    .await;
    bridge.kill();
    bridge.config.faults = String::new();
    bridge.start().await;
    deployment.settle().await;
    let report = deployment.report().await;
    assert!(report.has("MirrorMissing"), "{report}");
}
