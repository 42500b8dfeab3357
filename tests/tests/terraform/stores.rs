//! Stores: made with what is needed to use them, changed in place, kept while they hold
//! something; and what is looked at.

use bus::bootstrap::find;
use harness::{Deployment, KafkaChoice, NatsChoice, Servers};
use protocol::name::StoreName;

use super::files::{FREE, PASS, beside, config, hall, publish};
use super::shell::Terraform;

/// A store on one server, which may go.
fn side(rest: &str) -> String {
    format!(
        "resource \"eddyline_store\" \"side\" {{\n  name = \"side\"\n  lanes = 2\n  replicas = 1\n  \
         unsafe_single_replica = true\n  max_bytes = 8388608\n  lease_ttl_ms = 2000\n  {rest}\n}}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_made_on_an_empty_nats_and_changed() {
    let one = NatsChoice::One;
    let Some(servers) = Servers::start_with(one, KafkaChoice::None, &[]).await else {
        return;
    };
    let rest = hall(
        "store = eddyline_store.side.name",
        &format!("store = eddyline_store.side.name\n{FREE}"),
    );
    let main = |store: &str| config(servers.nats_url(), &format!("{}{rest}", side(store)));
    let Some(terraform) = Terraform::new(&main(FREE)).await else {
        return;
    };
    // Nothing is there, not even a bucket.
    let terraform = terraform.variable("EDDYLINE_NATS_PASSWORD", "harness");
    let told = terraform.apply().await;
    assert!(told.contains("3 added"), "{told}");
    terraform.is_level().await;
    let nats = service::settings::NatsSettings::of_address(servers.nats_url());
    let bus = bus::Bus::connect(&nats, "test").await.unwrap();
    let name = StoreName::parse("side").unwrap();
    let made = find(&bus, &name).await.unwrap().unwrap();
    assert_eq!((made.settings.lanes, made.settings.replicas), (2, 1));

    terraform.write(
        "main.tf",
        &main(&format!("{FREE}\n  logs_max_bytes = 9000000")),
    );
    let told = terraform.apply().await;
    assert!(told.contains("1 changed"), "{told}");
    let changed = find(&bus, &name).await.unwrap().unwrap();
    assert_eq!(changed.spec, made.spec, "it is the same store");
    assert_eq!(changed.settings.logs_max_bytes, 9_000_000);
    terraform.is_level().await;

    terraform
        .done(&["destroy", "-auto-approve", "-no-color"])
        .await;
    assert!(find(&bus, &name).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_holds_events_goes_only_when_told_so() {
    let name = StoreName::parse("side").unwrap();
    let builder = Deployment::builder().without_mirror().functions(&[]);
    let started = builder
        .edges(1)
        .workers(0)
        .may_use(name.clone())
        .start()
        .await;
    let Some(mut deployment) = started else {
        return;
    };
    let room = "resource \"eddyline_namespace\" \"room\" {\n  name = \"room\"\n  store = \
                eddyline_store.side.name\n  deletion_protection = false\n}\n";
    let health = "data \"eddyline_health\" \"side\" {\n  store = eddyline_store.side.name\n  depends_on = [eddyline_namespace.room]\n}\ndata \"eddyline_store\" \"side\" {\n  name = eddyline_store.side.name\n}\noutput \"told\" {\n  value = [data.eddyline_health.side.healthy, data.eddyline_health.side.namespaces, data.eddyline_store.side.lanes]\n}\n";
    let all = |store: &str| format!("{}{room}{health}", side(store));
    let Some(terraform) = beside(&deployment, &all(FREE)).await else {
        return;
    };
    terraform.apply().await;
    let told = terraform.done(&["output", "-json", "told"]).await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told, serde_json::json!([true, ["room"], 2]));
    let mut ann = deployment.writer(&[0], "ann").await;
    publish(&mut ann, "room.a", PASS).await;

    let ended = terraform
        .run(&["destroy", "-auto-approve", "-no-color"])
        .await;
    assert_eq!(ended.code, 1, "{}", ended.told);
    assert!(ended.told.contains("holds events"), "{}", ended.told);
    assert!(find(&deployment.bus, &name).await.unwrap().is_some());
    let url = deployment.servers.nats_url();
    let forced = config(url, &side(&format!("{FREE}\n  force_destroy = true")));
    terraform.write("main.tf", &forced);
    terraform.apply().await;
    terraform
        .done(&["destroy", "-auto-approve", "-no-color"])
        .await;
    assert!(find(&deployment.bus, &name).await.unwrap().is_none());
    deployment.stop().await;
}

/// What asks nobody.
#[tokio::test]
async fn functions_of_the_language_say_what_the_project_says() {
    let module = super::files::module("document-gate");
    let outputs = format!(
        "output \"told\" {{\n  value = [\n    provider::eddyline::module_digest(\"{module}\"),\n    provider::eddyline::module_problem(\"{module}\") == null,\n    provider::eddyline::module_problem(\"main.tf\") == null,\n    provider::eddyline::topic(\"eddyline\", \"ev\", \"acme\", \"chat\"),\n    provider::eddyline::lane(\"acme\", \"doc.1\", 16),\n    contains(provider::eddyline::nats_users([\"main\"]).edge.subscribe, \"fan.main.>\"),\n  ]\n}}\n"
    );
    let Some(terraform) = Terraform::new(&config("nats://127.0.0.1:1", &outputs)).await else {
        return;
    };
    terraform.apply().await;
    let told = terraform.done(&["output", "-json", "told"]).await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let digest = control::digest(&harness::environment::module("document-gate"));
    let expected = serde_json::json!([
        digest.as_str(),
        true,
        false,
        "eddyline.ev.acme.chat",
        10,
        true
    ]);
    assert_eq!(told, expected);
    let wrong = outputs.replace("\"acme\", \"doc.1\", 16", "\"acme\", \"doc..1\", 16");
    terraform.write("main.tf", &config("nats://127.0.0.1:1", &wrong));
    let shown = terraform.shown(&["plan"]).await;
    assert!(shown[0].detail.contains("channel"), "{shown:?}");
}
