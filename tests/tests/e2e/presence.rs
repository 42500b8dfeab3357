//! Presence across processes: a node is killed, another stands still, and the members of
//! both leave; what stood still takes its members back in; and the command line shows it.

use std::collections::BTreeSet;

use client::{Client, Delivery, Named, Presence, PresenceChange, Start, Subscription};
use control::{Deployer, FunctionDraft, NamespaceDraft};
use harness::{Deployment, environment, until, wait};
use protocol::name::{ChannelPattern, FunctionName, Namespace};
use protocol::presence::NodeId;
use protocol::spec::{PresenceSetting, PresenceSpec};
use protocol::stream::Bucket;
use protocol::subject::presence::node_of;
use serde_json::json;

use super::shell::Shell;

const NOW: Start = Start::Named(Named::Now);

/// Lets `chat` tell who is on its channels, and waits until every node has heard of it.
async fn allow(deployment: &Deployment) {
    set(deployment, PresenceSpec::default()).await;
}

async fn set(deployment: &Deployment, spec: PresenceSpec) {
    let draft = NamespaceDraft {
        presence: Some(PresenceSetting::On(spec)),
        ..NamespaceDraft::new(
            Namespace::parse("chat").unwrap(),
            deployment.store_name().clone(),
            None,
        )
    };
    let deployer = Deployer::new(&deployment.bus, "tester");
    deployer.apply_namespace(draft).await.unwrap();
    for edge in 0..deployment.edges.len() {
        let probe = client(deployment, edge, "probe").await;
        until("the node has heard of it", async || {
            let looked = probe.presence("chat.none", false).await;
            looked.map(drop).map_err(|error| error.to_string())
        })
        .await;
        probe.close().await;
    }
}

async fn client(deployment: &Deployment, edge: usize, user: &str) -> Client {
    let options = deployment.client_options(&[edge], user);
    Client::connect(options).await.unwrap()
}

/// A client that applies what it is told.
struct Watcher {
    client: Client,
    subscription: Subscription,
    view: Option<Presence>,
}

impl Watcher {
    async fn join(deployment: &Deployment, edge: usize, user: &str) -> Self {
        let client = client(deployment, edge, user).await;
        let subscription = client.subscribe_watching("chat.room", NOW).await.unwrap();
        Self {
            client,
            subscription,
            view: None,
        }
    }

    fn apply(&mut self, change: PresenceChange) {
        let members = self.view.as_mut().and_then(|view| view.members.as_mut());
        match (change, members) {
            (PresenceChange::All(all), _) => self.view = Some(all),
            (PresenceChange::Join(join), Some(members)) => {
                let join = join.member();
                members.retain(|known| (&known.user, &known.client) != (&join.user, &join.client));
                members.push(join);
            }
            (PresenceChange::Leave(left), Some(members)) => {
                members.retain(|known| (&known.user, &known.client) != (&left.user, &left.client));
            }
            (change, None) => panic!("{change:?} before anything"),
        }
    }

    fn users(&self) -> BTreeSet<&str> {
        let members = self
            .view
            .iter()
            .flat_map(|view| view.members.iter().flatten());
        members.map(|member| member.user.as_str()).collect()
    }

    async fn sees(&mut self, users: &[&str]) {
        let wanted: BTreeSet<&str> = users.iter().copied().collect();
        while self.users() != wanted {
            let what = format!("{wanted:?} instead of {:?}", self.users());
            match wait::within(&what, self.subscription.next()).await {
                Some(Ok(Delivery::Presence(change))) => self.apply(change),
                Some(Ok(_)) => {}
                ended => panic!("{ended:?}"),
            }
        }
    }
}

/// The nodes that the bucket knows of, with signs of life or without.
async fn nodes(deployment: &Deployment) -> BTreeSet<NodeId> {
    let bucket = deployment.bus.kv(Bucket::Presence).await.unwrap();
    let keys = bucket.keys().await.unwrap();
    keys.iter().filter_map(|key| node_of(key)).collect()
}

