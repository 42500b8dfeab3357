//! Occupied and vacated channels, told as events, over the bus's model.

use protocol::presence::LifecycleEvent;
use protocol::presence::Occupancy::{self, Occupied, Vacated};
use protocol::stream::StreamName;

use super::*;

/// Lets the channels of `room` tell when they are occupied and vacated.
async fn tell_lifecycle(bus: &Bus, nodes: &[Node]) {
    let spec = br#"{"name":"room","store":"main","path":"direct","presence":{"list_max":100,"lifecycle":true}}"#;
    let config = bus.kv(Bucket::Config).await.unwrap();
    config.put("namespace.room", spec[..].into()).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let heard =
        |node: &Node| lifecycle::is_told(&node.presence.0.namespaces.snapshot(), &key("room.1"));
    while !nodes.iter().all(heard) {
        assert!(Instant::now() < deadline, "not every node has heard of it");
        tokio::time::sleep(LOOK).await;
    }
}

/// What was told of a channel, in order.
fn told(model: &Model, spec: &StoreSpec) -> Vec<Occupancy> {
    let events = model.events(&StreamName::events(&spec.name)).into_iter();
    let events = events.filter(|event| event.subject.ends_with("._lifecycle.room.1"));
    let read = |payload: &[u8]| serde_json::from_slice::<LifecycleEvent>(payload).unwrap();
    events.map(|event| read(&event.payload).lifecycle).collect()
}

async fn tells(model: &Model, spec: &StoreSpec, wanted: &[Occupancy]) {
    let deadline = Instant::now() + PATIENCE;
    while told(model, spec) != wanted {
        let told = told(model, spec);
        assert!(Instant::now() < deadline, "{told:?} instead of {wanted:?}");
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_occupied_by_its_first_member_and_vacated_by_its_last() {
    let (model, bus, spec) = start(ModelFaults::default()).await;
    let mut nodes = ["a", "b"].map(|name| Node::start(&model, name, &spec, 10));
    tell_lifecycle(&bus, &nodes).await;
    let [a, b] = &mut nodes;
    let ann = a.join("room.1", "ann");
    tells(&model, &spec, &[Occupied]).await;
    let joe = b.join("room.1", "joe");
    tokio::time::sleep(Duration::from_secs(5)).await;
    drop(ann);
    tokio::time::sleep(Duration::from_secs(5)).await;
    tells(&model, &spec, &[Occupied]).await;
    drop(joe);
    tells(&model, &spec, &[Occupied, Vacated]).await;
    // Whoever finds a node dead tells what it cannot.
    let _sue = a.join("room.1", "sue");
    tells(&model, &spec, &[Occupied, Vacated, Occupied]).await;
    model.cut("a");
    tells(&model, &spec, &[Occupied, Vacated, Occupied, Vacated]).await;
    model.heal("a");
    tells(
        &model,
        &spec,
        &[Occupied, Vacated, Occupied, Vacated, Occupied],
    )
    .await;
    // So does one that leaves in order.
    let [a, _b] = nodes;
    a.end().await;
    let all = [Occupied, Vacated, Occupied, Vacated, Occupied, Vacated];
    tells(&model, &spec, &all).await;
}

/// Sessions come and go, nodes are cut off and messages are lost: the two always take
/// turns, and the last one is true.
async fn rough_lifecycle(seed: u64) {
    let (model, bus, spec) = start(ModelFaults::default()).await;
    let mut dice = StdRng::seed_from_u64(seed);
    let names = ["a", "b", "c"];
    let started = names
        .iter()
        .map(|name| Node::start(&model, name, &spec, 10));
    let mut nodes: Vec<Node> = started.collect();
    tell_lifecycle(&bus, &nodes).await;
    model.set_faults(ModelFaults::rough(seed));
    let mut seats: Vec<Seat> = Vec::new();
    for n in 0..60 {
        match dice.random_range(0..6) {
            0..2 if seats.len() < 2 => {
                let node = dice.random_range(0..nodes.len());
                seats.push(nodes[node].join("room.1", &format!("user-{n}")));
            }
            2..4 if !seats.is_empty() => drop(seats.pop()),
            4 => {
                let cut = names[dice.random_range(0..names.len())];
                model.cut(cut);
                tokio::time::sleep(Duration::from_millis(dice.random_range(0..9_000))).await;
                model.heal(cut);
            }
            _ => tokio::time::sleep(Duration::from_millis(dice.random_range(0..400))).await,
        }
    }
    model.set_faults(ModelFaults::default());
    let wanted = if seats.is_empty() { Vacated } else { Occupied };
    let deadline = Instant::now() + PATIENCE;
    let is = |told: &[Occupancy]| told.last().copied().unwrap_or(Vacated) == wanted;
    // It stays so for as long as a death takes to be noticed.
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_secs(20) {
        if !is(&told(&model, &spec)) {
            since = Instant::now();
        }
        assert!(Instant::now() < deadline, "seed {seed}: not {wanted:?}");
        tokio::time::sleep(LOOK).await;
    }
    let told = told(&model, &spec);
    let turns = [Occupied, Vacated].into_iter().cycle();
    assert!(
        told.iter().copied().eq(turns.take(told.len())),
        "seed {seed}: {told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn occupied_and_vacated_take_turns_whatever_goes_wrong() {
    for seed in 0..SEEDS {
        rough_lifecycle(seed).await;
    }
}
