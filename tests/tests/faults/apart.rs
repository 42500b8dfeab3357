//! What a worker keeps apart, so that one trouble is not two: its claims to lanes from its data,
//! and what runs from what is followed. Owns nothing beyond the deployment.

use harness::follower::EARLIEST;
use harness::instance::get;
use harness::{Deployment, FunctionChoice, until};
use protocol::stream::Bucket;

/// An edit that the gate takes.
fn edit(txn: u64) -> String {
    format!(r#"{{"txn":{txn},"update":"AAEC"}}"#)
}

fn gated() -> harness::Builder {
    let builder = Deployment::builder().without_mirror().edges(1);
    builder.functions(&[FunctionChoice::Gate])
}

/// Behind megabytes of events a report would come too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_have_a_connection_of_their_own() {
    let Some(mut deployment) = gated().start().await else {
        return;
    };
    let monitor = deployment.servers.nats(|nats| Ok(nats.monitor_url())).await;
    let monitor = monitor.trim_start_matches("http://").parse().unwrap();
    let told = get(monitor, "/connz?subs=detail").await.unwrap();
    let names: Vec<&str> = told
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"name\": \""))
        .collect();
    for end in [" claims\",", " claims writes\","] {
        assert!(names.iter().any(|name| name.ends_with(end)), "{names:?}");
    }
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
