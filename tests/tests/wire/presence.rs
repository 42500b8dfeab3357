//! Presence on real servers: members that come and go on one node are told on another,
//! named within and counted beyond the namespace's number, over WebSocket and HTTP alike;
//! and who may not see it does not.

use std::collections::BTreeSet;
use std::time::Duration;

use auth::Signer;
use control::{Deployer, NamespaceDraft};
use harness::raw::Received;
use harness::{Deployment, RawSession, until};
use protocol::error_code::ErrorCode;
use protocol::frame::{
    Action, AskPresence, Encoding, FromServer, Member, Presence, Refresh, Subscribe, Unsubscribe,
};
use protocol::name::{Namespace, Tenant, User};
use protocol::presence::{LifecycleEvent, Occupancy};
use protocol::spec::{PresenceSetting, PresenceSpec};

use super::pair::pair;
use super::request::get;
use super::seen::{Probe, Seen};

/// How long a token of a test lasts.
pub const TOKEN_TTL: Duration = Duration::from_secs(600);
/// Members that are named where a test says nothing else.
const NAMED: u32 = 3;

/// Says of a namespace without a gate up to how many members it names, or that it has no
/// presence, and waits until every node has heard of it.
pub async fn allow(deployment: &Deployment, namespace: &str, list_max: Option<u32>) {
    let spec = list_max.map(|list_max| PresenceSpec {
        list_max,
        ..PresenceSpec::default()
    });
    set(deployment, namespace, spec).await;
}

/// As [`allow`], with everything that may be said.
pub async fn set(deployment: &Deployment, namespace: &str, spec: Option<PresenceSpec>) {
    let setting = spec.map_or(PresenceSetting::Off, PresenceSetting::On);
    let draft = NamespaceDraft {
        presence: Some(setting),
        ..NamespaceDraft::new(
            Namespace::parse(namespace).unwrap(),
            deployment.store_name().clone(),
            None,
        )
    };
    let deployer = Deployer::new(&deployment.bus, "tester");
    deployer.apply_namespace(draft).await.unwrap();
    let (token, path) = (
        deployment.token("ann"),
        format!("/v1/presence/{namespace}.none"),
    );
    for edge in &deployment.edges {
        until("the node has heard of it", async || {
            let answer = get(edge.address(), &path, Some(&token)).await;
            let has = answer.status == 200;
            let off = answer.status == 403;
            if (has && spec.is_some()) || (off && spec.is_none()) {
                return Ok(());
            }
            Err(format!("{answer:?}"))
        })
        .await;
    }
}

fn ask(channel: &str, members: bool) -> Action {
    Action::Presence(AskPresence {
        channel: channel.into(),
        members,
    })
}

fn subscribe(channel: &str, presence: bool) -> Action {
    Action::Subscribe(Subscribe {
        presence,
        ..Subscribe::new(channel)
    })
}

fn unsubscribe(channel: &str) -> Action {
    Action::Unsubscribe(Unsubscribe {
        channel: channel.into(),
    })
}

/// Provokes the refusals of presence; `stats` has none.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let address = deployment.edges[0].address();
    let token = deployment.token_with(
        "ann",
        &["subscribe:stats.>", "subscribe:nowhere.>"],
        TOKEN_TTL,
    );
    let client = format!("presence-{encoding:?}");
    let mut probe = Probe::connect(address, encoding, &token, &client, seen).await;
    for (channel, code) in [
        ("stats.a", ErrorCode::PresenceOff),
        ("chat.a", ErrorCode::Forbidden),
        ("nowhere.a", ErrorCode::UnknownNamespace),
        ("stats..a", ErrorCode::BadChannel),
    ] {
        probe
            .refused("who is there", ask(channel, true), code)
            .await;
        let watch = subscribe(channel, true);
        probe.refused("a watch", watch, code).await;
    }
    probe
        .accepted("without a watch", subscribe("stats.a", false))
        .await;
}

