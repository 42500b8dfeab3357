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
fn counts(follower: &Follower) -> Vec<u64> {
    let events = follower.events();
    let count = |event| {
        let data: Value = serde_json::from_slice(&data_of(event).unwrap()).unwrap();
        data["count"].as_u64().unwrap()
    };
    events.iter().map(count).collect()
}

/// Followers of these channels, from their first event.
async fn follow(deployment: &mut Deployment, channels: &[String]) -> Vec<Follower> {
    let mut followers = Vec::with_capacity(channels.len());
    for channel in channels {
        followers.push(deployment.follow(&[0, 1], "bob", channel, EARLIEST).await);
    }
    followers
}

/// Two workers with the probe, and events on its channels that it counts.
pub struct Lab {
    /// Everything.
    pub deployment: Deployment,
    /// What keeps flowing.
    pub traffic: Traffic,
    channels: Vec<String>,
    followers: Vec<Follower>,
}

impl Lab {
    /// Begins with so many channels; `None` where no server can be had.
    pub async fn start(nats: NatsChoice, channels: usize) -> Option<Self> {
        let builder = forgetful().without_mirror().workers(2).nats(nats);
        let builder = builder.functions(&[FunctionChoice::Probe]);
        let mut deployment = builder.start().await?;
        let channels: Vec<String> = (0..channels).map(|n| format!("lab.{n}")).collect();
        let followers = follow(&mut deployment, &channels).await;
        let traffic = Traffic::begin(&deployment, &channels).await;
        Some(Self {
            deployment,
            traffic,
            channels,
            followers,
        })
    }

    /// Ends the traffic: it is exact, and each event that passed has counted once.
    pub async fn conclude(mut self) {
        let followed = Followed::ByClients(Vec::new());
        self.traffic.conclude(&mut self.deployment, followed).await;
        for (channel, follower) in self.channels.iter().zip(&self.followers) {
            let counts = counts(follower);
            let expected: Vec<u64> = (1..=counts.len() as u64).collect();
            assert!(!counts.is_empty(), "nothing passed on {channel}");
            assert_eq!(counts, expected, "{channel}");
        }
    }
}

/// Two workers die `each` times at each step of a commit, and `random` times at any.
pub async fn is_exact(nats: NatsChoice, each: usize, random: usize) {
    let Some(mut lab) = Lab::start(nats, CHANNELS).await else {
        return;
    };
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
        &mut lab.deployment,
        |deployment| &mut deployment.workers,
        &mut lab.traffic,
        &ground,
    )
    .await;
    lab.conclude().await;
}
