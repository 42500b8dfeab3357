//! Everything that is refused when a plan is made, by its text, and the line that it points
//! at.

use super::files::{FREE, beside, config, deployment, hall, module};

/// A resource that is refused, how, and at which attribute.
struct Case {
    rest: String,
    says: &'static str,
    at: &'static str,
}

fn case(rest: impl Into<String>, says: &'static str, at: &'static str) -> Case {
    let rest = rest.into();
    Case { rest, says, at }
}

/// A function of which only these attributes are said.
fn function(attributes: &str) -> String {
    let module = module("probe");
    format!(
        "resource \"eddyline_function\" \"one\" {{\n  name = \"one\"\n  module = \"{module}\"\n  {attributes}\n}}\n"
    )
}

fn namespace(attributes: &str) -> String {
    format!("resource \"eddyline_namespace\" \"one\" {{\n  name = \"one\"\n  {attributes}\n}}\n")
}

fn store(attributes: &str) -> String {
    format!("resource \"eddyline_store\" \"one\" {{\n  name = \"one\"\n  {attributes}\n}}\n")
}

fn of_functions() -> Vec<Case> {
    let with = |file: &str| function("").replace(&module("probe"), file);
    let gate = module("document-gate");
    vec![
        case(
            with("/nowhere.wasm"),
            "module /nowhere.wasm cannot be read",
            "module",
        ),
        case(with("main.tf"), "module: ", "module"),
        case(
            with(&gate).replace("\n  \n", "\n  config = { update_bytes_max = \"many\" }\n"),
            "update_bytes_max",
            "module",
        ),
        case(
            function("emits = [\"nowhere.>\"]"),
            "nowhere.>: there is no namespace nowhere",
            "emits",
        ),
        case(function("emits = [\">\"]"), "emits: ", "emits"),
        case(function("on = [\"a..b\"]"), "on: ", "on"),
        case(
            function(
                "on = [\"chat.>\"]\n  schedule = { every = \"10s\", tenant = \"acme\", channel = \"chat.tick\" }",
            ),
            "has `on` and a `schedule`",
            "schedule",
        ),
        case(
            function("schedule = { every = \"10\", tenant = \"acme\", channel = \"chat.tick\" }"),
            "no time such as 10s",
            "schedule",
        ),
    ]
}

/// Values that no deployment takes.
fn of_values() -> Vec<Case> {
    vec![
        case(
            function("limits = { deadline_ms = 0 }"),
            "limits.deadline_ms: must be 1 to 10000",
            "limits",
        ),
        case(
            function("limits = { isolation = \"cold\" }"),
            "cold",
            "limits",
        ),
        case(
            function("limits = { retry_age_ms = 999999999999 }"),
            "limits.retry_age_ms: 999999999999 is not below",
            "limits",
        ),
        case(
            function("linger_ms = 1001"),
            "linger_ms: must be at most 1000",
            "linger_ms",
        ),
        case(
            function("headers = { room = [\"blue\"] }"),
            "headers: a gate handles every event",
            "headers",
        ),
        case(
            function("store = \"elsewhere\""),
            "store: elsewhere is no store",
            "store",
        ),
        case(function("start = \"now\""), "start: ", "start"),
        case(
            function("").replace("\"one\"\n", "\"a b\"\n"),
            "name: ",
            "name",
        ),
    ]
}

fn of_others() -> Vec<Case> {
    let reactive = function("on = [\"chat.>\"]");
    vec![
        case(
            reactive + &namespace("gate = eddyline_function.one.name"),
            "gate: one is a function of the kind reactive",
            "gate",
        ),
        case(
            namespace("classes = []"),
            "classes: names no class",
            "classes",
        ),
        case(namespace("classes = [\"lasting\"]"), "classes: ", "classes"),
        case(
            namespace("conflate = \"key\""),
            "conflate: only ephemeral events are conflated",
            "conflate",
        ),
        case(
            namespace("conflate = \"\""),
            "conflate: is empty",
            "conflate",
        ),
        case(
            namespace("quota_bytes = 0"),
            "quota_bytes: 0 is no quota",
            "quota_bytes",
        ),
        case(
            function("config = { a = null }"),
            "config: a has no value",
            "config",
        ),
        case(
            namespace("batch_ms = 1001"),
            "batch_ms: 1001 is more than 1000",
            "batch_ms",
        ),
        case(
            namespace("presence = \"loud\""),
            "presence: \"loud\" is neither",
            "presence",
        ),
        case(
            namespace("store = \"elsewhere\""),
            "store: elsewhere is no store",
            "store",
        ),
    ]
}

fn of_stores() -> Vec<Case> {
    vec![
        case(
            store("replicas = 1"),
            "replicas: 1 are fewer than 3",
            "replicas",
        ),
        case(
            store("lanes = 0"),
            "lanes is not within 1 to 1,024",
            "lanes",
        ),
        case(
            store("ingress_max_age_ms = 1000000\n  events_max_age_ms = 999999"),
            "ingress_max_age_ms is longer than events_max_age",
            "ingress_max_age_ms",
        ),
        case(
            store("max_bytes = 1000"),
            "max_bytes is under 1 MiB",
            "max_bytes",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_names_what_it_is_about() {
    let Some(mut deployment) = deployment().await else {
        return;
    };
    let Some(terraform) = beside(&deployment, "").await else {
        return;
    };
    let url = deployment.servers.nats_url().to_owned();
    for Case { rest, says, at } in [of_functions(), of_values(), of_others(), of_stores()]
        .into_iter()
        .flatten()
    {
        terraform.write("main.tf", &config(&url, &rest));
        let shown = terraform.shown(&["plan"]).await;
        let errors: Vec<_> = shown.iter().filter(|shown| shown.is_error).collect();
        let [refused] = errors[..] else {
            panic!("{rest}: not one refusal: {shown:?}");
        };
        assert!(refused.summary.contains(says), "{rest}: {refused:?}");
        assert!(refused.code.starts_with(at), "{rest}: {refused:?}");
        let all = format!("{}{}", refused.summary, refused.detail);
        assert!(
            !all.contains("stack backtrace") && !all.contains(".rs:"),
            "{all}"
        );
    }
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_protected_stays() {
    let Some(mut deployment) = deployment().await else {
        return;
    };
    let Some(terraform) = beside(&deployment, &hall("", "")).await else {
        return;
    };
    terraform.apply().await;
    let renamed = hall("", "").replace("\"hall\"\n  gate", "\"room\"\n  gate");
    let url = deployment.servers.nats_url().to_owned();
    for main in [config(&url, ""), config(&url, &renamed)] {
        terraform.write("main.tf", &main);
        let shown = terraform.shown(&["plan"]).await;
        let refused = shown.iter().find(|shown| shown.is_error).unwrap();
        assert_eq!(refused.summary, "hall is protected from being removed");
        assert!(
            refused.detail.contains("deletion_protection = false"),
            "{refused:?}"
        );
    }
    // A gate that is named stays too, whoever asks.
    terraform.write("main.tf", &config(&url, &hall("", FREE)));
    terraform.apply().await;
    terraform
        .done(&["destroy", "-auto-approve", "-no-color"])
        .await;
    deployment.stop().await;
}
