//! The example of the Rust client, as its README says to run it. Owns the deployment.

use harness::{Deployment, environment, wait};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_example_publishes_receives_and_replays() {
    let Some(deployment) = Deployment::builder().functions(&[]).start().await else {
        return;
    };
    let mut command = tokio::process::Command::new(environment::program("examples/tour"));
    command
        .arg(deployment.edges[0].address().to_string())
        .arg(deployment.bridges[0].address().to_string())
        .arg(deployment.token("ann"));
    // The bridge listens when it has started, which nothing before waits for.
    let _replay = deployment.replay_client(0, "ann").await;
    let output = wait::within("the example ends", command.output())
        .await
        .unwrap();
    let (told, errors) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{told}{errors}");
    let stored = told
        .lines()
        .find_map(|line| line.strip_prefix("stored as "));
    let seq = stored.expect("an event was stored");
    assert!(told.contains(&format!("received {seq}")), "{told}");
    assert!(told.contains(&format!("kept {seq}: 16 bytes")), "{told}");
}