/// Whoever tidies up leaves nothing of a dead node.
async fn known(deployment: &Deployment, count: usize) {
    until("only the living are left", async || {
        let nodes = nodes(deployment).await;
        if nodes.len() == count {
            return Ok(());
        }
        Err(format!("{nodes:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_dead_nodes_leave_and_those_of_frozen_ones_come_back() {
    let builder = Deployment::builder().without_mirror().functions(&[]);
    let builder = builder.workers(0).edges(3).processes();
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    allow(&deployment).await;
    let mut near = Watcher::join(&deployment, 0, "ann").await;
    let far = Watcher::join(&deployment, 1, "joe").await;
    let mut frozen = Watcher::join(&deployment, 2, "sue").await;
    near.sees(&["ann", "joe", "sue"]).await;
    frozen.sees(&["ann", "joe", "sue"]).await;
    assert_eq!(nodes(&deployment).await.len(), 3);

    // Killed, it says nothing any more; the others do.
    deployment.edges[1].kill();
    near.sees(&["ann", "sue"]).await;
    frozen.sees(&["ann", "sue"]).await;
    known(&deployment, 2).await;
    far.client.abort();

    // One that stands still is taken for dead, and finds out when it goes on: its client is
    // there all along, and so it is back.
    deployment.edges[2].pause();
    near.sees(&["ann"]).await;
    known(&deployment, 1).await;
    deployment.edges[2].resume();
    near.sees(&["ann", "sue"]).await;
    let mut max = Watcher::join(&deployment, 2, "max").await;
    near.sees(&["ann", "max", "sue"]).await;
    max.sees(&["ann", "max", "sue"]).await;
    known(&deployment, 2).await;

    // A client that comes back to another node is there again.
    let mut options = deployment.client_options(&[2, 0], "kim");
    options.client = Some("kim-tab".parse().unwrap());
    let kim = Client::connect(options).await.unwrap();
    let _room = kim.subscribe("chat.room", NOW).await.unwrap();
    near.sees(&["ann", "kim", "max", "sue"]).await;
    deployment.edges[2].kill();
    until("the client is on the other node", async || {
        match kim.stats().reconnects {
            0 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    near.sees(&["ann", "kim"]).await;
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_shows_who_is_there() {
    let builder = Deployment::builder().without_mirror().functions(&[]);
    let Some(mut deployment) = builder.workers(0).edges(2).start().await else {
        return;
    };
    let shell = Shell::new(deployment.servers.nats_url());
    let applied = shell
        .done(&["namespace", "apply", "chat", "--presence", "5"])
        .await;
    assert!(applied.contains("up to 5 are named"), "{applied}");
    let shown = shell.done(&["namespace", "show", "chat"]).await;
    assert!(shown.contains("up to 5 are named"), "{shown}");
    allow(&deployment).await;
    let ann = Watcher::join(&deployment, 0, "ann").await;
    let (address, token) = (
        deployment.edges[1].address().to_string(),
        deployment.token("joe"),
    );
    let place = ["--edge", &address, "--token", &token];
    let line = [&["presence", "chat.room"], &place[..]].concat();
    until("ann is seen", async || {
        let told = shell.json(&line).await;
        match (&told[0]["count"], &told[0]["members"][0]["user"]) {
            (count, user) if *count == 1 && user == "ann" => Ok(()),
            _ => Err(format!("{told:?}")),
        }
    })
    .await;
    let told = shell.done(&line).await;
    assert!(told.starts_with("chat.room: 1 member\nUSER"), "{told}");
    let counted = shell.json(&[&line[..], &["--count"]].concat()).await;
    assert_eq!(counted[0], json!({"channel": "chat.room", "count": 1}));

    let watch = [&["--json"], &line[..], &["--watch"]].concat();
    let mut watching = shell.start(&watch);
    let first: serde_json::Value = serde_json::from_str(&watching.line().await).unwrap();
    assert!(first["presence"]["count"].is_number(), "{first}");
    ann.client.close().await;
    loop {
        let line: serde_json::Value = serde_json::from_str(&watching.line().await).unwrap();
        if line["leave"]["user"] == "ann" {
            break;
        }
    }
    let off = [&["presence", "stats.room"], &place[..]].concat();
    let ended = shell.run(&off).await;
    assert!(
        ended.code != 0 && ended.errors.contains("does not tell"),
        "{ended:?}"
    );
    drop(watching);
    deployment.stop().await;
}

/// A function that says `seen` of everything that is told of the channels of `chat`.
async fn deploy_ear(deployment: &Deployment) {
    let pattern = |text: &str| ChannelPattern::parse(text).unwrap();
    let order = json!({"do": "emit", "channel": "stats.seen", "value": "seen"});
    let on = vec![pattern("_lifecycle.chat.>")];
    let name = FunctionName::parse("ear").unwrap();
    let draft = FunctionDraft {
        emits: vec![pattern("stats.>")],
        config: [("order".to_owned(), order.to_string())].into(),
        ..FunctionDraft::new(name, deployment.store_name().clone(), on)
    };
    let deployer = Deployer::new(&deployment.bus, "tester").compiled(environment::compiled());
    let module = environment::module("probe");
    deployer.deploy(draft, vec![module]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_and_the_mirror_have_what_is_told_of_channels() {
    let builder = Deployment::builder().functions(&[]).workers(1).edges(1);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let spec = PresenceSpec {
        lifecycle: true,
        ..PresenceSpec::default()
    };
    set(&deployment, spec).await;
    deploy_ear(&deployment).await;
    let ann = client(&deployment, 0, "ann").await;
    let mut seen = ann.subscribe("stats.seen", NOW).await.unwrap();
    for _ in 0..2 {
        // Occupied, and vacated.
        let room = ann.subscribe("chat.room", NOW).await.unwrap();
        next(&mut seen).await;
        drop(room);
        next(&mut seen).await;
    }
    ann.close().await;
    // Four of these, and four of what the function made of them.
    deployment.settle().await;
    let report = deployment.report().await;
    assert!(report.counts.mirror_owed >= 8, "{report}");
    assert_eq!(
        report.counts.mirrored, report.counts.mirror_owed,
        "{report}"
    );
    deployment.stop().await;
}

/// The next event.
async fn next(subscription: &mut Subscription) {
    loop {
        match wait::within("it comes", subscription.next()).await {
            Some(Ok(Delivery::Event { event, .. })) => {
                let function = event.function.as_deref();
                return assert_eq!(function, Some("ear"), "{event:?}");
            }
            Some(Ok(_)) => {}
            ended => panic!("{ended:?}"),
        }
    }
}
