//! A module on a share of the channels beside the function's own: put on trial, taken back,
//! judged by the workers, and made the function's own.

use harness::{Deployment, until};
use protocol::name::FunctionName;
use protocol::spec::FunctionSpec;

use super::files::{FREE, PASS, beside, config, deployment, hall, publish};
use super::shell::Terraform;

/// A trial of half of the channels, promoted after so many events and a while; ten times
/// that while without them, and it is taken back.
fn canary(events: u32) -> String {
    let module = super::files::module("probe");
    format!(
        "canary = {{\n  module = \"{module}\"\n  config = {{ a = \"{events}\" }}\n  permille = 500\n  \
         events_min = {events}\n  for_ms = 4000\n}}\n"
    )
}

async fn gate(deployment: &Deployment) -> FunctionSpec {
    let deployer = control::Deployer::new(&deployment.bus, "test");
    let land = deployer.landscape().await.unwrap();
    land.functions[&FunctionName::parse("hall-gate").unwrap()]
        .spec
        .clone()
}

fn rewrite(deployment: &Deployment, terraform: &Terraform, gate: &str) {
    let url = deployment.servers.nats_url();
    terraform.write("main.tf", &config(url, &hall(gate, FREE)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_is_begun_taken_back_and_judged() {
    let Some(mut deployment) = deployment().await else {
        return;
    };
    // From nothing, the function and its trial in one go.
    let never = canary(1_000_000);
    let Some(terraform) = beside(&deployment, &hall(&never, FREE)).await else {
        return;
    };
    terraform.apply().await;
    terraform.is_level().await;
    let trial = gate(&deployment).await.canary.unwrap();
    assert_eq!(
        (trial.permille, trial.candidate.config["a"].as_str()),
        (500, "1000000")
    );
    // Removed: taken back, and the function is as it was.
    rewrite(&deployment, &terraform, "");
    terraform.apply().await;
    terraform.is_level().await;
    let back = gate(&deployment).await;
    assert!(back.canary.is_none() && back.config.is_empty(), "{back:?}");

    // Begun again, and judged by the workers.
    rewrite(&deployment, &terraform, &canary(1));
    terraform.apply().await;
    let mut ann = deployment.writer(&[0], "ann").await;
    let mut n = 0;
    until("the trial is judged", async || {
        n += 1;
        publish(&mut ann, &format!("hall.c{n}"), PASS).await;
        let gate = gate(&deployment).await;
        gate.canary
            .is_none()
            .then_some(())
            .ok_or(format!("{n} events"))
    })
    .await;
    assert_eq!(gate(&deployment).await.config["a"], "1", "it was promoted");
    let plan = terraform.plan().await;
    assert_ne!(plan.code, 1, "{}", plan.told);
    assert!(plan.told.contains("has passed its trial"), "{}", plan.told);
    let promoted = gate(&deployment).await;
    rewrite(&deployment, &terraform, "config = { a = \"1\" }");
    terraform.apply().await;
    terraform.is_level().await;
    assert_eq!(
        gate(&deployment).await,
        promoted,
        "nothing is deployed for that"
    );
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_is_checked_when_it_is_planned() {
    let Some(mut deployment) = deployment().await else {
        return;
    };
    let Some(terraform) = beside(&deployment, &hall("", FREE)).await else {
        return;
    };
    terraform.apply().await;
    for (trial, says) in [
        (
            canary(1).replace("500", "501"),
            "canary: must be a share of 0.1 % to 50 %",
        ),
        (
            canary(1).replace("probe.wasm", "none.wasm"),
            "cannot be read",
        ),
        (canary(0), "canary: must be tried on 1 to"),
    ] {
        rewrite(&deployment, &terraform, &trial);
        let shown = terraform.shown(&["plan"]).await;
        let refused = shown.iter().find(|shown| shown.is_error).unwrap();
        assert!(refused.summary.contains(says), "{refused:?}");
        assert!(refused.code.starts_with("canary"), "{refused:?}");
    }
    deployment.stop().await;
}
