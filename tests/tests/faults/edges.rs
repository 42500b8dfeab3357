//! SIGKILLs of edge nodes in mid-traffic: between what they store and what they tell, above
//! all, and at random moments. Owns one deployment, in which they happen one after the other.

use harness::NatsChoice;

use super::hunt::{Ground, forgetful, outlived};

/// Two nodes die in turn, so often at each step and at random; writers go to the other one
/// and resend; subscribers resume there, or wait for their own node to come back.
pub async fn die(nats: NatsChoice, each: usize, random: usize) {
    let builder = forgetful().without_mirror().nats(nats);
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
    let report = outlived(builder, |deployment| &mut deployment.edges, &ground, false).await;
    let Some(report) = report else { return };
    assert!(
        report.counts.duplicates > 0,
        "no kill came between storing and telling: {report}"
    );
}
