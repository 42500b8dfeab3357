//! Ephemeral events through a gate, from a publisher to subscribers on another node: what
//! passes is fanned out, what does not is told, and nothing is stored.

use std::time::Duration;

use client::{Client, ClientError, Delivery, Draft, Named, Start, Subscription, data_of_ephemeral};
use control::{ControlError, Deployer, FunctionDraft, NamespaceDraft};
use harness::{Deployment, FunctionChoice, environment, until, wait};
use protocol::class::{Class, Classes};
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, PassedOn};
use protocol::name::{ChannelPattern, FunctionName, Namespace};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use serde_json::{Value, json};

use super::shell::Shell;

const NOW: Start = Start::Named(Named::Now);

fn function(name: &str) -> FunctionName {
    FunctionName::parse(name).unwrap()
}

fn namespace(deployment: &Deployment, name: &str, gate: Option<&str>) -> NamespaceDraft {
    let name = Namespace::parse(name).unwrap();
    let store = deployment.store_name().clone();
    NamespaceDraft {
        classes: Some(Classes::of(&[Class::Ephemeral]).unwrap()),
        ..NamespaceDraft::new(name, store, gate.map(function))
    }
}

fn draft(deployment: &Deployment, name: &str, emits: &[&str]) -> FunctionDraft {
    let emits = emits
        .iter()
        .map(|text| ChannelPattern::parse(text).unwrap());
    FunctionDraft {
        emits: emits.collect(),
        ..FunctionDraft::new(function(name), deployment.store_name().clone(), Vec::new())
    }
}

/// A gate that does what each event tells it to, in front of `room`; `hall` is without.
async fn deploy(deployment: &Deployment) -> Deployer {
    let deployer = Deployer::new(&deployment.bus, "tester").compiled(environment::compiled());
    for (name, gate) in [("hall", None), ("room", Some("single"))] {
        let namespace = namespace(deployment, name, gate);
        deployer.apply_namespace(namespace).await.unwrap();
    }
    let draft = draft(deployment, "single", &["hall.>", "chat.>"]);
    let module = environment::module("single");
    deployer.deploy(draft, vec![module]).await.unwrap();
    deployer
}

struct Publisher(Client);

impl Publisher {
    async fn tell(&self, order: &str) -> Result<PassedOn, ErrorBody> {
        let draft = Draft::typed("room.a", "text/plain", order.to_owned());
        match self.0.pass_on(draft).await {
            Ok(passed) => Ok(passed),
            Err(ClientError::Refused(body)) => Err(body),
            Err(error) => panic!("{error}"),
        }
    }

    /// Tells the gate to pass it on until it does.
    async fn ready(&self) {
        until("the gate passes it on", async || {
            self.tell("pass").await.map_err(|body| body.message)
        })
        .await;
    }

    async fn refused(&self, order: &str) -> (ErrorCode, Option<u64>) {
        let body = self.tell(order).await.unwrap_err();
        assert!(!body.message.is_empty());
        assert_eq!(body.temporary, body.retry_after_ms.is_some(), "{body:?}");
        (body.code, body.retry_after_ms)
    }
}

/// The next ephemeral event that is none of those before: id, function and data.
async fn next(subscription: &mut Subscription, data: &str) -> (String, String) {
    loop {
        let delivery = wait::within("it comes", subscription.next()).await;
        let Some(Ok(Delivery::Ephemeral { event, .. })) = delivery else {
            panic!("{delivery:?}");
        };
        if data_of_ephemeral(&event).unwrap() == data {
            return (event.id, event.function.unwrap_or_default());
        }
    }
}

/// Whatever the gate says is fanned out or told.
async fn verdicts(publisher: &Publisher) {
    let filtered = publisher.tell("drop").await.unwrap().dropped;
    assert_eq!(filtered.as_deref(), Some("dropped as told"));
    let nothing = publisher.tell("emit 0").await.unwrap().dropped;
    assert_eq!(nothing.as_deref(), Some(""));
    for (order, expected) in [
        ("reject", (ErrorCode::Rejected, None)),
        ("trap", (ErrorCode::GateFailed, None)),
        ("retry 70", (ErrorCode::GateUnavailable, Some(70))),
        // It may emit there, but nothing ephemeral is allowed there.
        ("chat.a", (ErrorCode::GateFailed, None)),
    ] {
        assert_eq!(publisher.refused(order).await, expected, "{order}");
        publisher.ready().await;
    }
}

