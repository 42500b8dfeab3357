//! NATS away, and not known yet.

use super::files::{FREE, config, hall};
use super::shell::{CHANGES, Terraform};

/// Where nobody listens.
const NOWHERE: &str = "nats://127.0.0.1:1";

#[tokio::test]
async fn what_is_new_is_planned_while_nats_is_away() {
    let store = "resource \"eddyline_store\" \"side\" {\n  name = \"side\"\n}\n";
    let rest = hall(
        "store = eddyline_store.side.name",
        &format!("store = \"side\"\n{FREE}"),
    );
    let main = config(NOWHERE, &format!("{store}{rest}"));
    let Some(terraform) = Terraform::new(&main).await else {
        return;
    };
    let plan = terraform.plan().await;
    assert_eq!(plan.code, CHANGES, "{}", plan.told);
    assert!(plan.told.contains("3 to add"), "{}", plan.told);
    assert!(
        plan.told.contains("planned without asking NATS"),
        "{}",
        plan.told
    );
    // What can be judged without it is.
    let wrong = main.replace(
        "name   = \"hall-gate\"",
        "name = \"hall-gate\"\n  linger_ms = 5000",
    );
    terraform.write("main.tf", &wrong);
    let shown = terraform.shown(&["plan"]).await;
    let refused = shown.iter().find(|shown| shown.is_error).unwrap();
    assert_eq!(refused.summary, "linger_ms: must be at most 1000");
    // And nothing is applied that cannot be.
    terraform.write("main.tf", &main);
    let ended = terraform
        .run(&["apply", "-auto-approve", "-no-color"])
        .await;
    assert_eq!(ended.code, 1, "{}", ended.told);
    assert!(
        ended.told.contains("NATS: cannot connect"),
        "{}",
        ended.told
    );
}

#[tokio::test]
async fn which_nats_is_meant_must_be_said() {
    let main = config(NOWHERE, &hall("", FREE));
    let silent = main.replace(&format!("  servers = [\"{NOWHERE}\"]\n"), "");
    assert_ne!(main, silent);
    let Some(terraform) = Terraform::new(&silent).await else {
        return;
    };
    let shown = terraform.shown(&["plan"]).await;
    let refused = shown.iter().find(|shown| shown.is_error).unwrap();
    assert!(refused.summary.contains("which NATS"), "{refused:?}");
    assert!(refused.detail.contains("EDDYLINE_NATS_URL"), "{refused:?}");
}

/// By hand it says what it is, and is no server that hangs.
#[tokio::test]
async fn the_program_is_nothing_by_itself() {
    let program = harness::environment::program(super::shell::PROVIDER);
    let mut command = tokio::process::Command::new(program);
    let ended = harness::wait::within("it ends", command.output())
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(
        told.contains("provider of Terraform") && ended.stdout.is_empty(),
        "{told}"
    );
}
