//! One trial after the other, good versions and bad ones, while workers die where a trial
//! begins, where its version fails, before a judgement is written, after it, where lanes
//! take it up, and at random: each event has its one effect, in order, and what channels
//! remember is exact.
//!
//! Owns nothing beyond the laboratory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use control::{CanaryDraft, Deployer, FunctionDraft};
use harness::{NatsChoice, environment, wait};
use protocol::spec::Verdict;

use super::hunt::{Ground, hunt};
use super::lab::{Lab, deployer, gate};

/// Channels of the function: enough that a half of them is never all or none.
const CHANNELS: usize = 12;
/// Events on which a version is judged.
const EVENTS_MIN: u64 = 60;
/// How long a trial is at least; one without events ends after ten times that.
const TRIAL: Duration = Duration::from_millis(500);

/// Trials that were judged.
#[derive(Debug, Default)]
struct Ended {
    promoted: usize,
    taken_back: usize,
}

/// The module and the settings of the `n`-th version: one that is as good as the one
/// before, one that rejects what it gets, one that fails.
fn version(n: usize) -> (&'static str, BTreeMap<String, String>) {
    let mut config: BTreeMap<_, _> = [("n".to_owned(), n.to_string())].into();
    let module = match n % 3 {
        1 => "document-gate",
        _ => "probe",
    };
    if n % 3 == 2 {
        config.insert("order".to_owned(), r#"{"do":"trap"}"#.to_owned());
    }
    (module, config)
}

/// Puts one version after the other on trial until it is told to stop.
async fn try_out(deployer: Deployer, stop: &AtomicBool) -> Ended {
    let mut ended = Ended::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (module, config) = version(n);
        let draft = FunctionDraft {
            canary: Some(CanaryDraft {
                events_min: EVENTS_MIN,
                for_ms: TRIAL.as_millis() as u64,
                ..CanaryDraft::new(500)
            }),
            ..gate(config)
        };
        let name = draft.name.clone();
        let deployed = deployer
            .deploy(draft, vec![environment::module(module)])
            .await;
        let version = deployed.unwrap().spec.canary.unwrap().candidate.version;
        let verdict = wait::until("the trial is judged", async || {
            let land = deployer.landscape().await;
            let land = land.map_err(|error| error.to_string())?;
            match land.judged.get(&name) {
                Some(judged) if judged.version == version => Ok(judged.verdict),
                judged => Err(format!("{judged:?} is not of version {version}")),
            }
        });
        match verdict.await {
            Verdict::Promoted => ended.promoted += 1,
            Verdict::RolledBack => ended.taken_back += 1,
        }
    }
    ended
}

/// Two workers die `each` times at each step of trials, and `random` times at any.
pub async fn is_exact(nats: NatsChoice, each: usize, random: usize) {
    let Some(mut lab) = Lab::start(nats, CHANNELS, 0).await else {
        return;
    };
    let (deployer, stop) = (deployer(&lab.deployment), AtomicBool::new(false));
    let ground = Ground {
        steps: &[
            ("trial.begin", 4),
            ("trial.failed", 1),
            ("trial.before_judgement", 1),
            ("trial.after_judgement", 1),
            ("lane.in_swap", 4),
        ],
        each,
        random,
        acks_max: 400,
    };
    let kills = async {
        hunt(
            &mut lab.deployment,
            |deployment| &mut deployment.workers,
            &mut lab.traffic,
            &ground,
        )
        .await;
        stop.store(true, Ordering::Relaxed);
    };
    let (ended, ()) = tokio::join!(try_out(deployer, &stop), kills);
    assert!(ended.promoted > 0 && ended.taken_back > 0, "{ended:?}");
    lab.conclude(&[]).await;
}
