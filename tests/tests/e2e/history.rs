//! Recorded history through a candidate: what it would make different is shown, and
//! nothing is published.

use std::time::{Duration, UNIX_EPOCH};

use harness::{Deployment, FunctionChoice};
use protocol::stream::StreamName;
use serde_json::{Value, json};

use super::shell::{Ended, Shell, module};

/// How long a token of a test lasts.
const TOKEN_TTL: Duration = Duration::from_secs(600);

/// The last sequence of both streams.
async fn ends(deployment: &Deployment) -> [u64; 2] {
    let store = deployment.store_name();
    let mut ends = [0; 2];
    for (end, stream) in ends
        .iter_mut()
        .zip([StreamName::ingress(store), StreamName::events(store)])
    {
        *end = deployment.bus.stream_state(&stream).await.unwrap().last_seq;
    }
    ends
}

/// The line that runs history from a place on through a module as the function `probe`.
fn line(candidate: &str, from: &str, more: &[&str]) -> Vec<String> {
    let wasm = module(candidate);
    let line = ["function", "replay", &wasm, "--from", from];
    let what = [
        "--name",
        "probe",
        "--emits",
        "chat.>",
        "--limit",
        "attempts=3",
    ];
    let line = [&line[..], &what, more].concat();
    line.into_iter().map(str::to_owned).collect()
}

/// Runs history; the differences, and the summary.
async fn replay(shell: &Shell, line: &[String]) -> (Vec<Value>, Value) {
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let mut lines = shell.json(&line).await;
    let summary = lines.pop().unwrap();
    (lines, summary)
}

async fn run(shell: &Shell, line: &[String]) -> Ended {
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    shell.run(&line).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_candidate_would_make_different_is_shown() {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[FunctionChoice::Probe])
        .edges(1);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let shell = Shell::new(deployment.servers.nats_url());
    let mut ann = deployment.writer(&[0], "ann").await;
    let orders = [
        r#"{"do":"pass"}"#,
        r#"{"do":"reject"}"#,
        r#"{"do":"drop"}"#,
        r#"{"do":"emit","times":2,"channel":"chat.b"}"#,
        r#"{"do":"retry","delay_ms":1,"until_attempt":3}"#,
    ];
    for (n, order) in orders.into_iter().enumerate() {
        ann.publish(&format!("lab.{}", n % 2), order).await.unwrap();
    }
    deployment.settle().await;
    for worker in &mut deployment.workers {
        worker.stop().await;
    }
    let before = ends(&deployment).await;
    let (different, summary) = replay(&shell, &line("probe", "earliest", &[])).await;
    assert_eq!(different, Vec::<Value>::new());
    assert_eq!(
        (&summary["inputs"], &summary["same"]),
        (&5.into(), &5.into())
    );

    let (different, summary) = replay(&shell, &line("document-gate", "earliest", &[])).await;
    assert_eq!(summary["different"], 5, "{summary}");
    let first = &different[0];
    assert_eq!(first["stored"]["outputs"][0]["data"], orders[0], "{first}");
    assert!(first["candidate"]["rejected"].is_string(), "{first}");
    assert_eq!(ends(&deployment).await, before);
    deployment.stop().await;
}

/// What the probe is told in the tests of the mirror: an input that ends in each way.
const ORDERS: [&str; 8] = [
    r#"{"do":"pass"}"#,
    r#"{"do":"reject"}"#,
    r#"{"do":"drop"}"#,
    r#"{"do":"emit","times":3,"channel":"chat.b"}"#,
    r#"{"do":"retry","delay_ms":1}"#,
    r#"{"do":"retry","delay_ms":1,"until_attempt":2}"#,
    r#"{"do":"reject"}"#,
    r#"{"do":"emit","times":2}"#,
];

/// A deployment with a mirror that has everything, and a worker that has ended.
async fn mirrored() -> Option<(Deployment, Shell)> {
    let builder = Deployment::builder()
        .functions(&[FunctionChoice::Probe])
        .edges(1)
        .limits(|limits| limits.attempts = 3);
    let mut deployment = builder.start().await?;
    let shell = Shell::new(deployment.servers.nats_url());
    let mut ann = deployment.writer(&[0], "ann").await;
    for (n, order) in ORDERS.into_iter().enumerate() {
        // A namespace's own name is a channel too.
        let channel = ["lab.0", "lab.1", "lab"][n % 3];
        ann.publish(channel, order).await.unwrap();
    }
    deployment.settle().await;
    for worker in &mut deployment.workers {
        worker.stop().await;
    }
    Some((deployment, shell))
}

/// Has a stream's retention take what is before a sequence, as if it had got too old.
async fn lose(deployment: &Deployment, stream: &StreamName, first: u64) {
    let client = async_nats::connect(deployment.servers.nats_url());
    let client = client.await.unwrap();
    let api = async |call: &str, body: Vec<u8>| -> Value {
        let subject = format!("$JS.API.STREAM.{call}.{stream}");
        let answer = client.request(subject, body.into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["error"], Value::Null, "{call}");
        answer
    };
    let settings = api("INFO", Vec::new()).await["config"].clone();
    let last = deployment.bus.stream_state(stream).await.unwrap().last_seq;
    let mut fewer = settings.clone();
    fewer["discard"] = "old".into();
    fewer["max_msgs"] = (last + 1 - first).into();
    api("UPDATE", fewer.to_string().into_bytes()).await;
    api("UPDATE", settings.to_string().into_bytes()).await;
    let kept = deployment.bus.stream_state(stream).await.unwrap();
    assert_eq!((kept.first_seq, kept.last_seq), (first, last));
}

