//! Writers that connect and disconnect, told as events, over the bus's model.

use protocol::presence::LifecycleEvent;
use protocol::presence::Occupancy::{self, Connected, Disconnected};
use protocol::stream::StreamName;
use shares::rate::BURST_SECONDS;

use super::*;
use crate::core::presence::presences::TOLD_PER_SECOND;

/// Has `room` told of writers.
async fn tell_of_writers(bus: &Bus, node: &Node) {
    let spec = br#"{"name":"room","store":"main","path":"direct","presence":{"sessions":true}}"#;
    let config = bus.kv(Bucket::Config).await.unwrap();
    config.put("namespace.room", spec[..].into()).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while node.place_of("ann").is_none() {
        assert!(Instant::now() < deadline, "the node has not heard of it");
        tokio::time::sleep(LOOK).await;
    }
}

fn writer_key(user: &str) -> FeedKey {
    key(&format!("_session.room.{user}.c"))
}

impl Node {
    fn place_of(&self, user: &str) -> Option<Place> {
        let (key, directory) = (writer_key(user), self.presence.0.namespaces.snapshot());
        let place = directory.place(&key.tenant, &key.channel)?;
        place.presence.is_some().then_some(place)
    }

    fn writer(&mut self, user: &str) -> Arc<Seat> {
        self.next += 1;
        let id = self.next;
        let budget = shares::budget::Budget::new(1 << 30);
        let form = crate::core::run::Form::Joined;
        let subscriber = Subscriber {
            id,
            port: Arc::new(Port::new(OUTBOX_BYTES, &budget, form)),
            encoding: Encoding::Json,
            wants: Wants::default(),
        };
        let member = Member {
            user: user.into(),
            client: "c".into(),
            session: format!("s-{id}"),
            since: id,
        };
        let place = self.place_of(user).expect("it is asked for");
        let seat = self
            .presence
            .writer(writer_key(user), &place, subscriber, member);
        seat.expect("there is room")
    }
}

/// What was told of a writer, in order, always by the session that came.
fn told(model: &Model, spec: &StoreSpec, user: &str) -> Vec<Occupancy> {
    let events = model.events(&StreamName::events(&spec.name)).into_iter();
    let on = writer_key(user).channel;
    let events = events.filter(|event| event.subject.ends_with(&format!(".{on}")));
    let read = |payload: &[u8]| serde_json::from_slice::<LifecycleEvent>(payload).unwrap();
    let words = events.map(|event| {
        let event = read(&event.payload);
        let writer = event.writer.expect("it names the writer");
        assert_eq!((writer.user.as_str(), writer.client.as_str()), (user, "c"));
        event.lifecycle
    });
    words.collect()
}

async fn tells(model: &Model, spec: &StoreSpec, user: &str, wanted: &[Occupancy]) {
    let deadline = Instant::now() + PATIENCE;
    while told(model, spec, user) != wanted {
        let told = told(model, spec, user);
        assert!(Instant::now() < deadline, "{told:?} instead of {wanted:?}");
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(start_paused = true)]
async fn writers_are_told_of_at_their_pace() {
    let (model, bus, spec) = start(ModelFaults::default()).await;
    let mut node = Node::start(&model, "a", &spec, 10);
    tell_of_writers(&bus, &node).await;
    // The turns of a burst but one are taken: the last one is ann's.
    for _ in 1..BURST_SECONDS * TOLD_PER_SECOND {
        assert_eq!(node.presence.0.may_tell(), None);
    }
    let ann = node.writer("ann");
    assert!(node.presence.0.may_tell().is_some());
    let (joe, gone) = (node.writer("joe"), node.writer("sue"));
    drop(gone);
    tells(&model, &spec, "ann", &[Connected]).await;
    tells(&model, &spec, "joe", &[Connected]).await;
    drop((ann, joe));
    tells(&model, &spec, "ann", &[Connected, Disconnected]).await;
    tells(&model, &spec, "joe", &[Connected, Disconnected]).await;
    assert_eq!(
        told(&model, &spec, "sue"),
        [],
        "it was gone before its turn"
    );
    let _again = node.writer("ann");
    let all = [Connected, Disconnected, Connected];
    tells(&model, &spec, "ann", &all).await;
    model.cut("a");
    let _other = Node::start(&model, "b", &spec, 10);
    let all = [Connected, Disconnected, Connected, Disconnected];
    tells(&model, &spec, "ann", &all).await;
}