/// A session that applies what it is told.
struct Watcher {
    session: RawSession,
    view: Presence,
}

impl Watcher {
    async fn join(session: RawSession, channel: &str) -> Self {
        let mut session = session;
        let reply = accepted(&mut session, subscribe(channel, true)).await;
        let view = reply.subscribe.and_then(|subscribed| subscribed.presence);
        Self {
            session,
            view: view.expect("it is told who is there"),
        }
    }

    fn apply(&mut self, frame: FromServer) {
        if let Some(all) = frame.presence {
            self.view = all;
        }
        let Some(members) = &mut self.view.members else {
            assert!(frame.join.is_none() && frame.leave.is_none());
            return;
        };
        if let Some(left) = frame.leave {
            members.retain(|member| (&member.user, &member.client) != (&left.user, &left.client));
        }
        if let Some(join) = frame.join {
            members.retain(|member| (&member.user, &member.client) != (&join.user, &join.client));
            members.push(join.member());
        }
        self.view.count = members.len() as u32;
    }

    /// Waits until what it was told is this.
    async fn until(&mut self, what: impl Fn(&Presence) -> bool) {
        while !what(&self.view) {
            match self.session.next().await {
                Received::Frame(frame) => self.apply(*frame),
                ended => panic!("{ended:?}, {:?}", self.view),
            }
        }
    }

    async fn sees(&mut self, users: &[&str]) {
        let wanted: BTreeSet<&str> = users.iter().copied().collect();
        self.until(|view| {
            let members = view.members.iter().flatten();
            let seen: BTreeSet<&str> = members.map(|member| member.user.as_str()).collect();
            view.members.is_some() && seen == wanted
        })
        .await;
    }

    async fn counts(&mut self, count: u32) {
        self.until(|view| view.members.is_none() && view.count == count)
            .await;
    }
}

async fn accepted(session: &mut RawSession, action: Action) -> FromServer {
    let reply = session.ask(action).await.unwrap();
    assert_eq!(reply.error, None);
    reply
}

