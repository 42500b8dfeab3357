//! Where kills are tried on what remembers: two workers, a gate that counts the events of
//! its channels, and beside it, if wanted, a reactive function that does so too.
//!
//! Owns the deployment and its traffic. Who is killed, and when, it does not know.

use std::collections::BTreeMap;

use client::{Event, data_of};
use control::{Deployer, FunctionDraft};
use harness::follower::EARLIEST;
use harness::traffic::{Followed, Traffic};
use harness::{Deployment, Follower, FunctionChoice, NatsChoice, environment};
use protocol::name::{ChannelPattern, FunctionName, StoreName};
use serde_json::Value;

use super::hunt::forgetful;
use super::watch;

/// Somebody who deploys, without compiling anything twice.
pub fn deployer(deployment: &Deployment) -> Deployer {
    Deployer::new(&deployment.bus, "laboratory").compiled(environment::compiled())
}

/// The gate of a laboratory with other settings.
pub fn gate(config: BTreeMap<String, String>) -> FunctionDraft {
    FunctionDraft {
        emits: vec![ChannelPattern::parse("chat.>").unwrap()],
        config,
        ..FunctionDraft::new(
            FunctionName::parse("probe").unwrap(),
            StoreName::parse("main").unwrap(),
            Vec::new(),
        )
    }
}

/// The count that an event says, if it says one.
fn count(event: &Event) -> Option<u64> {
    let data: Value = serde_json::from_slice(&data_of(event).unwrap()).unwrap();
    data["count"].as_u64()
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
    /// Begins with so many channels of the gate, and so many of [`watch`]; without any of
    /// those it is not there. `None` where no server can be had.
    pub async fn start(nats: NatsChoice, gated: usize, watched: usize) -> Option<Self> {
        let builder = forgetful().without_mirror().workers(2).nats(nats);
        let builder = builder.functions(&[FunctionChoice::Probe]);
        let mut deployment = builder.start().await?;
        if watched > 0 {
            let deployed = watch::deploy(&deployer(&deployment), &watch::ALL, 0).await;
            deployment.functions.push(deployed.spec);
        }
        let gated = (0..gated).map(|n| format!("lab.{n}"));
        let watched = (0..watched).map(|n| format!("chat.{n}"));
        let channels: Vec<String> = gated.chain(watched).collect();
        let followers = follow(&mut deployment, &channels).await;
        let traffic = Traffic::begin(&deployment, &channels).await;
        Some(Self {
            deployment,
            traffic,
            channels,
            followers,
        })
    }

    /// Ends the traffic: it is exact, each event that passed the gate has counted once, and
    /// so has each that was watched; on the channels of `now_and_then` not all were.
    pub async fn conclude(mut self, now_and_then: &[&str]) {
        let followed = Followed::ByClients(Vec::new());
        self.traffic.conclude(&mut self.deployment, followed).await;
        for (channel, follower) in self.channels.iter().zip(&self.followers) {
            let events = follower.events();
            let counts: Vec<u64> = events.iter().filter_map(count).collect();
            let expected: Vec<u64> = (1..=counts.len() as u64).collect();
            assert!(!counts.is_empty(), "nothing passed on {channel}");
            assert_eq!(counts, expected, "{channel}");
            let others = events.len() - counts.len();
            if channel.starts_with("lab.") {
                assert_eq!(others, 0, "{channel}");
            } else if now_and_then.contains(&channel.as_str()) {
                assert!(others > counts.len(), "{channel}: {others}, {counts:?}");
            } else {
                assert_eq!(others, counts.len(), "each event of {channel} has counted");
            }
        }
    }
}
