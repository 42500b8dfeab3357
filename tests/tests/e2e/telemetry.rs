//! How functions do, as `top` and the metrics of a worker say it, and the trace that an
//! event belongs to.

use client::Draft;
use harness::instance::get;
use harness::{Deployment, until};
use serde_json::{Value, json};

use super::common::EARLIEST;
use super::shell::{Shell, module};

/// A trace, as publishers attach it.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// What `function top` shows of the probe.
const TOP: [&str; 6] = ["function", "top", "probe", "--once", "--interval", "250ms"];
/// Metrics that traffic, one failed attempt and one new version leave.
const METRICS: [&str; 15] = [
    "function_events_total",
    "function_emitted_total",
    "function_latency_seconds_bucket",
    "function_run_seconds_bucket",
    "function_commit_seconds_bucket",
    "function_cpu_microseconds_total",
    "function_swaps_total",
    "function_lanes",
    "function_lag_events",
    "function_lag_seconds",
    "function_parked",
    "function_halted",
    "function_memory_bytes",
    "function_faults_total",
    "function_broken",
];

/// Looks at the probe until it does as it should.
async fn top(shell: &Shell, what: &str, fine: impl Fn(&Value) -> bool) -> Value {
    until(what, async || {
        let loads = shell.json(&TOP).await.remove(0);
        let load = loads["functions"][0].clone();
        match fine(&load) {
            true => Ok(load),
            false => Err(load.to_string()),
        }
    })
    .await
}

/// Looks again and again; where it is no terminal, each look stands below the one before.
async fn goes_on(shell: &Shell) {
    let mut live = shell.start(&["function", "top", "probe", "--interval", "250ms"]);
    let mut heads = 0;
    while heads < 2 {
        heads += usize::from(live.line().await.starts_with("FUNCTION"));
    }
    let mut live = shell.start(&[&["--json"], &TOP[..3], &TOP[4..]].concat());
    let mut looked = 0;
    for _ in 0..2 {
        let loads: Value = serde_json::from_str(&live.line().await).unwrap();
        let at_us = loads["at_us"].as_u64().unwrap();
        assert!(at_us > looked, "{loads}");
        looked = at_us;
    }
}

/// Waits until a worker has every metric of the probe, and its lanes under this version.
async fn are_counted(deployment: &Deployment, version: &Value) {
    until("every metric is there", async || {
        let page = get(deployment.workers[0].health(), "/metrics").await;
        let page = page.map_err(|error| error.to_string())?;
        let has = |name: &&str| page.contains(&format!("{name}{{function=\"probe\""));
        let missing: Vec<&str> = METRICS.into_iter().filter(|name| !has(name)).collect();
        let lanes = format!("function_lanes{{function=\"probe\",version=\"{version}\"}} 4");
        match missing.is_empty() && page.contains(&lanes) {
            true => Ok(()),
            false => Err(format!("{missing:?}, {lanes}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_and_metrics_say_how_a_function_does() {
    let Some((mut deployment, shell)) = Shell::beside_a_probe(|_| ()).await else {
        return;
    };
    let mut ann = deployment.writer(&[0], "ann").await;
    for _ in 0..5 {
        ann.publish("lab.a", r#"{"do":"pass"}"#).await.unwrap();
    }
    ann.publish("lab.a", r#"{"do":"reject"}"#).await.unwrap();
    let fails_once = r#"{"do":"trap","until_attempt":2}"#;
    ann.publish("lab.b", fails_once).await.unwrap();
    let load = top(&shell, "everything is counted", |load| {
        let total = &load["total"];
        total["ack"] == 6 && total["reject"] == 1 && total["fault"] == 1
    })
    .await;
    assert_eq!((&load["lanes"], &load["running"]), (&json!(4), &json!(4)));
    assert_eq!(load["by_lane"].as_array().unwrap().len(), 4, "{load}");
    assert_eq!(load["total"]["emitted"], 6, "{load}");
    assert!(load["total"]["cpu_us"].as_u64().unwrap() > 0, "{load}");
    assert!(load["memory_bytes"].as_u64().unwrap() > 0, "{load}");
    // Each look is of two reports, and while events come there is something in between.
    until("a rate and a latency", async || {
        ann.publish("lab.a", r#"{"do":"pass"}"#).await.unwrap();
        let loads = shell.json(&TOP).await.remove(0);
        let rates = &loads["functions"][0]["rates"];
        let positive = |name: &str| rates[name].as_f64().is_some_and(|rate| rate > 0.0);
        match positive("ack_per_s") && positive("p50_ms") && positive("p99_ms") {
            true => Ok(()),
            false => Err(loads.to_string()),
        }
    })
    .await;
    goes_on(&shell).await;
    let wasm = module("probe");
    let anew = ["function", "deploy", wasm.as_str(), "--config", "a=b"];
    shell.done(&anew).await;
    let load = top(&shell, "every lane has swapped", |load| {
        load["total"]["swaps"] == 4
    });
    let version = load.await["version"].clone();
    let shown = shell.done(&TOP).await;
    assert!(
        shown.contains("EVENTS/S") && shown.contains("4/4"),
        "{shown}"
    );
    are_counted(&deployment, &version).await;
    let nobody = ["function", "top", "nobody", "--once"];
    shell.refused(&nobody, "no function nobody").await;
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_emitted_belongs_to_the_trace_of_its_input() {
    let Some((mut deployment, _)) = Shell::beside_a_probe(|_| ()).await else {
        return;
    };
    let follower = deployment.follow(&[0], "joe", "lab.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    let headers = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("room", "blue"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let draft = Draft {
        headers: headers.into(),
        ..Draft::json("lab.a", r#"{"do":"emit","times":2}"#)
    };
    ann.start_draft(draft).await.unwrap();
    ann.settle_all().await;
    ann.publish("lab.a", r#"{"do":"emit"}"#).await.unwrap();
    follower.received(3).await;
    let events = follower.events();
    for event in &events[..2] {
        assert_eq!(event.headers["traceparent"], PARENT, "{event:?}");
        assert_eq!(event.headers["tracestate"], "a=1", "{event:?}");
        assert!(!event.headers.contains_key("room"), "{event:?}");
    }
    assert!(events[2].headers.is_empty(), "{:?}", events[2]);
    deployment.stop().await;
}
