//! Made, used, changed, replaced, found changed and gone, taken over, removed.

use control::{Deployer, Landscape, NamespaceDraft};
use harness::Deployment;
use harness::follower::EARLIEST;
use protocol::name::{FunctionName, Namespace};
use protocol::spec::{FunctionSpec, NamespaceSpec};

use super::files::{FREE, PASS, beside, deployment, hall, publish};
use super::shell::{CHANGES, Terraform};

async fn land(deployment: &Deployment) -> Landscape {
    Landscape::read(&deployment.bus).await.unwrap()
}

async fn gate(deployment: &Deployment) -> Option<FunctionSpec> {
    let name = FunctionName::parse("hall-gate").unwrap();
    let land = land(deployment).await;
    land.functions.get(&name).map(|entry| entry.spec.clone())
}

async fn namespace(deployment: &Deployment, name: &str) -> Option<NamespaceSpec> {
    let name = Namespace::parse(name).unwrap();
    let land = land(deployment).await;
    land.namespaces.get(&name).map(|entry| entry.spec.clone())
}

async fn start(gate: &str, namespace: &str) -> Option<(Deployment, Terraform)> {
    let deployment = deployment().await?;
    let terraform = beside(&deployment, &hall(gate, namespace)).await?;
    Some((deployment, terraform))
}

