//! An application's file, applied: shown first, done in its order, the second time nothing,
//! and after an interruption the rest.

use std::collections::BTreeMap;
use std::path::Path;

use control::app::App;
use control::{Deployer, Thing, Wanted};
use harness::{Deployment, environment};
use serde_json::Value;

use super::shell::{Shell, keys, module, write};

/// Two functions that feed one another's namespaces, and a gate.
fn file(bytes_max: u32) -> String {
    let wasm = module("probe");
    format!(
        r#"
[namespaces.hall]
gate = "hall-gate"

[namespaces.hall-news]

[functions.hall-gate]
module = "{wasm}"
emits = ["hall-news.>"]
config = {{ bytes_max = "{bytes_max}" }}

[functions.hall-echo]
module = "{wasm}"
on = ["hall.>"]
emits = ["hall-news.>"]
"#
    )
}

fn told(lines: &[Value]) -> Vec<(String, String)> {
    let action = |action: &Value| match action {
        Value::String(word) => word.clone(),
        other => other.as_object().unwrap().keys().next().unwrap().clone(),
    };
    lines
        .iter()
        .map(|line| {
            (
                line["name"].as_str().unwrap().to_owned(),
                action(&line["action"]),
            )
        })
        .collect()
}

fn all(action: &str) -> Vec<(String, String)> {
    // Whoever emits needs its namespace, and a namespace its gate.
    ["hall-news", "hall-echo", "hall-gate", "hall"]
        .map(|name| (name.to_owned(), action.to_owned()))
        .to_vec()
}

async fn start() -> Option<(Deployment, Shell, tempfile::TempDir)> {
    let builder = Deployment::builder().without_mirror().functions(&[]);
    let deployment = builder.edges(1).workers(0).start().await?;
    let shell = Shell::new(deployment.servers.nats_url());
    Some((deployment, shell, tempfile::tempdir().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_is_planned_applied_and_left_alone() {
    let Some((mut deployment, shell, folder)) = start().await else {
        return;
    };
    write(folder.path(), "eddyline.toml", &file(280));
    let path = folder.path().to_str().unwrap();
    let apply = ["apply", "-f", path, "--no-wait"];
    let dry = [&apply[..], &["--dry-run"]].concat();
    assert_eq!(told(&shell.json(&dry).await), all("create"));
    assert_eq!(
        keys(&deployment.bus, "hall-gate").await,
        Vec::<String>::new()
    );
    assert_eq!(told(&shell.json(&apply).await), all("create"));
    let second = shell.done(&apply).await;
    assert!(
        second.contains("everything is as the file says"),
        "{second}"
    );
    assert_eq!(told(&shell.json(&apply).await), all("keep"));
    assert_eq!(keys(&deployment.bus, "hall-gate").await, ["hall-gate"]);

    write(folder.path(), "eddyline.toml", &file(140));
    let changed = shell.done(&dry).await;
    assert!(
        changed.contains("config.bytes_max: 280 -> 140"),
        "{changed}"
    );
    shell.done(&apply).await;
    let listed = shell.json(&["function", "list"]).await;
    let versions: Vec<_> = listed.iter().map(|spec| spec["version"].as_u64()).collect();
    assert_eq!(versions, [Some(1), Some(2)], "{listed:?}");
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_all_be_accepted_changes_nothing() {
    let Some((mut deployment, shell, folder)) = start().await else {
        return;
    };
    let path = folder.path().to_str().unwrap();
    let apply = ["apply", "-f", path, "--no-wait"];
    let wrong = file(280).replace(
        "on = [\"hall.>\"]\nemits = [\"hall-news.>\"]",
        "on = [\"hall.>\"]\nemits = [\"nowhere.>\"]",
    );
    write(folder.path(), "eddyline.toml", &wrong);
    shell
        .refused(&apply, "function hall-echo: emits: nowhere.>")
        .await;
    write(
        folder.path(),
        "eddyline.toml",
        "[functions.x]\ncolour = 1\n",
    );
    let ended = shell.run(&apply).await;
    assert!(
        ended.code == 64 && ended.errors.contains("line 2"),
        "{ended:?}"
    );
    let listed = shell.json(&["namespace", "list"]).await;
    assert!(
        listed.iter().all(|spec| spec["name"] != "hall-news"),
        "{listed:?}"
    );
    deployment.stop().await;
}

/// The first steps of an application, as an `apply` that was interrupted has done them.
async fn begin(deployment: &Deployment, file: &Path, steps: usize) {
    let app = App::read(file).unwrap();
    let names = app.functions.keys();
    let modules: BTreeMap<_, _> = names
        .map(|name| (name.clone(), vec![environment::module("probe")]))
        .collect();
    let deployer = Deployer::new(&deployment.bus, "joe");
    let plan = deployer.plan(Wanted::of_app(&app, &modules).unwrap()).await;
    let plan = plan.unwrap();
    for step in &plan.steps[..steps] {
        deployer.carry_out(&plan, step).await.unwrap();
    }
    let is_gated = |thing: &Thing| matches!(thing, Thing::Namespace(spec) if spec.gate().is_some());
    assert!(
        is_gated(&plan.steps[3].thing),
        "the gate comes before who names it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_is_completed_by_the_next() {
    let Some((mut deployment, shell, folder)) = start().await else {
        return;
    };
    write(folder.path(), "eddyline.toml", &file(280));
    begin(&deployment, &folder.path().join("eddyline.toml"), 2).await;
    let path = folder.path().to_str().unwrap();
    let actions: Vec<_> = told(&shell.json(&["apply", "-f", path, "--no-wait"]).await)
        .into_iter()
        .map(|(_, action)| action)
        .collect();
    assert_eq!(actions, ["keep", "keep", "create", "create"]);
    let second = shell.done(&["apply", "-f", path, "--no-wait"]).await;
    assert!(
        second.contains("everything is as the file says"),
        "{second}"
    );
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_no_lane_runs_is_told_with_its_reason() {
    let Some((mut deployment, shell, _folder)) = start().await else {
        return;
    };
    let wasm = module("probe");
    let line = ["function", "deploy", wasm.as_str(), "--timeout", "1s"];
    let ended = shell.run(&line).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.told.contains("0 of 4 lanes run it"), "{ended:?}");
    assert!(
        ended
            .told
            .contains("lanes 0, 1, 2, 3: no worker of its store is there"),
        "{ended:?}"
    );
    // It stays deployed, and the first worker takes it over.
    assert_eq!(keys(&deployment.bus, "probe").await, ["probe"]);
    deployment.stop().await;
}