/// The command line passes events on, tells what became of them, and shows what comes.
async fn by_command_line(deployment: &Deployment) {
    let shell = Shell::new(deployment.servers.nats_url());
    let (edge, token) = (
        deployment.edges[0].address().to_string(),
        deployment.token("ann"),
    );
    let at = ["--edge", &edge, "--token", &token];
    let line = |words: &[&'static str]| [words, &at[..]].concat();
    let mut heard = shell.start(&line(&["--json", "sub", "room.a"]));
    let pass = line(&["pub", "room.a", "pass", "--ephemeral"]);
    let told = until("it is heard", async || {
        let told = shell.json(&pass).await;
        assert_eq!(told[0]["class"], "ephemeral");
        let next = tokio::time::timeout(Duration::from_millis(500), heard.line()).await;
        next.map_err(|_| "nothing came yet".to_owned())
    })
    .await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["text"], &told["seq"]),
        (&"pass".into(), &Value::Null)
    );
    let filtered = shell
        .json(&line(&["pub", "room.a", "drop", "--ephemeral"]))
        .await;
    assert_eq!(filtered[0]["dropped"], "dropped as told");
    let refused = shell
        .run(&line(&["pub", "room.a", "reject", "--ephemeral"]))
        .await;
    assert!(
        refused.code == 1 && refused.errors.contains("rejected as told"),
        "{refused:?}"
    );
    let shown = shell.json(&["namespace", "show", "room"]).await;
    assert_eq!(shown[0]["namespace"]["classes"], json!(["ephemeral"]));
}

/// A gate that remembers and ephemeral events do not go together, whichever comes first.
async fn remembering(deployment: &Deployment, deployer: &Deployer) {
    let field = |refused: Result<(), ControlError>| match refused {
        Err(ControlError::Refused(error)) => error.field,
        other => panic!("{other:?}"),
    };
    let lab = namespace(deployment, "lab", Some("probe"));
    let refused = deployer.apply_namespace(lab).await;
    assert_eq!(field(refused.map(drop)), "classes");
    let module = environment::module("probe");
    let single = draft(deployment, "single", &["hall.>", "chat.>"]);
    let refused = deployer.deploy(single, vec![module]).await;
    assert_eq!(field(refused.map(drop)), "module");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ephemeral_events_pass_the_gate_of_their_namespace() {
    let builder = Deployment::builder().without_mirror();
    let builder = builder.functions(&[FunctionChoice::Probe]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let deployer = deploy(&deployment).await;
    let (near, far) = (
        deployment.client_options(&[0], "ann"),
        deployment.client_options(&[1], "joe"),
    );
    let (publisher, far) = (
        Publisher(Client::connect(near).await.unwrap()),
        Client::connect(far).await.unwrap(),
    );
    publisher.ready().await;
    let (mut room, mut hall) = (
        far.subscribe("room.a", NOW).await.unwrap(),
        far.subscribe("hall.b", NOW).await.unwrap(),
    );
    let (ingress, events) = (
        StreamName::ingress(deployment.store_name()),
        StreamName::events(deployment.store_name()),
    );
    publisher.ready().await;
    let (id, by) = next(&mut room, "pass").await;
    let user = format!("single/{}/ann/", deployment.tenant);
    assert!(id.starts_with(&user) && id.ends_with("/0"), "{id}");
    assert_eq!(by, "single");
    publisher.tell("hall.b").await.unwrap();
    assert_eq!(next(&mut hall, "hall.b").await.1, "single");
    verdicts(&publisher).await;
    by_command_line(&deployment).await;
    remembering(&deployment, &deployer).await;
    let bus = &deployment.bus;
    assert_eq!(bus.stream_state(&ingress).await.unwrap().last_seq, 0);
    let all = Subject::store_filter(Kind::Ev, deployment.store_name());
    assert_eq!(bus.last_on(&events, &all).await.unwrap(), None);
    deployer.pause(&function("single"), true).await.unwrap();
    until("it is paused", async || {
        match publisher.tell("pass").await {
            Err(body) if body.message.contains("paused") => Ok(body.code),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    deployment.workers[0].stop().await;
    let nobody = publisher.refused("pass").await;
    assert_eq!(nobody.0, ErrorCode::GateUnavailable);
    deployment.stop().await;
}
