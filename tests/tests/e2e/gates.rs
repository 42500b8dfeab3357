//! A publish into a namespace whose gate cannot take it, or may not come to it in time,
//! is refused with a hint; and what retention has taken all the same is told.

use std::time::Duration;

use harness::instance::get;
use harness::{Builder, Deployment, FunctionChoice, until};
use protocol::checkpoint::Checkpoint;
use protocol::stream::StreamName;
use serde_json::{Value, json};

use super::common::EARLIEST;
use super::http::{Answer, Client};

/// A gate and one node of each kind; INGRESS keeps inputs for so long.
fn keeps(age: Duration) -> Builder {
    let builder = Deployment::builder()
        .without_mirror()
        .edges(1)
        .functions(&[FunctionChoice::Probe])
        // Attempts must end before the input does.
        .limits(|limits| limits.retry_age_ms = 500);
    builder.store(|store| {
        store.ingress_max_age = age;
        store.duplicate_window_ingress = age / 2;
    })
}

fn order(action: &str) -> Value {
    json!({"channel": "lab.a", "data": {"do": action}})
}

/// Publishes an event of its own.
async fn publish(client: &Client, event: &Value) -> Answer {
    let key = format!("{:032x}", rand::random::<u128>());
    client.publish(Some(&key), event).await
}

/// Waits until a publish is refused for now, with these words.
async fn refused(client: &Client, words: &[&str]) {
    until("the node refuses", async || {
        let answer = publish(client, &order("pass")).await;
        let error = &answer.body["error"];
        let message = error["message"].as_str().unwrap_or_default();
        let fits = answer.status == 503 && words.iter().all(|word| message.contains(word));
        if !fits {
            return Err(format!("{} {}", answer.status, answer.body));
        }
        assert_eq!(
            (answer.code(), &error["temporary"]),
            ("unavailable", &json!(true))
        );
        assert!(error["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_deployed_gate_can_take_waits_with_its_publisher() {
    let builder = Deployment::builder()
        .without_mirror()
        .edges(1)
        .functions(&[]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let joe = Client::new(&deployment, &deployment.token("joe"));
    refused(&joe, &["function probe", "namespace lab", "not deployed"]).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    let stored = ann.publish("chat.a", "1").await;
    stored.expect("another namespace is not held up");
    let ingress = StreamName::ingress(deployment.store_name());
    let state = deployment.bus.stream_state(&ingress).await.unwrap();
    assert_eq!(state.last_seq, 0, "nothing was taken that nobody handles");

    // A client waits and resends by itself, in order.
    let seen = deployment.follow(&[0], "bob", "lab.a", EARLIEST).await;
    for _ in 0..5 {
        ann.start("lab.a", r#"{"do":"pass"}"#).await.unwrap();
    }
    deployment.deploy(FunctionChoice::Probe).await;
    ann.settle_all().await;
    seen.received(5).await;
    deployment.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_late_makes_its_publishers_wait() {
    let Some(mut deployment) = keeps(Duration::from_secs(12)).start().await else {
        return;
    };
    let joe = Client::new(&deployment, &deployment.token("joe"));
    deployment.workers[0].stop().await;
    let first = publish(&joe, &order("pass")).await;
    assert_eq!(first.status, 200, "it has just stopped: {}", first.body);
    refused(&joe, &["function probe", "behind"]).await;
    deployment.workers[0].start().await;
    until(
        "the gate has caught up and is told so",
        async || match publish(&joe, &order("pass")).await {
            answer if answer.status == 200 => Ok(()),
            answer => Err(answer.body.to_string()),
        },
    )
    .await;
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_retention_takes_from_a_lane_that_stands_still_is_counted_and_told() {
    const EVENTS: u64 = 40;
    // A lane that has read its inputs still has them: here it reads few at a time.
    let builder = keeps(Duration::from_secs(4)).worker_config(|_, config| config.batch_events = 2);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let joe = Client::new(&deployment, &deployment.token("joe"));
    let mut events = vec![order("halt")];
    events.extend((0..EVENTS).map(|_| order("pass")));
    for (n, event) in events.iter_mut().enumerate() {
        (event["client"], event["n"]) = (json!("c"), json!(n));
    }
    assert_eq!(joe.publish(None, &json!(events)).await.status, 200);
    until("the loss is told", async || {
        let reports = deployment.reports().await?;
        let functions = reports
            .values()
            .flat_map(|report| report.functions.values());
        let lanes: Vec<_> = functions.flat_map(|function| &function.lanes).collect();
        let told = lanes.iter().any(|lane| {
            let halted = lane.halted.as_deref() == Some("halted as told");
            halted
                && lane
                    .lost
                    .as_ref()
                    .is_some_and(|lost| lost.contains("INGRESS"))
        });
        if told {
            Ok(())
        } else {
            Err(format!("{lanes:?}"))
        }
    })
    .await;
    until("it is counted", async || {
        let page = get(deployment.workers[0].health(), "/metrics").await;
        let page = page.map_err(|error| error.to_string())?;
        let line = r#"function_inputs_lost_total{function="probe"} "#;
        let counted = page.lines().find_map(|found| found.strip_prefix(line));
        match counted.and_then(|count| count.trim().parse::<f64>().ok()) {
            Some(count) if count >= EVENTS as f64 / 2.0 => Ok(()),
            count => Err(format!("{count:?}")),
        }
    })
    .await;
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_to_which_nothing_came_has_lost_nothing() {
    let Some(mut deployment) = keeps(Duration::from_secs(4)).start().await else {
        return;
    };
    deployment.lanes_owned().await;
    let joe = Client::new(&deployment, &deployment.token("joe"));
    for _ in 0..5 {
        assert_eq!(publish(&joe, &order("pass")).await.status, 200);
    }
    let inputs = StreamName::ingress(deployment.store_name());
    let events = StreamName::events(deployment.store_name());
    until("retention takes the inputs of one lane", async || {
        let state = deployment.bus.stream_state(&inputs).await;
        let state = state.map_err(|error| error.to_string())?;
        match state.first_seq > 5 {
            true => Ok(()),
            false => Err(format!("{state:?}")),
        }
    })
    .await;
    until("the other lanes have moved on", async || {
        for subject in deployment.checkpoints() {
            let last = deployment.bus.last_on(&events, &subject).await;
            let last = last.map_err(|error| error.to_string())?;
            let last = last.ok_or_else(|| format!("no checkpoint on {subject}"))?;
            let checkpoint = serde_json::from_slice::<Checkpoint>(&last.payload);
            let checkpoint = checkpoint.map_err(|error| error.to_string())?;
            if checkpoint.seq < 5 {
                return Err(format!("{subject} stands at {}", checkpoint.seq));
            }
        }
        Ok(())
    })
    .await;
    deployment.workers[0].stop().await;
    deployment.workers[0].start().await;
    until("the lanes have been taken over", async || {
        let reports = deployment.reports().await?;
        let functions = reports
            .values()
            .flat_map(|report| report.functions.values());
        let owned: Vec<_> = functions.flat_map(|function| &function.lanes).collect();
        match owned.len() == deployment.checkpoints().len() {
            true if owned.iter().all(|lane| lane.lost.is_none()) => Ok(()),
            true => panic!("{owned:?}"),
            false => Err(format!("{owned:?}")),
        }
    })
    .await;
    deployment.stop().await;
}
