//! Ephemeral events through a gate, by request and reply: what an edge will ask, asked here
//! by the test itself.

use std::collections::BTreeSet;
use std::time::Duration;

use bus::{Bus, BusError};
use bytes::Bytes;
use control::{Deployer, FunctionDraft};
use futures_util::future::join_all;
use harness::{Deployment, FunctionChoice, environment, until};
use protocol::bus::Outgoing;
use protocol::envelope::Envelope;
use protocol::header::Headers;
use protocol::id::Publisher;
use protocol::lane::Lane;
use protocol::name::{Channel, ChannelPattern, FunctionName, Tenant};
use protocol::permission::Role;
use protocol::request::{ANSWER_WITHIN, Answer, Cause};
use protocol::spec::{FunctionLimits, StoreSpec};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

/// The gate's deadline, of processor time: it takes memory up to its limit in less.
const DEADLINE_MS: u64 = 500;
/// Where it is told to run for ever: on a loaded machine much more would be longer than a
/// worker may take, each time.
const DEADLINE_SHORT_MS: u64 = 20;
/// Longer than a worker may take.
const WAIT: Duration = ANSWER_WITHIN.saturating_mul(5);
/// Events at once that are more than may wait for a gate on one worker.
const FLOOD: usize = 600;

fn name(text: &str) -> FunctionName {
    FunctionName::parse(text).unwrap()
}

/// Asks with no more rights than an edge has.
struct Asker {
    bus: Bus,
    store: StoreSpec,
    tenant: Tenant,
}

impl Asker {
    async fn new(deployment: &Deployment) -> Self {
        let settings = deployment.servers.nats_settings(Role::Edge);
        Self {
            bus: Bus::connect(&settings, "asker").await.unwrap(),
            store: deployment.store.clone(),
            tenant: deployment.tenant.clone(),
        }
    }

    /// An ephemeral event for a gate, with this order.
    fn event(&self, gate: &str, order: &str) -> Outgoing {
        let envelope = Envelope {
            id: format!("acme/ann/c1/{}", rand::random::<u32>()),
            publisher: Publisher::parse("ann/c1").ok(),
            content_type: Some("text/plain".into()),
            gate: Some(name(gate)),
            ..Envelope::default()
        };
        let channel = Channel::parse("lab.cursor").unwrap();
        let lane = Lane::of(&self.tenant, &channel, self.store.lanes);
        let subject = Subject::event(Kind::Req, &self.store.name, lane, &self.tenant, &channel);
        Outgoing {
            subject,
            headers: envelope.to_headers(),
            payload: Bytes::from(order.to_owned()),
            msg_id: None,
            expect: None,
        }
    }

    async fn ask(&self, gate: &str, order: &str) -> Result<Answer, BusError> {
        let answer = self.bus.request(self.event(gate, order), WAIT).await?;
        Ok(Answer::decode(&answer).expect("an answer"))
    }

    async fn told(&self, gate: &str, order: &str) -> Answer {
        self.ask(gate, order).await.unwrap()
    }

