//! Versions on trial: a good one is promoted by itself, a bad one taken back, and whichever
//! handles a channel, each input has its one effect, in order, on what the channel
//! remembers.

use bytes::Bytes;
use client::data_of;
use harness::{Deployment, Follower, Writer, environment, until};
use protocol::spec::{FunctionSpec, Judgement, Verdict};
use protocol::stream::Bucket;
use serde_json::{Value, json};

use super::common::EARLIEST;
use super::redeploy::variant;
use super::shell::{Shell, module};

/// Channels with traffic: of half of them in a trial there are surely some.
const CHANNELS: usize = 12;
/// A trial that ends soon after it has its events; without them after ten times as long.
const SHORT: [&str; 6] = [
    "--canary",
    "50%",
    "--canary-events",
    "60",
    "--canary-for",
    "5s",
];
/// One that only a person ends.
const LONG: [&str; 2] = ["--canary", "50%"];

/// Events on every channel, and who sees what becomes of them.
struct Bed {
    deployment: Deployment,
    shell: Shell,
    writer: Writer,
    followers: Vec<Follower>,
    folder: tempfile::TempDir,
    rounds: usize,
}

impl Bed {
    async fn make() -> Option<Self> {
        let (mut deployment, shell) = Shell::beside_a_probe(|_| ()).await?;
        let writer = deployment.writer(&[0], "ann").await;
        let mut followers = Vec::with_capacity(CHANNELS);
        for n in 0..CHANNELS {
            let channel = format!("lab.{n}");
            followers.push(deployment.follow(&[0], "bob", &channel, EARLIEST).await);
        }
        let folder = tempfile::tempdir().unwrap();
        let bed = Self {
            deployment,
            shell,
            writer,
            followers,
            folder,
            rounds: 0,
        };
        Some(bed)
    }

    /// One event on each channel; every one is stored when this returns.
    async fn round(&mut self, order: &Value) {
        for n in 0..CHANNELS {
            let channel = format!("lab.{n}");
            let order = Bytes::from(order.to_string());
            self.writer.start(&channel, order).await.unwrap();
        }
        self.writer.settle_all().await;
        self.rounds += 1;
    }

    /// The file of a module that does what the probe does, and is another.
    fn another(&self) -> String {
        let path = self.folder.path().join("another.wasm");
        std::fs::write(&path, variant(&environment::module("probe"))).unwrap();
        path.display().to_string()
    }

    /// Puts a module on trial, with these options.
    async fn try_out(&self, wasm: &str, options: &[&str]) -> String {
        let line = ["function", "deploy", wasm, "--name", "probe"];
        self.shell.done(&[&line, options].concat()).await
    }

    async fn show(&self) -> Value {
        let line = ["function", "show", "probe"];
        self.shell.json(&line).await.remove(0)
    }

    /// Sends events until the trial of a version is over; how it ended.
    async fn judged(&mut self, version: u64, order: &Value) -> Judgement {
        until("the trial is judged", async || {
            self.round(order).await;
            let shown = self.show().await;
            match serde_json::from_value::<Option<Judgement>>(shown["judged"].clone()).unwrap() {
                Some(judged) if judged.version == version => Ok(judged),
                judged => Err(format!("{judged:?}")),
            }
        })
        .await
    }

    /// Waits until every lane runs this version, and none has halted.
    async fn runs(&self, version: u64) {
        let line = ["function", "top", "probe", "--once", "--interval", "250ms"];
        until("every lane runs it", async || {
            let loads = self.shell.json(&line).await.remove(0);
            let load = &loads["functions"][0];
            let lanes = load["by_lane"].as_array().unwrap();
            let halted = lanes.iter().any(|lane| !lane["halted"].is_null());
            match load["version"] == version && load["running"] == 4 && !halted {
                true if load["trial"].is_null() => Ok(()),
                _ => Err(load.to_string()),
            }
        })
        .await;
    }