pub async fn session(
    deployment: &Deployment,
    edge: usize,
    encoding: Encoding,
    user: &str,
) -> RawSession {
    let address = deployment.edges[edge].address();
    let mut session = RawSession::open(address, encoding, None).await.unwrap();
    let token = deployment.token(user);
    session
        .connect(&token, &format!("{user}-tab"))
        .await
        .unwrap();
    session
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_on_a_channel_is_told_over_all_nodes() {
    let Some(mut deployment) = pair().start().await else {
        return;
    };
    allow(&deployment, "chat", Some(NAMED)).await;
    let near = session(&deployment, 0, Encoding::Json, "ann").await;
    let mut near = Watcher::join(near, "chat.room").await;
    near.sees(&["ann"]).await;
    let far = session(&deployment, 1, Encoding::Msgpack, "joe").await;
    let mut far = Watcher::join(far, "chat.room").await;
    far.sees(&["ann", "joe"]).await;
    near.sees(&["ann", "joe"]).await;
    looks(&deployment, &mut near).await;
    // Who does not watch is a member all the same, until it leaves or is gone.
    let mut sue = session(&deployment, 1, Encoding::Json, "sue").await;
    accepted(&mut sue, subscribe("chat.room", false)).await;
    near.sees(&["ann", "joe", "sue"]).await;
    accepted(&mut sue, unsubscribe("chat.room")).await;
    near.sees(&["ann", "joe"]).await;
    accepted(&mut sue, subscribe("chat.room", false)).await;
    near.sees(&["ann", "joe", "sue"]).await;
    counted(&deployment, &mut near, &mut far).await;
    drop(sue);
    near.sees(&["ann", "joe"]).await;
    far.sees(&["ann", "joe"]).await;
    unseen(&deployment, &mut near).await;
    withdrawn(&deployment, &mut near).await;
    // A node that stops takes its members along.
    deployment.edges[1].stop().await;
    near.sees(&["ann"]).await;
    deployment.stop().await;
}

/// A look tells the same over a WebSocket and over HTTP, on either node.
async fn looks(deployment: &Deployment, near: &mut Watcher) {
    let reply = accepted(&mut near.session, ask("chat.room", true)).await;
    let seen = reply.presence.unwrap();
    let token = deployment.token("zoe");
    for edge in &deployment.edges {
        let path = "/v1/presence/chat.room";
        let answer = get(edge.address(), path, Some(&token)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let told: Presence = answer.field("presence");
        assert_eq!((told.count, told.channel.as_str()), (2, "chat.room"));
        let named = |presence: &Presence| -> BTreeSet<Member> {
            presence.members.iter().flatten().cloned().collect()
        };
        assert_eq!(named(&told), named(&seen));
        let path = format!("{path}?members=false");
        let answer = get(edge.address(), &path, Some(&token)).await;
        let told: Presence = answer.field("presence");
        assert_eq!((told.count, told.members), (2, None));
    }
    let reply = accepted(&mut near.session, ask("chat.room", false)).await;
    assert_eq!(reply.presence.unwrap().members, None);
    // Nobody is anywhere else.
    let reply = accepted(&mut near.session, ask("chat.other", true)).await;
    assert_eq!(reply.presence.unwrap().count, 0);
}

/// One more than the namespace names, and fewer again; then another number.
async fn counted(deployment: &Deployment, near: &mut Watcher, far: &mut Watcher) {
    let mut zoe = session(deployment, 0, Encoding::Json, "zoe").await;
    accepted(&mut zoe, subscribe("chat.room", false)).await;
    near.counts(4).await;
    far.counts(4).await;
    let token = deployment.token("zoe");
    let answer = get(
        deployment.edges[0].address(),
        "/v1/presence/chat.room",
        Some(&token),
    )
    .await;
    let told: Presence = answer.field("presence");
    assert_eq!((told.count, told.members), (4, None));
    allow(deployment, "chat", Some(10)).await;
    near.sees(&["ann", "joe", "sue", "zoe"]).await;
    far.sees(&["ann", "joe", "sue", "zoe"]).await;
    drop(zoe);
    near.sees(&["ann", "joe", "sue"]).await;
}

/// Another tenant's channel of the same name is another channel; and who polls is there
/// for one answer.
async fn unseen(deployment: &Deployment, near: &mut Watcher) {
    let signer = Signer::new(&deployment.secret).unwrap();
    let (tenant, user) = (Tenant::parse("other").unwrap(), User::parse("eve").unwrap());
    let token = signer.mint(&tenant, &user, &["subscribe:>"], TOKEN_TTL);
    let address = deployment.edges[0].address();
    let mut eve = RawSession::open(address, Encoding::Json, None)
        .await
        .unwrap();
    eve.connect(&token, "eve-tab").await.unwrap();
    let mut eve = Watcher::join(eve, "chat.room").await;
    eve.sees(&["eve"]).await;
    let reply = accepted(&mut eve.session, ask("chat.room", true)).await;
    assert_eq!(reply.presence.unwrap().count, 1);
    // What her own node knows is on its way to the other one.
    until("the other node has heard of her", async || {
        let other = deployment.edges[1].address();
        let answer = get(other, "/v1/presence/chat.room", Some(&token)).await;
        let told: Presence = answer.field("presence");
        assert!(told.count <= 1, "{told:?}");
        (told.count == 1).then_some(()).ok_or(format!("{told:?}"))
    })
    .await;
    let poller = deployment.token("poller");
    let path = "/v1/poll?channel=chat.room&wait_ms=200";
    assert_eq!(get(address, path, Some(&poller)).await.status, 200);
    let reply = accepted(&mut near.session, ask("chat.room", true)).await;
    assert_eq!(reply.presence.unwrap().count, 2, "nobody else came");
}

/// Who may not see the channel any more leaves it; and where presence ends, who watched is
/// told so, and everybody sits down again once it begins.
async fn withdrawn(deployment: &Deployment, near: &mut Watcher) {
    let mut max = session(deployment, 1, Encoding::Json, "max").await;
    accepted(&mut max, subscribe("chat.room", true)).await;
    near.sees(&["ann", "joe", "max"]).await;
    let token = deployment.token_with("max", &["subscribe:stats.>"], TOKEN_TTL);
    accepted(&mut max, Action::Refresh(Refresh { token })).await;
    near.sees(&["ann", "joe"]).await;
    allow(deployment, "chat", None).await;
    near.until(|view| view.ended).await;
    allow(deployment, "chat", Some(10)).await;
    accepted(&mut near.session, unsubscribe("chat.room")).await;
    let reply = accepted(&mut near.session, subscribe("chat.room", true)).await;
    near.view = reply.subscribe.and_then(|reply| reply.presence).unwrap();
    near.sees(&["ann", "joe"]).await;
}

/// The next event that is told of a channel.
async fn told(session: &mut RawSession) -> LifecycleEvent {
    loop {
        match session.next().await {
            Received::Frame(frame) => {
                if let Some(event) = frame.event {
                    let data = event.data.into_bytes(true).unwrap();
                    return serde_json::from_slice(&data).unwrap();
                }
            }
            ended => panic!("{ended:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn occupied_and_vacated_channels_are_events_for_those_who_may_hear_them() {
    let Some(mut deployment) = pair().start().await else {
        return;
    };
    let spec = PresenceSpec {
        list_max: NAMED,
        lifecycle: true,
        sessions: false,
    };
    set(&deployment, "chat", Some(spec)).await;
    let on = "_lifecycle.chat.room";
    let address = deployment.edges[0].address();
    // Whoever may subscribe to everything may not hear it by that.
    let mut ann = session(&deployment, 0, Encoding::Json, "ann").await;
    let refused = ann.ask(subscribe(on, false)).await.unwrap().error.unwrap();
    assert_eq!(refused.code, ErrorCode::Forbidden);
    let mut ear = RawSession::open(address, Encoding::Json, None)
        .await
        .unwrap();
    let token = deployment.token_with("ear", &["lifecycle:chat.>"], TOKEN_TTL);
    ear.connect(&token, "ear-tab").await.unwrap();
    let other = subscribe("_lifecycle.stats.room", false);
    let refused = ear.ask(other).await.unwrap().error.unwrap();
    assert_eq!(refused.code, ErrorCode::Forbidden);
    accepted(&mut ear, subscribe(on, false)).await;
    let tells = |lifecycle| LifecycleEvent {
        lifecycle,
        channel: "chat.room".into(),
        writer: None,
    };
    accepted(&mut ann, subscribe("chat.room", false)).await;
    assert_eq!(told(&mut ear).await, tells(Occupancy::Occupied));
    let mut joe = session(&deployment, 1, Encoding::Json, "joe").await;
    let watched = accepted(&mut joe, subscribe("chat.room", true)).await;
    assert!(
        watched
            .subscribe
            .is_some_and(|reply| reply.presence.is_some())
    );
    // It is stored that he is there, and not only on his way.
    until("both are seen", async || {
        let seen = accepted(&mut ann, ask("chat.room", false)).await.presence;
        match seen.map_or(0, |seen| seen.count) {
            2 => Ok(()),
            count => Err(format!("{count} are")),
        }
    })
    .await;
    accepted(&mut ann, unsubscribe("chat.room")).await;
    // The other node's member is there: nothing is told until that node stops.
    deployment.edges[1].stop().await;
    assert_eq!(told(&mut ear).await, tells(Occupancy::Vacated));
    accepted(&mut ann, subscribe("chat.room", false)).await;
    assert_eq!(told(&mut ear).await, tells(Occupancy::Occupied));
    drop(ann);
    assert_eq!(told(&mut ear).await, tells(Occupancy::Vacated));
    deployment.stop().await;
}
