//! One trial after the other, good versions and bad ones, while workers die where a trial
//! begins, before a judgement is written, after it, and at random: each event has its one
//! effect, in order, and what channels remember is exact.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::Bus;
use control::{CanaryDraft, Deployer, FunctionDraft};
use harness::{NatsChoice, environment, wait};
use protocol::name::{ChannelPattern, FunctionName, StoreName};
use protocol::spec::Verdict;

use super::hunt::{Ground, hunt};
use super::remember::Lab;

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

/// Puts one version after the other on trial, every other one of which rejects what it
/// gets, until it is told to stop.
async fn try_out(bus: Bus, stop: &AtomicBool) -> Ended {
    let deployer = Deployer::new(&bus, "trials");
    let (name, store) = ("probe", StoreName::parse("main").unwrap());
    let name = FunctionName::parse(name).unwrap();
    let mut ended = Ended::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let module = match n % 2 {
            0 => "probe",
            _ => "document-gate",
        };
        let draft = FunctionDraft {
            emits: vec![ChannelPattern::parse("chat.>").unwrap()],
            config: [("n".to_owned(), n.to_string())].into(),
            canary: Some(CanaryDraft {
                events_min: EVENTS_MIN,
                for_ms: TRIAL.as_millis() as u64,
                ..CanaryDraft::new(500)
            }),
            ..FunctionDraft::new(name.clone(), store.clone(), Vec::new())
        };
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trials_are_exact_however_workers_die() {
    let Some(mut lab) = Lab::start(NatsChoice::One, CHANNELS).await else {
        return;
    };
    let (bus, stop) = (lab.deployment.bus.clone(), AtomicBool::new(false));
    let ground = Ground {
        steps: &[
            ("trial.begin", 8),
            ("trial.before_judgement", 1),
            ("trial.after_judgement", 1),
        ],
        each: 3,
        random: 4,
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
    let (ended, ()) = tokio::join!(try_out(bus, &stop), kills);
    assert!(ended.promoted > 0 && ended.taken_back > 0, "{ended:?}");
    lab.conclude().await;
}
