//! A pool that is smaller than the lanes that want an instance of it.

use super::stage::data;
use super::*;
use crate::pool::{Guest, GuestPool};

/// Instances that there is room for.
const ROOM: u32 = 2;

/// How many events the lane's instance has counted, this one included.
async fn count(guest: &Guest, program: &Arc<Program>) -> String {
    let items = vec![item(1, "doc.a", r#"{"do":"count"}"#)];
    let handled = guest.run(program.clone(), items).await.unwrap();
    data(&handled[0]).remove(0)
}

fn evicted() -> u64 {
    let text = service::telemetry::metrics_handle().render();
    let mut lines = text.lines();
    let figure = lines.find_map(|line| line.strip_prefix("function_instances_evicted_total "));
    figure.map_or(0, |figure| figure.parse().unwrap())
}

#[tokio::test]
async fn the_instance_that_was_used_longest_ago_makes_room_for_another() {
    let before = evicted();
    let kept = Kept::open(&kept()).unwrap();
    let engine = engine::pool_of(ROOM, Some(kept.cache())).unwrap();
    let modules = Modules::keeping(&engine, Some(kept)).unwrap();
    let wasm = guest("probe");
    let module = modules.get(&digest(&wasm), &wasm).unwrap();
    let program = Program::new(Arc::new(spec(wide())), vec![module]);
    let pool = GuestPool::start(1, EVENT_BYTES_MAX, &Arc::new(accounts())).unwrap();
    let [a, b, c] = [0, 1, 2].map(|lane| pool.attach(lane));
    // As many as there is room for stay as they are.
    for expected in ["1", "2", "3"] {
        assert_eq!(count(&a, &program).await, expected);
        assert_eq!(count(&b, &program).await, expected);
    }
    assert_eq!(evicted() - before, 0);
    // Another one takes the place of the first, and then that one takes its place again.
    assert_eq!(count(&c, &program).await, "1");
    assert_eq!((evicted() - before, a.cost().memory_bytes()), (1, 0));
    assert_eq!(count(&b, &program).await, "4", "it was used later");
    assert_eq!(count(&a, &program).await, "1", "it is made again");
    assert_eq!((evicted() - before, c.cost().memory_bytes()), (2, 0));
    assert_eq!(count(&b, &program).await, "5");
    // What has an instance of its own evicts nobody.
    assert_eq!(count(&a, &program).await, "2");
    assert_eq!(evicted() - before, 2);
}