    /// While version 2 is on trial, what would replace it or the other is refused.
    async fn nothing_else_is_deployed(&self, probe: &str) {
        let deploy = [
            "function", "deploy", probe, "--name", "probe", "--config", "a=b",
        ];
        for line in [
            &deploy[..],
            &["function", "rollback", "probe", "--to", "1"],
            &[&deploy[..], &LONG[..]].concat(),
        ] {
            self.shell
                .refused(line, "version 2 of probe is on trial")
                .await;
        }
    }

    /// Everything that was sent has come of its channel, in order.
    async fn all_came(&self) {
        for follower in &self.followers {
            follower.received(self.rounds).await;
        }
    }
}

fn count(event: &client::Event) -> u64 {
    let data: Value = serde_json::from_slice(&data_of(event).unwrap()).unwrap();
    data["count"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_version_is_promoted_by_itself_and_remembers_what_was() {
    let Some(mut bed) = Bed::make().await else {
        return;
    };
    let order = json!({"do": "remember"});
    bed.round(&order).await;
    let another = bed.another();
    let told = bed.try_out(&another, &SHORT).await;
    assert!(told.contains("version 2 on trial on 50 %"), "{told}");
    let judged = bed.judged(2, &order).await;
    assert_eq!(judged.verdict, Verdict::Promoted, "{judged:?}");
    assert!(
        judged.reason.contains("events in") && judged.reason.contains("rejects 0.0 %"),
        "{judged:?}"
    );
    assert!(
        judged.candidate.ack >= 60 && judged.other.ack > 0,
        "{judged:?}"
    );
    assert_eq!(judged.beside, 1);
    bed.runs(2).await;
    bed.round(&order).await;
    let shown = bed.show().await;
    assert_eq!(shown["spec"]["version"], 2, "{shown}");
    assert!(shown["spec"]["canary"].is_null(), "{shown}");
    assert_eq!(shown["versions"][0]["version"], 1, "{shown}");
    let text = bed.shell.done(&["function", "show", "probe"]).await;
    assert!(text.contains("version 2 promoted"), "{text}");

    // Each event has counted once, whichever version has handled it.
    bed.all_came().await;
    let expected: Vec<u64> = (1..=bed.rounds as u64).collect();
    for follower in &bed.followers {
        let counts: Vec<u64> = follower.events().iter().map(count).collect();
        assert_eq!(counts, expected);
    }
    // The version before is kept, and the way back to it is open.
    bed.shell.done(&["function", "rollback", "probe"]).await;
    let shown = bed.show().await;
    assert_eq!(
        (&shown["spec"]["version"], &shown["spec"]["repeats"]),
        (&json!(3), &json!(1)),
        "{shown}"
    );
    bed.deployment.check().await;
}

/// Puts a candidate beside the probe as a deployment would that tries nothing out.
async fn write_candidate(deployment: &Deployment, change: impl FnOnce(&mut FunctionSpec)) {
    let functions = deployment.bus.kv(Bucket::Functions).await.unwrap();
    let (json, revision) = functions.get("probe").await.unwrap().unwrap();
    let mut spec: FunctionSpec = serde_json::from_slice(&json).unwrap();
    change(&mut spec);
    let json = Bytes::from(serde_json::to_vec(&spec).unwrap());
    functions.update("probe", json, revision).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_version_is_taken_back_by_itself_and_costs_no_event_anything() {
    let Some(mut bed) = Bed::make().await else {
        return;
    };
    let (probe, order) = (module("probe"), json!({"do": "pass"}));
    bed.round(&order).await;
    // Whatever it fails on, the version beside it handles: nothing is rejected or given up.
    for (version, does, says) in [
        (2, "trap", "the function trapped"),
        (3, "halt", "it halts: halted as told"),
        (4, "loop", "ran for longer than 50 ms"),
    ] {
        let setting = format!("pass_is={does}");
        let options = [&SHORT[..], &["--config", &setting]].concat();
        bed.try_out(&probe, &options).await;
        let judged = bed.judged(version, &order).await;
        assert_eq!(judged.verdict, Verdict::RolledBack, "{judged:?}");
        let reason = &judged.reason;
        assert!(
            reason.contains(says) && reason.contains("fails on an event that version 1 handles"),
            "{judged:?}"
        );
        bed.runs(1).await;
    }
    // What does not start is refused when it is deployed; one that gets there all the same
    // is taken back before it handles anything.
    write_candidate(&bed.deployment, |spec| {
        let canary = spec.canary.as_mut().expect("the last one is still written");
        canary.candidate.version = 5;
        canary.candidate.config = [("pass_is".to_owned(), "nonsense".to_owned())].into();
    })
    .await;
    let judged = bed.judged(5, &order).await;
    assert!(
        judged.reason.contains("does not start") && judged.reason.contains("pass_is"),
        "{judged:?}"
    );
    assert_eq!(judged.verdict, Verdict::RolledBack);
    bed.runs(1).await;
    bed.all_came().await;
    let letters = bed.shell.json(&["rejected", "list"]).await;
    assert!(letters.is_empty(), "{letters:?}");
    bed.deployment.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_rejects_more_is_taken_back_by_itself() {
    let Some(mut bed) = Bed::make().await else {
        return;
    };
    let (probe, order) = (module("probe"), json!({"do": "pass"}));
    let options = [&SHORT[..], &["--config", "pass_is=reject"]].concat();
    bed.try_out(&probe, &options).await;
    let judged = bed.judged(2, &order).await;
    assert_eq!(judged.verdict, Verdict::RolledBack, "{judged:?}");
    assert!(
        judged.reason.contains("it rejects") && judged.reason.contains("version 1 0.0 %"),
        "{judged:?}"
    );
    assert!(judged.candidate.reject > 0, "{judged:?}");
    bed.runs(1).await;
    bed.round(&order).await;
    // What it has rejected is on its own channels alone, and kept for a redrive.
    let digest = bed.show().await["spec"]["digest"].clone();
    let letters = bed.shell.json(&["rejected", "list"]).await;
    assert!(!letters.is_empty());
    assert!(letters.iter().all(|letter| letter["digest"] == digest));
    bed.deployment.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_end_a_trial_and_nothing_is_deployed_meanwhile() {
    let Some(mut bed) = Bed::make().await else {
        return;
    };
    let (probe, another) = (module("probe"), bed.another());
    let promote = ["function", "promote", "probe"];
    bed.shell
        .refused(&promote, "no version of probe on trial")
        .await;
    let nobody = [
        &["function", "deploy", &probe, "--name", "nobody"],
        &LONG[..],
    ]
    .concat();
    bed.shell
        .refused(&nobody, "canary: nobody is not deployed")
        .await;

    bed.try_out(&another, &LONG).await;
    let listed = bed.shell.done(&["function", "list"]).await;
    assert!(listed.contains("version 2 on trial on 50 %"), "{listed}");
    let shown = bed.shell.done(&["function", "show", "probe"]).await;
    assert!(
        shown.contains("promoted after 500 events and 10m"),
        "{shown}"
    );
    bed.round(&json!({"do": "pass"})).await;
    bed.nothing_else_is_deployed(&probe).await;
    // The same again is no news.
    let kept = bed.try_out(&another, &LONG).await;
    assert!(kept.contains("kept"), "{kept}");
    let back = bed.shell.done(&["function", "rollback", "probe"]).await;
    assert!(back.contains("version 1"), "{back}");
    bed.runs(1).await;

    // A later trial has a number of its own.
    bed.try_out(&another, &LONG).await;
    bed.round(&json!({"do": "pass"})).await;
    let told = bed.shell.done(&promote).await;
    assert!(
        told.contains("version 3 of probe has every channel"),
        "{told}"
    );
    bed.runs(3).await;
    let judged = &bed.show().await["judged"];
    assert_eq!(
        (&judged["verdict"], &judged["beside"]),
        (&json!("promoted"), &json!(1))
    );
    assert!(
        judged["by"].as_str().unwrap().starts_with("ann"),
        "{judged}"
    );
    bed.shell.done(&["function", "pause", "probe"]).await;
    bed.shell.done(&["function", "resume", "probe"]).await;
    let shown = bed.show().await;
    assert_eq!(shown["versions"][0]["version"], 1, "it is kept: {shown}");
    bed.round(&json!({"do": "pass"})).await;
    bed.all_came().await;
    bed.deployment.check().await;
}