    /// Asks until the gate is ready.
    async fn ready(&self) {
        until("the gate answers", async || {
            match self.ask("single", "pass").await {
                Ok(Answer::Passed(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Asks until it is told this cause, with the gate's name.
    async fn unavailable(&self, gate: &str, wanted: Cause) {
        until("the gate is not available", async || {
            match self.ask(gate, "pass").await {
                Ok(Answer::Unavailable { cause, reason, .. }) if cause == wanted => {
                    assert!(reason.contains(gate), "{reason}");
                    Ok(())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

/// Deploys the gate that does what it is told and remembers nothing.
async fn deploy(deployment: &Deployment, deadline_ms: u64) -> Deployer {
    let deployer = Deployer::new(&deployment.bus, "tester");
    let draft = FunctionDraft {
        emits: vec![ChannelPattern::parse("chat.>").unwrap()],
        limits: FunctionLimits {
            deadline_ms,
            ..FunctionLimits::default()
        },
        ..FunctionDraft::new(name("single"), deployment.store.name.clone(), Vec::new())
    };
    let module = environment::module("single");
    deployer.deploy(draft, vec![module]).await.unwrap();
    deployer
}

/// The text of the one event that passed.
fn passed(answer: Answer) -> (String, String) {
    match answer {
        Answer::Passed(emissions) => {
            let [emission] = <[_; 1]>::try_from(emissions).expect("one");
            let data = emission.data.into_bytes(false).expect("bytes");
            let data = String::from_utf8(data.to_vec()).expect("text");
            (emission.channel.to_string(), data)
        }
        answer => panic!("{answer:?}"),
    }
}

/// Everything that a gate may say.
async fn outcomes(asker: &Asker) {
    let own = ("lab.cursor".to_owned(), "pass".to_owned());
    assert_eq!(passed(asker.told("single", "pass").await), own);
    let granted = ("chat.a".to_owned(), "chat.a".to_owned());
    assert_eq!(passed(asker.told("single", "chat.a").await), granted);
    let dropped = Answer::Dropped("dropped as told".into());
    assert_eq!(asker.told("single", "drop").await, dropped);
    assert_eq!(
        asker.told("single", "emit 0").await,
        Answer::Dropped(String::new())
    );
    let rejected = Answer::Rejected("rejected as told".into());
    assert_eq!(asker.told("single", "reject").await, rejected);
    let again = Answer::Failed {
        reason: "retried as told".into(),
        retry_after_ms: Some(70),
    };
    assert_eq!(asker.told("single", "retry 70").await, again);
}

/// Whatever goes wrong with one event is told, and the next is none the worse for it.
async fn failures(asker: &Asker) {
    for (order, says) in [
        ("trap", "trapped"),
        ("memory", "memory"),
        ("halt", "halted as told"),
        ("huge 2", "bytes"),
        ("side.a", "side.a"),
    ] {
        fails(asker, order, says).await;
    }
    let mut nameless = asker.event("single", "pass");
    nameless.headers = Headers::new();
    let told = asker.bus.request(nameless, WAIT).await.unwrap();
    let told = Answer::decode(&told);
    assert!(
        matches!(
            told,
            Some(Answer::Unavailable {
                cause: Cause::Malformed,
                ..
            })
        ),
        "{told:?}"
    );
}

/// The gate fails on what it is told, and says so. Where there is much else to do it may
/// not come to it in time, and says that.
async fn fails(asker: &Asker, order: &str, says: &str) {
    until("the gate fails on it", async || {
        match asker.told("single", order).await {
            Answer::Failed {
                reason,
                retry_after_ms: None,
            } => {
                assert!(reason.contains(says), "{order}: {reason}");
                Ok(())
            }
            Answer::Unavailable {
                cause: Cause::Late, ..
            } => Err(format!("{order}: it did not come to it in time")),
            answer => panic!("{order}: {answer:?}"),
        }
    })
    .await;
    asker.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gate_says_of_an_ephemeral_event_is_answered() {
    let builder = Deployment::builder().without_mirror().edges(0);
    let builder = builder.functions(&[FunctionChoice::Probe]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let asker = Asker::new(&deployment).await;
    asker.unavailable("single", Cause::Absent).await;
    asker.unavailable("probe", Cause::Remembers).await;
    let deployer = deploy(&deployment, DEADLINE_MS).await;
    asker.ready().await;
    let (ingress, events) = (
        StreamName::ingress(deployment.store_name()),
        StreamName::events(deployment.store_name()),
    );
    deployment.functions.push(
        deployer.landscape().await.unwrap().functions[&name("single")]
            .spec
            .clone(),
    );
    deployment.lanes_owned().await;
    let before = deployment.bus.stream_state(&events).await.unwrap().last_seq;

    outcomes(&asker).await;
    failures(&asker).await;
    let after = deployment.bus.stream_state(&events).await.unwrap().last_seq;
    assert_eq!(before, after, "nothing is stored");
    assert_eq!(
        deployment
            .bus
            .stream_state(&ingress)
            .await
            .unwrap()
            .last_seq,
        0
    );
    deploy(&deployment, DEADLINE_SHORT_MS).await;
    fails(&asker, "loop", "ran for longer than").await;
    deployer.pause(&name("single"), true).await.unwrap();
    asker.unavailable("single", Cause::Paused).await;
    deployer.pause(&name("single"), false).await.unwrap();
    asker.ready().await;
    deployer.remove_function(&name("single")).await.unwrap();
    asker.unavailable("single", Cause::Absent).await;
    deployment.stop().await;
    let nobody = asker.ask("single", "pass").await;
    assert!(matches!(nobody, Err(BusError::NoStream)), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_events_than_may_wait_are_refused_with_a_hint() {
    let builder = Deployment::builder()
        .without_mirror()
        .edges(0)
        .functions(&[]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let asker = Asker::new(&deployment).await;
    deploy(&deployment, DEADLINE_MS).await;
    asker.ready().await;
    // The gate is busy with these while the others come.
    let orders = ["loop"; 4].into_iter().chain(["pass"; FLOOD]);
    let answers = join_all(orders.map(|order| asker.told("single", order))).await;
    let (mut passed, mut overloaded) = (0, 0);
    for answer in &answers[4..] {
        match answer {
            Answer::Passed(_) => passed += 1,
            Answer::Unavailable {
                cause,
                retry_after_ms,
                ..
            } => {
                assert!(
                    matches!(cause, Cause::Overloaded | Cause::Late),
                    "{answer:?}"
                );
                assert!(retry_after_ms.is_some_and(|ms| ms > 0), "{answer:?}");
                overloaded += usize::from(*cause == Cause::Overloaded);
            }
            answer => panic!("{answer:?}"),
        }
    }
    assert!(overloaded > 0, "{passed} of {FLOOD} have passed");
    // What may wait does, and passes.
    asker.ready().await;
    let few = join_all(["pass"; 16].map(|order| asker.told("single", order))).await;
    assert!(
        few.iter().all(|answer| matches!(answer, Answer::Passed(_))),
        "{few:?}"
    );
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_share_what_is_asked_and_one_that_dies_is_not_missed() {
    let builder = Deployment::builder().hurried().without_mirror().processes();
    let builder = builder.edges(0).workers(2).functions(&[]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let asker = Asker::new(&deployment).await;
    deploy(&deployment, DEADLINE_MS).await;
    asker.ready().await;
    // Each counts for itself: a number that comes twice is another's.
    let mut counts = BTreeSet::new();
    until("both answer", async || {
        let answer = asker.ask("single", "count").await;
        let Ok(answer @ Answer::Passed(_)) = answer else {
            return Err(format!("{answer:?}"));
        };
        let (_, count) = passed(answer);
        match counts.insert(count) {
            true => Err(format!("{} counts", counts.len())),
            false => Ok(()),
        }
    })
    .await;
    deployment.workers[0].kill();
    let mut answered = 0;
    until("the other answers", async || {
        match asker.ask("single", "pass").await {
            Ok(Answer::Passed(_)) => answered += 1,
            // What had gone to the one that died has no answer.
            other => return Err(format!("{other:?}")),
        }
        if answered >= 20 {
            Ok(())
        } else {
            Err(format!("{answered}"))
        }
    })
    .await;
    deployment.workers[0].start().await;
    deployment.stop().await;
}
