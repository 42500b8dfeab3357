//! What a worker keeps apart, so that one trouble is not two: its claims to lanes from its data,
//! and what runs from what is followed. Owns nothing beyond the deployment.

use std::net::SocketAddr;

use harness::follower::EARLIEST;
use harness::instance::get;
use harness::{Deployment, FunctionChoice, until};
use protocol::stream::Bucket;
use serde_json::Value;

/// Reports of a worker that are waited for.
const REPORTS: u64 = 3;

/// An edit that the gate takes.
fn edit(txn: u64) -> String {
    format!(r#"{{"txn":{txn},"update":"AAEC"}}"#)
}

fn gated() -> harness::Builder {
    let builder = Deployment::builder().without_mirror().edges(1);
    builder.functions(&[FunctionChoice::Gate])
}

/// What the server has received so far over the connections of this name.
async fn received(monitor: SocketAddr, ends_with: &str) -> Result<u64, String> {
    let answer = get(monitor, "/connz").await;
    let answer = answer.map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    // Its JSON has no carriage return: between two of them is a chunk, or its size.
    let chunked = usize::from(head.to_lowercase().contains("chunked"));
    let body: String = body.split("\r\n").skip(chunked).step_by(2).collect();
    let told: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {answer}"))?;
    let connections = told["connections"].as_array().into_iter().flatten();
    let named = connections.filter(|connection| {
        let name = connection["name"].as_str();
        name.is_some_and(|name| name.ends_with(ends_with))
    });
    let messages: Option<u64> = named
        .map(|connection| connection["in_msgs"].as_u64())
        .sum::<Option<u64>>();
    messages
        .filter(|messages| *messages > 0)
        .ok_or_else(|| format!("{ends_with}: {told}"))
}

/// Behind megabytes of events a report would come too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_have_a_connection_of_their_own() {
    let Some(mut deployment) = gated().start().await else {
        return;
    };
    let monitor = deployment.servers.nats(|nats| Ok(nats.monitor_url())).await;
    let monitor = monitor.trim_start_matches("http://").parse().unwrap();
    let writes = " claims writes";
    let before = until("claims are written", async || {
        received(monitor, writes).await
    })
    .await;
    // It lives, so it reports, and over this connection.
    until(
        "the worker reports again and again",
        async || match received(monitor, writes).await? {
            now if now >= before + REPORTS => Ok(()),
            now => Err(format!("{now} after {before}")),
        },
    )
    .await;
    deployment.stop().await;
}

/// The bucket is deleted and made again: what runs goes on, and what is deployed then is
/// followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_are_followed_when_their_bucket_was_made_anew() {
    let Some(mut deployment) = gated().start().await else {
        return;
    };
    let follower = deployment.follow(&[0], "joe", "doc.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    ann.publish("doc.a", edit(1)).await.unwrap();
    follower.received(1).await;

    let kv = deployment.bus.kv(Bucket::Functions).await.unwrap();
    let name = FunctionChoice::Gate.name();
    let (spec, _) = kv.get(name).await.unwrap().unwrap();
    let nats = async_nats::connect(deployment.servers.nats_url())
        .await
        .unwrap();
    let jetstream = async_nats::jetstream::new(nats);
    let stream = format!("KV_{}", Bucket::Functions.as_str());
    let config = jetstream
        .get_stream(&stream)
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    jetstream.delete_stream(&stream).await.unwrap();
    jetstream.create_stream(config).await.unwrap();
    // Whether the worker has seen that the function was gone meanwhile or not.
    until("the function is deployed again", async || {
        let put = kv.put(name, spec.clone()).await;
        put.map(drop).map_err(|error| error.to_string())
    })
    .await;
    ann.publish("doc.a", edit(2)).await.unwrap();
    follower.received(2).await;
    // By now a worker that had not followed on would have ended, or would not hear of this.
    let (_, revision) = kv.get(name).await.unwrap().unwrap();
    kv.delete(name, revision).await.unwrap();
    until("the worker hears that the function is gone", async || {
        let functions = deployment.workers[0].view().expect("it runs").functions();
        if functions.is_empty() {
            Ok(())
        } else {
            Err(format!("{functions:?}"))
        }
    })
    .await;
    deployment.stop().await;
}