/// The differences without what Kafka does not keep of their times.
fn comparable(mut different: Vec<Value>) -> Vec<Value> {
    for one in &mut different {
        one["time"] = (one["time"].as_u64().unwrap() / 1_000).into();
    }
    different
}

/// The same differences, whatever JetStream has lost of inputs and of what became of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_jetstream_has_lost_comes_from_the_mirror() {
    let Some((mut deployment, shell)) = mirrored().await else {
        return;
    };
    let store = deployment.store_name().clone();
    let (ingress, events) = (StreamName::ingress(&store), StreamName::events(&store));
    let grpc = deployment.bridges[0].address().to_string();
    let scopes = ["inputs:lab.>", "inputs:lab", "inputs:chat.>", "replay:>"];
    let token = deployment.token_with("deployer", &scopes, TOKEN_TTL);
    let mirror = ["--grpc", &grpc, "--token", &token];
    let (whole, summary) = replay(&shell, &line("document-gate", "earliest", &mirror)).await;
    assert_eq!(summary["tenant"], Value::Null, "the mirror is not needed");
    let whole = comparable(whole);
    assert_eq!(whole.len(), ORDERS.len());
    // From one in the middle on.
    let third = whole[2]["time"].as_u64().unwrap();
    let time = UNIX_EPOCH + Duration::from_millis(third);
    let time = humantime::format_rfc3339_millis(time).to_string();
    let later: Vec<Value> = whole
        .iter()
        .filter(|one| one["time"].as_u64().unwrap() >= third)
        .cloned()
        .collect();
    let reactive = ["--on", "chat.>", "--on", "lab.>", "--loops"];
    let mut watcher = line("probe", "earliest", &[&mirror[..], &reactive].concat());
    let name = watcher.iter().position(|word| word == "probe").unwrap();
    watcher[name] = "watcher".into();
    let (_, watched) = replay(&shell, &watcher).await;
    assert_ne!(watched["inputs"], 0);

    let ends = ends(&deployment).await;
    for (inputs, outputs) in [(5, 1), (5, ends[1] / 2), (ends[0], ends[1])] {
        lose(&deployment, &ingress, inputs).await;
        lose(&deployment, &events, outputs).await;
        for from in ["earliest", "1h"] {
            let (different, summary) = replay(&shell, &line("document-gate", from, &mirror)).await;
            assert_eq!(comparable(different), whole, "{inputs} {outputs} {from}");
            assert_eq!(summary["missing"], json!([]), "{summary}");
            assert_eq!(summary["tenant"], deployment.tenant.as_str());
        }
        let (different, summary) = replay(&shell, &line("probe", "earliest", &mirror)).await;
        assert_eq!(different, Vec::<Value>::new());
        assert_eq!(summary["same"], ORDERS.len());
        let (different, _) = replay(&shell, &line("document-gate", &time, &mirror)).await;
        assert_eq!(comparable(different), later, "{time}");
        let (_, summary) = replay(&shell, &watcher).await;
        assert_eq!(summary["inputs"], watched["inputs"]);
        let (first, summary) = {
            let few = [&mirror[..], &["--count", "3"]].concat();
            replay(&shell, &line("document-gate", "earliest", &few)).await
        };
        assert_eq!(comparable(first), whole[..3]);
        assert_eq!(summary["more"], true);
    }
    deployment.stop().await;
}

/// Without a bridge, where JetStream begins is told; a token that may not see inputs is
/// told what it lacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_told() {
    let Some((mut deployment, shell)) = mirrored().await else {
        return;
    };
    let ingress = StreamName::ingress(deployment.store_name());
    lose(&deployment, &ingress, 4).await;
    let alone = line("document-gate", "earliest", &[]);
    let (different, summary) = replay(&shell, &alone).await;
    assert_eq!(different.len(), ORDERS.len() - 3);
    let missing = json!([
        {"stream": ingress.as_str(), "from": 1, "to": 3, "reason": "jetstream"}
    ]);
    assert_eq!(summary["missing"], missing);
    let told = run(&shell, &alone).await;
    let begins = format!("JetStream's history of {ingress} begins with 4");
    assert!(
        told.errors.contains(&begins) && told.errors.contains("--grpc"),
        "{told:?}"
    );

    let events = StreamName::events(deployment.store_name());
    lose(&deployment, &events, ends(&deployment).await[1]).await;
    let grpc = deployment.bridges[0].address().to_string();
    for (scopes, lacks) in [
        (
            &["replay:>", "subscribe:>"][..],
            "needs the scope inputs:lab",
        ),
        (&["inputs:>"], "needs the scope replay:chat"),
    ] {
        let token = deployment.token_with("deployer", scopes, TOKEN_TTL);
        let bridge = ["--grpc", &grpc, "--token", &token];
        let told = run(&shell, &line("document-gate", "earliest", &bridge)).await;
        assert_ne!(told.code, 0, "{told:?}");
        assert!(told.errors.contains(lacks), "{told:?}");
    }
    deployment.stop().await;
}
