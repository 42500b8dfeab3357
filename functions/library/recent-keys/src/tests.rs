//! What counts, for how long, and what is forgotten early.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sdk::testing::{Input, Runner, record};
use sdk::{Config, Emitter, Outcome, Worker};

use super::*;

/// A function whose events say what to do: `key` looks, `key until` keeps.
struct Clerk;

impl Worker for Clerk {
    fn init(_: &Config) -> Result<Self, String> {
        Ok(Self)
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let order = std::str::from_utf8(event.data()).unwrap();
        let keys = RecentKeys::of(event);
        let answer = match order.split_once(' ') {
            None => format!("{:?}", keys.until(order)),
            Some((key, until)) => format!("{:?}", keys.keep(key, until.parse().unwrap()).unwrap()),
        };
        out.emit().data(answer.as_bytes());
        Outcome::Ack
    }
}

struct Desk(Runner<Clerk>);

impl Desk {
    fn new() -> Self {
        Self(Runner::new(&[]).unwrap())
    }

    fn ask(&self, now_us: u64, order: &str) -> String {
        let input = Input {
            time_us: now_us,
            ..Input::json("a.b", order)
        };
        let (_, outputs) = self.0.run_one(input);
        String::from_utf8(outputs[0].data.clone()).unwrap()
    }

    fn until(&self, now_us: u64, key: &str) -> Option<u64> {
        let answer = self.ask(now_us, key);
        let digits = answer.strip_prefix("Some(")?.strip_suffix(')')?;
        digits.parse().ok()
    }
}

#[test]
fn a_key_counts_until_its_time_and_no_longer() {
    let desk = Desk::new();
    assert_eq!(desk.until(1, "a"), None);
    assert_eq!(desk.ask(1, "a 5000"), "Beside");
    assert_eq!(desk.until(4_999, "a"), Some(5_000));
    assert_eq!(desk.until(5_000, "a"), None);
    assert_eq!(desk.until(1, "b"), None);
    assert_eq!(desk.ask(2, "a 9000"), "Beside");
    assert_eq!(desk.until(5_000, "a"), Some(9_000));
}

#[test]
fn a_full_part_forgets_what_ends_first() {
    let of_one_part = |n: &u32| part(xxh3_128(n.to_string().as_bytes())) == "k00";
    let keys: Vec<u32> = (0..).filter(of_one_part).take(PART_KEYS_MAX + 1).collect();
    let (last, full) = keys.split_last().unwrap();
    let desk = Desk::new();
    for (n, key) in full.iter().enumerate() {
        assert_eq!(desk.ask(1, &format!("{key} {}", 9_000 - n)), "Beside");
    }
    for key in full {
        assert!(desk.until(1, &key.to_string()).is_some(), "all have room");
    }
    let ended = desk.ask(1, &format!("{last} 10000"));
    assert_eq!(ended, "InsteadOfAnother");
    let (forgotten, others) = full.split_last().unwrap();
    assert_eq!(desk.until(1, &forgotten.to_string()), None);
    for key in others.iter().chain([last]) {
        assert!(desk.until(1, &key.to_string()).is_some(), "{key}");
    }
    // What no longer counts makes room first.
    assert_eq!(desk.ask(9_500, &format!("{forgotten} 10000")), "Beside");
}

#[test]
fn a_memory_full_of_keys_holds_them() {
    let desk = Desk::new();
    let (mut full, mut n) = (BTreeMap::new(), 0);
    while full.len() < usize::from(PARTS) || full.values().any(|keys| *keys < PART_KEYS_MAX) {
        *full
            .entry(part(xxh3_128(format!("{n}").as_bytes())))
            .or_insert(0) += 1;
        desk.ask(1, &format!("{n} 9000"));
        n += 1;
    }
    assert_eq!(desk.until(1, &(n - 1).to_string()), Some(9_000));
    let before = record(|host| host.memory.clone());
    assert_eq!(desk.until(9_001, "0"), None);
    assert_eq!(
        record(|host| host.memory.clone()),
        before,
        "a look writes nothing"
    );
}

proptest! {
    #[test]
    fn it_agrees_with_a_map(orders in proptest::collection::vec((0..20_u8, 0..50_u64, 1..90_u64), 0..60)) {
        let (desk, mut map, mut now) = (Desk::new(), BTreeMap::new(), 0);
        for (key, later, time) in orders {
            now += later;
            let known = map.get(&key).copied().filter(|until| *until > now);
            prop_assert_eq!(desk.until(now, &key.to_string()), known);
            desk.ask(now, &format!("{key} {}", now + time));
            map.insert(key, now + time);
        }
    }
}
