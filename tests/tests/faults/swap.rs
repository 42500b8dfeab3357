//! One version after the other is deployed under traffic, while workers die before a lane
//! takes it up, in the middle of that, behind it, and at random: whichever version handles
//! an input, it has its one effect, in order, and what channels remember is exact.
//!
//! Owns nothing beyond the laboratory.

use std::sync::OnceLock;
use std::time::Duration;

use control::Deployer;
use harness::{NatsChoice, environment, wait};
use tokio::time::{MissedTickBehavior, interval};

use super::hunt::{Ground, hunt};
use super::lab::{Lab, deployer, gate};
use super::watch;

/// Channels of the gate.
const GATED: usize = 6;
/// Channels of the reactive function: each lane has some.
const WATCHED: usize = 5;
/// What the reactive function handles, by turns. The first channel is left out now and
/// then, the others never: an event of theirs that is passed over is lost.
const TRIGGERS: [&[&str]; 3] = [
    &["chat.*", "stats.>"],
    &["chat.1", "chat.2", "chat.3", "chat.4"],
    &watch::ALL,
];
/// The channel that is left out.
const NOW_AND_THEN: &str = "chat.0";
/// Between two deployments at least: fast enough that lanes skip some, slow enough that
/// most find lanes at work.
const PACE: Duration = Duration::from_millis(150);
/// Each third version of the gate is a module that rejects everything and remembers
/// nothing: the version behind it has to fence what is remembered.
const REJECTS_EVERY: usize = 3;

async fn deploy_gate(deployer: &Deployer, n: usize) {
    let module = match n % REJECTS_EVERY {
        1 => "document-gate",
        _ => "probe",
    };
    let draft = gate([("n".to_owned(), n.to_string())].into());
    let module = environment::module(module);
    let deployed = deployer.deploy(draft, vec![module]).await.unwrap();
    assert!(deployed.changed);
}

/// Deploys both functions again and again until all deaths are over and there were fewer of
/// them than versions; how often.
async fn deploy(deployer: &Deployer, kills: &OnceLock<usize>) -> usize {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut n = 1;
    // A loaded machine deploys more slowly than workers die: it is waited for.
    while kills.get().is_none_or(|kills| n <= *kills) {
        pace.tick().await;
        deploy_gate(deployer, n).await;
        watch::deploy(deployer, TRIGGERS[n % TRIGGERS.len()], n).await;
        n += 1;
    }
    n
}

/// Deploys both functions twice more: once every lane leaves out what is left out now and
/// then, an event comes there, and after that everything is counted.
async fn leave_out(deployer: Deployer, lab: &Lab, n: usize) {
    let left_out = watch::deploy(&deployer, TRIGGERS[1], n).await;
    let (spec, revision) = (left_out.spec, left_out.revision);
    let rollout = deployer.rollout(&spec, revision, wait::DEADLINE).await;
    let rollout = rollout.unwrap();
    assert!(rollout.is_done(), "{rollout:?}");
    let mut writer = lab.deployment.writer(&[0], "eve").await;
    let order = r#"{"do":"remember"}"#.to_owned();
    writer.start(NOW_AND_THEN, order).await.unwrap();
    assert_eq!(writer.settle_all().await, 1);
    deploy_gate(&deployer, n.next_multiple_of(REJECTS_EVERY)).await;
    watch::deploy(&deployer, &watch::ALL, n + 1).await;
}

/// Two workers die `each` times at each step of a swap, and `random` times at any.
pub async fn is_exact(nats: NatsChoice, each: usize, random: usize) {
    let Some(mut lab) = Lab::start(nats, GATED, WATCHED).await else {
        return;
    };
    let (deployer, over) = (deployer(&lab.deployment), OnceLock::new());
    let ground = Ground {
        steps: &[
            ("lane.before_swap", 12),
            ("lane.in_swap", 12),
            ("lane.after_swap", 12),
        ],
        each,
        random,
        acks_max: 400,
    };
    let kills = async {
        let kills = hunt(
            &mut lab.deployment,
            |deployment| &mut deployment.workers,
            &mut lab.traffic,
            &ground,
        )
        .await;
        *over.get_or_init(|| kills)
    };
    let (versions, kills) = tokio::join!(deploy(&deployer, &over), kills);
    assert!(versions > kills, "{versions} versions over {kills} kills");
    leave_out(deployer, &lab, versions).await;
    lab.conclude(&[NOW_AND_THEN]).await;
}
