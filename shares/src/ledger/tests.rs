//! The ledger: shares within and beyond, what nodes tell each other, and what ends.

use std::collections::BTreeMap;

use protocol::name::StoreName;

use super::*;

const AGE_US: u64 = 3_200_000_000;
const NOW_US: u64 = 1_000_000_000_000;
const REVISION: u64 = 7;

fn stream() -> StreamName {
    StreamName::events(&StoreName::parse("main").unwrap())
}

fn tenant(name: &str) -> Tenant {
    Tenant::parse(name).unwrap()
}

fn ledger(node: &str, used: u64, max: u64) -> Ledger {
    let mut ledger = Ledger::new(node.to_owned());
    let seen = Seen {
        bytes: used,
        max_bytes: Some(max),
        max_age_us: AGE_US,
    };
    ledger.seen(stream(), seen);
    ledger
}

fn admit(ledger: &Ledger, who: &str, bytes: u64) -> Result<(), Beyond> {
    ledger.admit(&stream(), &tenant(who), "doc", None, bytes)
}

/// Stores as long as it may, in tens; how many bytes that were.
fn fill(ledger: &mut Ledger, who: &str) -> u64 {
    let mut stored = 0;
    while admit(ledger, who, 10).is_ok() {
        ledger.stored(&stream(), &tenant(who), "doc", 10, NOW_US);
        stored += 10;
    }
    stored
}

#[test]
fn a_tenant_may_have_as_much_as_is_free_and_a_little_in_any_case() {
    let mut node = ledger("a", 0, 6_400);
    let alone = fill(&mut node, "noisy");
    assert_eq!(alone, 3_200, "half of the stream");
    assert_eq!(fill(&mut node, "other"), 1_600);
    // Full, for what it knows not of: who has little may have a part all the same.
    let mut node = ledger("a", 6_400, 6_400);
    assert_eq!(fill(&mut node, "small"), 6_400 / LEAST_PART);
    let error = admit(&node, "small", 10).unwrap_err();
    assert_eq!(error, Beyond::Share { has: 100, may: 100 });
    // Without a limit there is no share.
    let unlimited = Seen {
        bytes: 1 << 40,
        max_bytes: None,
        max_age_us: 0,
    };
    node.seen(stream(), unlimited);
    assert_eq!(admit(&node, "small", 1 << 30), Ok(()));
}

#[test]
fn a_namespace_may_allow_less() {
    let mut node = ledger("a", 0, 1 << 20);
    let mut admit = |namespace: &str, bytes| {
        let admitted = node.admit(&stream(), &tenant("acme"), namespace, Some(100), bytes);
        if admitted.is_ok() {
            node.stored(&stream(), &tenant("acme"), namespace, bytes, NOW_US);
        }
        admitted
    };
    assert_eq!(admit("doc", 100), Ok(()));
    assert_eq!(
        admit("doc", 1),
        Err(Beyond::Namespace { has: 100, may: 100 })
    );
    assert_eq!(admit("chat", 100), Ok(()));
}

/// Hands what one node has to say to another.
fn tell(from: &mut Ledger, to: &mut Ledger, now_us: u64) -> usize {
    let reports = from.reports(now_us);
    let count = reports.len();
    for report in reports {
        match report {
            Report::Put(key, usage) => to.heard(key, REVISION, Some(usage), now_us),
            Report::Delete(key, _) => to.heard(key, REVISION, None, now_us),
        }
    }
    count
}

#[test]
fn nodes_know_what_came_through_others_and_a_new_life_of_one_counts_on() {
    let [mut a, mut b] = ["a", "b"].map(|node| ledger(node, 0, 100 * REPORT_BYTES));
    a.stored(&stream(), &tenant("acme"), "doc", 10, NOW_US);
    assert_eq!(tell(&mut a, &mut b, NOW_US), 0, "so little can wait");
    assert_eq!(tell(&mut a, &mut b, NOW_US + REPORT_AFTER_US), 1);
    a.stored(&stream(), &tenant("acme"), "doc", 60 * REPORT_BYTES, NOW_US);
    assert_eq!(tell(&mut a, &mut b, NOW_US), 1);
    assert_eq!(tell(&mut a, &mut b, NOW_US), 0);
    let full = |ledger: &Ledger| admit(ledger, "acme", 50 * REPORT_BYTES).is_err();
    assert!(full(&a) && full(&b) && admit(&b, "other", 1).is_ok());
    // What could not be written is told again.
    let key = UsageKey {
        stream: stream(),
        tenant: tenant("acme"),
        node: "a".into(),
    };
    a.untold(&key);
    assert_eq!(tell(&mut a, &mut b, NOW_US), 1);
    // It hears itself and is none the wiser.
    a.heard(key, REVISION, Some(Usage::default()), NOW_US);
    assert!(full(&a));
    b.forget_others(NOW_US);
    assert!(!full(&b));
}

#[test]
fn what_retention_has_taken_is_free_again_and_ended_nodes_are_forgotten() {
    let [mut a, mut b] = ["a", "b"].map(|node| ledger(node, 0, 1_000));
    fill(&mut a, "acme");
    tell(&mut a, &mut b, NOW_US + REPORT_AFTER_US);
    let later = NOW_US + 2 * AGE_US;
    let empty = Seen {
        bytes: 0,
        max_bytes: Some(1_000),
        max_age_us: AGE_US,
    };
    b.seen(stream(), empty);
    let key = UsageKey {
        stream: stream(),
        tenant: tenant("acme"),
        node: "a".into(),
    };
    assert_eq!(b.reports(later), [Report::Delete(key, REVISION)]);
    assert!(b.accounts.is_empty() && admit(&b, "acme", 500).is_ok());
}

proptest::proptest! {
    /// Whatever was stored when and through whom: the count is what may still be kept.
    #[test]
    fn the_count_is_what_may_still_be_kept(
        steps in proptest::collection::vec((0usize..2, 0u64..2 * AGE_US, 1u64..1_000), 0..60),
        end in 0u64..4 * AGE_US,
    ) {
        let mut nodes = ["a", "b"].map(|node| ledger(node, 0, 1 << 40));
        let mut slots: BTreeMap<u64, u64> = BTreeMap::new();
        for (node, at, bytes) in steps {
            nodes[node].stored(&stream(), &tenant("acme"), "doc", bytes, NOW_US + at);
            *slots.entry(slot_of(NOW_US + at, AGE_US)).or_default() += bytes;
        }
        let now_us = NOW_US + 2 * AGE_US + end;
        let [a, b] = &mut nodes;
        tell(a, b, now_us);
        b.reports(now_us);
        let kept = slots.iter().filter(|(slot, _)| is_kept(**slot, now_us, AGE_US));
        let expected: u64 = kept.map(|(_, bytes)| bytes).sum();
        let counted = b.accounts.values().next().map_or(0, |account| account.total);
        proptest::prop_assert_eq!(counted, expected);
    }
}
