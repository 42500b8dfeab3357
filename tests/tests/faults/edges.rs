//! SIGKILLs of edge nodes in mid-traffic: between what they store and what they tell, above
//! all, and at random moments. Owns one deployment, in which they happen one after the other.

use harness::NatsChoice;
use harness::traffic::{Traffic, channels, follow_all};

use super::hunt::{Ground, KILLS_MIN, forgetful, hunt};

/// Two nodes die in turn, so often at each step and at random; writers go to the other one
/// and resend; subscribers resume there, or wait for their own node to come back.
pub async fn die(nats: NatsChoice, each: usize, random: usize) {
    let builder = forgetful().without_mirror().nats(nats);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let channels = channels(&deployment);
    let followers = follow_all(&mut deployment, &channels).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;
    let ground = Ground {
        steps: &[
            ("edge.before_publish", 30),
            ("edge.after_stage", 20),
            ("edge.after_puback", 30),
        ],
        each,
        random,
        acks_max: 200,
    };
    let kills = hunt(
        &mut deployment,
        |deployment| &mut deployment.edges,
        &mut traffic,
        &ground,
    )
    .await;
    assert!(kills >= KILLS_MIN && kills >= 3 * each + random);
    let report = traffic.conclude(&mut deployment, followers).await;
    assert!(
        report.counts.duplicates > 0,
        "no kill came between storing and telling: {report}"
    );
}
