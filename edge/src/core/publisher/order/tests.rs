//! The order against a model of a lane that fails at will and a client that resends.

use proptest::prelude::*;

use super::*;

fn channel() -> Channel {
    Channel::parse("doc.1").unwrap()
}

#[test]
fn later_events_wait_for_the_refused_one() {
    let mut order = Order::<u64>::default();
    let c = channel();
    assert!(order.admit(&c, 1));
    order.refuse(&c, 2);
    assert!(!order.admit(&c, 3) && !order.admit(&c, 4));
    assert!(
        order.admit(&Channel::parse("doc.2").unwrap(), 5),
        "another channel goes on"
    );
    assert!(order.admit(&c, 2));
    assert!(!order.admit(&c, 5), "3 and 4 were refused before");
    assert!(order.admit(&c, 3) && order.admit(&c, 4) && order.admit(&c, 5));
    assert!(order.lines.is_empty() && order.refused == 0);
}

#[test]
fn singles_wait_for_the_lane_and_later_events_for_the_singles() {
    let mut order = Order::default();
    let c = channel();
    assert_eq!(order.route(&c, 1, false), Route::Lane(1));
    assert_eq!(order.route(&c, 2, true), Route::Queued);
    assert_eq!(order.route(&c, 3, false), Route::Queued);
    assert!(order.lane_done(&c));
    assert_eq!(order.waiting(&c).copied().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(order.next_single(&c), Some(2));
    assert_eq!(order.route(&c, 4, false), Route::Queued);
    assert_eq!(
        (order.next_single(&c), order.next_single(&c)),
        (Some(3), Some(4))
    );
    assert_eq!(
        order.route(&c, 5, false),
        Route::Queued,
        "the last single is still being stored"
    );
    assert_eq!(
        (order.next_single(&c), order.next_single(&c)),
        (Some(5), None)
    );
    assert_eq!(order.route(&c, 6, false), Route::Lane(6));
}

#[test]
fn the_memory_of_refusals_is_bounded() {
    let mut order = Order::<u64>::default();
    (0..2 * REFUSED_MAX as u64).for_each(|n| order.refuse(&channel(), n));
    assert_eq!(order.refused, REFUSED_MAX);
}

/// What is under way to the store: to be stored, or to fail.
struct Model {
    order: Order<u64>,
    lane: VecDeque<u64>,
    working: bool,
    stored: Vec<u64>,
    refusals: BTreeSet<u64>,
}

impl Model {
    fn send(&mut self, n: u64, resend: bool) {
        match self.order.route(&channel(), n, resend) {
            Route::Lane(n) => self.lane.push_back(n),
            Route::Start => self.working = true,
            Route::Queued => {}
        }
    }

    fn store(&mut self, n: u64, fails: bool) {
        if !self.order.admit(&channel(), n) {
            self.refusals.insert(n);
        } else if fails {
            self.order.refuse(&channel(), n);
            self.refusals.insert(n);
        } else {
            self.stored.push(n);
        }
    }

    /// One event of the lane, or one single.
    fn step(&mut self, lane: bool, fails: bool) {
        if lane && let Some(n) = self.lane.pop_front() {
            self.store(n, fails);
            self.working |= self.order.lane_done(&channel());
        } else if self.working {
            match self.order.next_single(&channel()) {
                Some(n) => self.store(n, fails),
                None => self.working = false,
            }
        }
    }
}

proptest! {
    /// Whatever fails and whenever the client hears of it: events are stored in the
    /// order of their numbers, and all of them in the end.
    #[test]
    fn the_stored_order_is_the_sent_order(steps in proptest::collection::vec((0u8..4, any::<bool>(), 0u8..3), 0..300)) {
        let mut model =
            Model { order: Order::default(), lane: VecDeque::new(), working: false, stored: Vec::new(), refusals: BTreeSet::new() };
        let mut next = 1;
        for (what, lane, luck) in steps {
            match what {
                0 => { model.send(next, false); next += 1; }
                // The client hears of its lowest refusal and sends it again, in order.
                1 => if let Some(n) = model.refusals.pop_first() { model.send(n, true) },
                _ => model.step(lane, luck == 0),
            }
        }
        for _ in 0..20_000 {
            if model.stored.len() as u64 == next - 1 {
                break;
            }
            if let Some(n) = model.refusals.pop_first() {
                model.send(n, true);
            }
            model.step(true, false);
            model.step(false, false);
        }
        prop_assert_eq!(model.stored, (1..next).collect::<Vec<_>>());
    }
}