/// Writes the configuration anew.
fn rewrite(deployment: &Deployment, terraform: &Terraform, rest: &str) {
    let url = deployment.servers.nats_url();
    terraform.write("main.tf", &super::files::config(url, rest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_applied_is_at_work_and_goes_again() {
    let Some((mut deployment, terraform)) = start("", FREE).await else {
        return;
    };
    let told = terraform.apply().await;
    assert!(told.contains("2 added"), "{told}");
    terraform.is_level().await;
    let follower = deployment.follow(&[0], "joe", "hall.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    publish(&mut ann, "hall.a", PASS).await;
    follower.received(1).await;
    let first = gate(&deployment).await.unwrap();
    assert_eq!(
        (first.version, first.deployed.unwrap().by.as_str()),
        (1, "ann")
    );
    let made = namespace(&deployment, "hall").await.unwrap();
    assert_eq!(made.written.unwrap().by, "ann");

    // In place: another version of the function, the namespace as it was.
    let changed = "config = { a = \"b\" }\nlimits = { deadline_ms = 70 }";
    rewrite(&deployment, &terraform, &hall(changed, FREE));
    let told = terraform.apply().await;
    assert!(told.contains("1 changed"), "{told}");
    terraform.is_level().await;
    let second = gate(&deployment).await.unwrap();
    assert_eq!((second.version, second.limits.deadline_ms), (2, 70));
    assert_eq!(second.limits.attempts, first.limits.attempts);
    publish(&mut ann, "hall.a", PASS).await;
    follower.received(2).await;

    // Another name is another namespace.
    let renamed = hall(changed, FREE).replace("\"hall\"\n  gate", "\"room\"\n  gate");
    rewrite(&deployment, &terraform, &renamed);
    let told = terraform.apply().await;
    assert!(told.contains("1 added, 0 changed, 1 destroyed"), "{told}");
    terraform.is_level().await;
    assert!(namespace(&deployment, "hall").await.is_none());
    assert!(namespace(&deployment, "room").await.is_some());

    terraform
        .done(&["destroy", "-auto-approve", "-no-color"])
        .await;
    assert!(gate(&deployment).await.is_none());
    assert!(namespace(&deployment, "room").await.is_none());
    assert_eq!(leftovers(), 0, "a folder of a provider is left");
    deployment.stop().await;
}

/// Folders of providers that no provider needs any more.
fn leftovers() -> usize {
    let all = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let folders = all.filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("eddyline-provider-")
    });
    let old = folders.filter(|entry| {
        let made = entry.metadata().and_then(|meta| meta.modified());
        // Others, of tests that run now, are just being made.
        made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age.as_secs() > 60))
    });
    old.count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_way_is_another_namespace() {
    let Some((mut deployment, terraform)) = start("", FREE).await else {
        return;
    };
    let direct = hall("", FREE).replace("  gate = eddyline_function.gate.name\n", "");
    rewrite(&deployment, &terraform, &direct);
    terraform.apply().await;
    assert!(
        namespace(&deployment, "hall")
            .await
            .unwrap()
            .gate()
            .is_none()
    );
    // With the same name: the old one goes first.
    rewrite(&deployment, &terraform, &hall("", FREE));
    let told = terraform.apply().await;
    assert!(told.contains("1 added, 0 changed, 1 destroyed"), "{told}");
    terraform.is_level().await;
    let gate = namespace(&deployment, "hall").await.unwrap();
    assert_eq!(gate.gate().unwrap().as_str(), "hall-gate");
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_do_is_found_and_made_good() {
    let Some((mut deployment, terraform)) = start("", FREE).await else {
        return;
    };
    terraform.apply().await;
    let joe = Deployer::new(&deployment.bus, "joe");
    let draft = NamespaceDraft {
        batch_ms: Some(70),
        ..NamespaceDraft::new(
            Namespace::parse("hall").unwrap(),
            deployment.store_name().clone(),
            Some(FunctionName::parse("hall-gate").unwrap()),
        )
    };
    joe.apply_namespace(draft).await.unwrap();
    let plan = terraform.plan().await;
    assert_eq!(plan.code, CHANGES, "{}", plan.told);
    assert!(
        plan.told.contains("batch_ms") && plan.told.contains("70 -> 0"),
        "{}",
        plan.told
    );
    terraform.apply().await;
    assert_eq!(namespace(&deployment, "hall").await.unwrap().batch_ms, 0);

    let name = Namespace::parse("hall").unwrap();
    joe.remove_namespace(&name).await.unwrap();
    let gate = FunctionName::parse("hall-gate").unwrap();
    joe.remove_function(&gate).await.unwrap();
    let plan = terraform.plan().await;
    assert!(
        plan.code == CHANGES && plan.told.contains("2 to add"),
        "{}",
        plan.told
    );
    terraform.apply().await;
    terraform.is_level().await;
    assert!(namespace(&deployment, "hall").await.is_some());
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_taken_over_or_imported() {
    let Some((mut deployment, terraform)) = start("", FREE).await else {
        return;
    };
    terraform.apply().await;
    let before = land(&deployment).await;
    // The state is lost, as it is when a run is killed before it is written.
    std::fs::remove_file(terraform.folder().join("terraform.tfstate")).unwrap();
    let told = terraform.apply().await;
    assert!(told.contains("2 added"), "{told}");
    let after = land(&deployment).await;
    assert_eq!(
        before.functions, after.functions,
        "what is equal is taken over"
    );
    assert_eq!(before.namespaces, after.namespaces);

    // What differs is refused, and imported.
    std::fs::remove_file(terraform.folder().join("terraform.tfstate")).unwrap();
    rewrite(
        &deployment,
        &terraform,
        &hall("", &format!("{FREE}\nbatch_ms = 30")),
    );
    let shown = terraform.shown(&["plan"]).await;
    let refused = shown.iter().find(|shown| shown.is_error).unwrap();
    assert!(
        refused.summary.contains("namespace hall is there already"),
        "{refused:?}"
    );
    assert!(refused.detail.contains("terraform import"), "{refused:?}");
    for (address, id) in [
        ("eddyline_function.gate", "hall-gate"),
        ("eddyline_namespace.hall", "hall"),
    ] {
        terraform.done(&["import", "-no-color", address, id]).await;
    }
    let told = terraform.apply().await;
    assert!(told.contains("0 added, 2 changed"), "{told}");
    terraform.is_level().await;
    let changed = land(&deployment).await;
    assert_eq!(
        before.functions, changed.functions,
        "the same module is no new version"
    );
    assert_eq!(namespace(&deployment, "hall").await.unwrap().batch_ms, 30);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_applies_at_once_the_second_is_told() {
    let Some((mut deployment, one)) = start("", FREE).await else {
        return;
    };
    one.apply().await;
    let password = deployment
        .servers
        .nats_settings(protocol::permission::Role::Edge);
    let other = one.twin();
    let other = other.variable(
        "EDDYLINE_NATS_PASSWORD",
        password.password.unwrap().expose(),
    );
    for (terraform, linger) in [(&one, 5), (&other, 7)] {
        let namespace = format!("{FREE}\nbatch_ms = {linger}");
        let gate = format!("linger_ms = {linger}");
        rewrite(&deployment, terraform, &hall(&gate, &namespace));
        terraform
            .done(&["plan", "-out", "planned", "-no-color"])
            .await;
    }
    one.done(&["apply", "-no-color", "planned"]).await;
    let ended = other.run(&["apply", "-no-color", "planned"]).await;
    assert_eq!(ended.code, 1, "{}", ended.told);
    assert!(
        ended.told.contains("changed by somebody else"),
        "{}",
        ended.told
    );
    assert_eq!(namespace(&deployment, "hall").await.unwrap().batch_ms, 5);
    assert_eq!(gate(&deployment).await.unwrap().linger_ms, 5);
    // Who plans again sees what was done, and may go on.
    other.apply().await;
    assert_eq!(namespace(&deployment, "hall").await.unwrap().batch_ms, 7);
    deployment.stop().await;
}
