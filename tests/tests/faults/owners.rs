//! Two owners at once: of every lane, and of every shard. One works without a lease
//! and is frozen just before a commit; when it goes on, others have committed, and
//! what it had in hand must come to nothing.
//!
//! Owns nothing beyond the deployment of each test.

use std::collections::BTreeMap;

use harness::collect::mirror;
use harness::traffic::{Followed, Traffic, channels, follow_all};
use harness::{DEADLINE, Deployment, wait};
use protocol::stream::StreamName;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::frozen::frozen;
use super::lanes::lanes_go_on;

/// What a worker logs when its guard was refused, or its time had passed.
const LANE_REFUSED: &str = "lane has another owner";
/// What a bridge logs when Kafka has fenced it.
const SHARD_REFUSED: &str = "another writer has taken the shard over";
/// What a bridge logs when a run begins, when a run ends because of a successor's
/// progress, and when a shard ends for good.
const STARTS: &str = "mirror starts";
const SUPERSEDED: &str = "another writer has mirrored on meanwhile";
const HALTED: &str = "waits for somebody to look";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_of_a_lane() {
    let seed = harness::seed();
    let commit = StdRng::seed_from_u64(seed).random_range(20..=60);
    eprintln!("seed {seed}: frozen before commit {commit}");
    let builder = Deployment::builder()
        .seed(seed)
        .hurried()
        .processes()
        .without_mirror();
    let builder = builder.workers(2).worker_config(move |index, config| {
        if index == 1 {
            config.faults = format!("lease.ignore=skip@1+,lane.before_commit=pause@{commit}");
        }
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let channels = channels(&deployment);
    let followers = follow_all(&mut deployment, &channels).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;

    frozen(&mut deployment.workers[1], &mut traffic).await;
    lanes_go_on(&mut deployment).await;
    let refusals =
        |deployment: &Deployment| deployment.workers[1].log().matches(LANE_REFUSED).count();
    let before = refusals(&deployment);
    deployment.workers[1].resume();
    harness::until(
        "the commit of the frozen owner is refused",
        async || match refusals(&deployment) {
            now if now > before => Ok(()),
            now => Err(format!("it has lost {now} lanes")),
        },
    )
    .await;
    // Both go on taking the lanes from each other.
    lanes_go_on(&mut deployment).await;

    traffic.conclude(&mut deployment, followers).await;
}

/// Waits until the mirror has everything that both streams hold now.
async fn shards_go_on(deployment: &mut Deployment) {
    let store = deployment.store.name.clone();
    let mut owed = BTreeMap::new();
    for stream in [StreamName::ingress(&store), StreamName::events(&store)] {
        let state = deployment
            .bus
            .stream_state(&stream)
            .await
            .expect("nats answers");
        owed.insert(stream.to_string(), state.last_seq);
    }
    let (bootstrap, prefix) = (
        deployment.servers.kafka_bootstrap().to_owned(),
        deployment.topic_prefix().to_owned(),
    );
    let waited = wait::look("both shards go on", DEADLINE, async || {
        let (bootstrap, prefix) = (bootstrap.clone(), prefix.clone());
        let read = tokio::task::spawn_blocking(move || mirror::progress(&bootstrap, &prefix));
        let mirrored = read
            .await
            .expect("reading does not panic")
            .map_err(|error| format!("{error:#}"))?;
        let behind = owed
            .iter()
            .find(|(stream, seq)| mirrored.get(*stream).is_none_or(|at| at < *seq));
        behind.map_or(Ok(()), |behind| Err(format!("{behind:?} of {mirrored:?}")))
    });
    if let Err(problem) = waited.await {
        panic!("{problem}\n{}", deployment.describe());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_of_a_shard() {
    let seed = harness::seed();
    let commit = StdRng::seed_from_u64(seed).random_range(3..=10);
    eprintln!("seed {seed}: frozen before commit {commit}");
    let builder = Deployment::builder().seed(seed).hurried().processes();
    let builder = builder.bridges(2).bridge_config(move |index, config| {
        if index == 1 {
            config.faults = format!("lease.ignore=skip@1+,mirror.before_commit=pause@{commit}");
        }
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let channels = channels(&deployment);
    let mut traffic = Traffic::begin(&deployment, &channels).await;

    frozen(&mut deployment.bridges[1], &mut traffic).await;
    shards_go_on(&mut deployment).await;
    deployment.bridges[1].resume();
    shards_go_on(&mut deployment).await;
    harness::until("an owner is fenced", async || {
        let fenced = deployment
            .bridges
            .iter()
            .any(|bridge| bridge.log().contains(SHARD_REFUSED));
        if fenced {
            Ok(())
        } else {
            Err("nobody was".to_owned())
        }
    })
    .await;

    let mirror = Followed::ByMirror;
    traffic.conclude(&mut deployment, mirror).await;
}

/// A bridge that was superseded before it knew a single topic finds them full of its
/// successor's records. That is no reason to believe that the progress is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_owner_of_a_shard_believes_its_successor() {
    let builder = Deployment::builder().hurried().processes();
    let builder = builder.bridges(2).bridge_config(|index, config| {
        if index == 1 {
            config.faults = "lease.ignore=skip@1+,mirror.before_resolve=pause@1".into();
        }
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let channels = channels(&deployment);
    // Before anything is stored, so that it reads no progress.
    says(&mut deployment, STARTS, 2).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;

    frozen(&mut deployment.bridges[1], &mut traffic).await;
    shards_go_on(&mut deployment).await;
    deployment.bridges[1].resume();
    says(&mut deployment, SUPERSEDED, 1).await;
    shards_go_on(&mut deployment).await;
    for bridge in &deployment.bridges {
        assert!(!bridge.log().contains(HALTED), "{}", deployment.describe());
    }

    let mirror = Followed::ByMirror;
    traffic.conclude(&mut deployment, mirror).await;
}

/// Waits until the second bridge has logged something so many times.
async fn says(deployment: &mut Deployment, text: &str, times: usize) {
    let waited = wait::look(text, DEADLINE, async || {
        match deployment.bridges[1].log().matches(text).count() {
            found if found >= times => Ok(()),
            found => Err(format!("{found} times of {times}")),
        }
    });
    if let Err(problem) = waited.await {
        panic!("{problem}\n{}", deployment.describe());
    }
}
