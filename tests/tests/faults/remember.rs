//! What a function remembers of channels, while its workers die at every step of a
//! commit: each event that passes has counted once.

use client::data_of;
use harness::follower::EARLIEST;
use harness::traffic::{Followed, Traffic};
use harness::{Deployment, Follower, FunctionChoice, NatsChoice};
use serde_json::Value;

use super::hunt::{Ground, forgetful, hunt};

/// Channels of the function.
const CHANNELS: usize = 6;

/// The counts that the events of a channel say.
pub fn counts(follower: &Follower) -> Vec<u64> {
    let events = follower.events();
    let count = |event| {
        let data: Value = serde_json::from_slice(&data_of(event).unwrap()).unwrap();
        data["count"].as_u64().unwrap()
    };
    events.iter().map(count).collect()
}

/// Followers of these channels, from their first event.
pub async fn follow(deployment: &mut Deployment, channels: &[String]) -> Vec<Follower> {
    let mut followers = Vec::with_capacity(channels.len());
    for channel in channels {
        followers.push(deployment.follow(&[0, 1], "bob", channel, EARLIEST).await);
    }
    followers
}

/// Two workers die `each` times at each step of a commit, and `random` times at any.
pub async fn is_exact(nats: NatsChoice, each: usize, random: usize) {
    let builder = forgetful().without_mirror().workers(2).nats(nats);
    let builder = builder.functions(&[FunctionChoice::Probe]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let channels: Vec<String> = (0..CHANNELS).map(|n| format!("lab.{n}")).collect();
    let followers = follow(&mut deployment, &channels).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;
    let ground = Ground {
        steps: &[
            ("lane.takeover", 4),
            ("lane.before_commit", 30),
            ("lane.after_remembering", 30),
            ("lane.after_commit", 30),
        ],
        each,
        random,
        acks_max: 400,
    };
    hunt(
        &mut deployment,
        |deployment| &mut deployment.workers,
        &mut traffic,
        &ground,
    )
    .await;
    let followed = Followed::ByClients(Vec::new());
    traffic.conclude(&mut deployment, followed).await;
    for (channel, follower) in channels.iter().zip(&followers) {
        let counts = counts(follower);
        let expected: Vec<u64> = (1..=counts.len() as u64).collect();
        assert!(!counts.is_empty(), "nothing passed on {channel}");
        assert_eq!(counts, expected, "{channel}");
    }
}
