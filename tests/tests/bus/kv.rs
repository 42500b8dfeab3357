//! Buckets and leases.

use bus::lease::{Lease, LeaseLost, keep};
use bus::{BusError, KvEntry, KvWatch};
use bytes::Bytes;
use futures_util::StreamExt;
use protocol::name::{Channel, Tenant};
use protocol::presence::NodeId;
use protocol::stream::Bucket;
use protocol::subject::{Subject, presence};
use service::shutdown::Shutdown;

use super::fixture::{Fixture, look_again, store, within};

fn text(value: &'static str) -> Bytes {
    Bytes::from_static(value.as_bytes())
}

pub async fn changes_are_compare_and_set(f: Fixture) {
    let kv = f.bus.kv(Bucket::Functions).await.unwrap();
    assert_eq!(kv.get("gate").await.unwrap(), None);
    let first = kv.create("gate", text("1")).await.unwrap();
    assert!(matches!(
        kv.create("gate", text("2")).await,
        Err(BusError::Exists)
    ));
    assert_eq!(kv.get("gate").await.unwrap(), Some((text("1"), first)));
    let second = kv.update("gate", text("2"), first).await.unwrap();
    assert!(matches!(
        kv.update("gate", text("3"), first).await,
        Err(BusError::Conflict)
    ));
    assert!(matches!(
        kv.delete("gate", first).await,
        Err(BusError::Conflict)
    ));
    kv.delete("gate", second).await.unwrap();
    assert_eq!(kv.get("gate").await.unwrap(), None);
    assert!(kv.create("gate", text("4")).await.unwrap() > second);
    kv.put("other", text("5")).await.unwrap();
    let mut keys = kv.keys().await.unwrap();
    keys.sort();
    assert_eq!(keys, ["gate", "other"]);
    for key in ["", "a..b", "a b", "a*", ">", "ä"] {
        assert!(
            matches!(kv.put(key, text("")).await, Err(BusError::Key { .. })),
            "{key}"
        );
    }
}

/// What a watch begins with, each key as it was told last: a copy that lags tells of a
/// key more than once.
async fn beginning(watch: &mut KvWatch) -> Vec<(String, Option<Bytes>)> {
    let mut told: Vec<(String, Option<Bytes>)> = Vec::new();
    loop {
        let change = within("an entry", watch.next()).await.unwrap();
        told.retain(|(key, _)| *key != change.key);
        told.push((change.key, change.value));
        if change.initial_done {
            return told;
        }
    }
}

pub async fn a_watch_tells_what_is_there_and_what_changes(mut f: Fixture) {
    let kv = f.bus.kv(Bucket::Functions).await.unwrap();
    let mut empty = kv.watch_all().await.unwrap();
    let start = within("the start", empty.next()).await.unwrap();
    assert_eq!(
        (start.key.as_str(), start.value, start.initial_done),
        ("", None, true)
    );
    kv.put("a", text("1")).await.unwrap();
    kv.put("b", text("1")).await.unwrap();
    let a = kv.put("a", text("2")).await.unwrap();
    for value in ["1", "1", "2"] {
        assert_eq!(
            within("the change", empty.next()).await.unwrap().value,
            Some(text(value))
        );
    }
    let mut watch = kv.watch_all().await.unwrap();
    assert_eq!(
        beginning(&mut watch).await,
        [("b".into(), Some(text("1"))), ("a".into(), Some(text("2")))]
    );
    f.go_down().await;
    f.come_back().await;
    within("the connection", async {
        // The bucket may not lead yet when the server answers.
        while f.bus.flush().await.is_err() || kv.get("a").await.is_err() {
            look_again().await;
        }
    })
    .await;
    kv.delete("a", a).await.unwrap();
    let change = within("the deletion", watch.next()).await.unwrap();
    assert_eq!(
        (change.key.as_str(), change.value, change.initial_done),
        ("a", None, true)
    );
}

pub async fn a_lease_passes_on_only_when_it_has_ended(f: Fixture) {
    let other = f.connect().await;
    let (mine, theirs) = (
        f.bus.kv(Bucket::Leases).await.unwrap(),
        other.kv(Bucket::Leases).await.unwrap(),
    );
    let mut lease = Lease::acquire(&mine, "lane.main.gate.0", "one")
        .await
        .unwrap()
        .unwrap();
    assert!(
        Lease::acquire(&theirs, "lane.main.gate.0", "two")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        Lease::holder(&theirs, "lane.main.gate.0")
            .await
            .unwrap()
            .as_deref(),
        Some("one")
    );
    lease.renew().await.unwrap();
    let deadline = lease.deadline();
    let successor = within("the takeover", async {
        loop {
            if let Some(lease) = Lease::acquire(&theirs, "lane.main.gate.0", "two")
                .await
                .unwrap()
            {
                return lease;
            }
        }
    })
    .await;
    assert!(
        tokio::time::Instant::now() >= deadline,
        "taken over before its owner gave up"
    );
    assert!(successor.revision() > lease.revision());
    assert!(!lease.is_current());
    assert_eq!(lease.renew().await, Err(LeaseLost::Expired));
    successor.release().await;
    assert!(
        Lease::acquire(&mine, "lane.main.gate.0", "one")
            .await
            .unwrap()
            .is_some(),
        "released at once"
    );
}

pub async fn a_kept_lease_outlives_its_time_and_is_released(f: Fixture) {
    let kv = f.bus.kv(Bucket::Leases).await.unwrap();
    let stop = Shutdown::new();
    let lease = Lease::acquire(&kv, "shard.EVENTS-main", "one")
        .await
        .unwrap()
        .unwrap();
    let end = lease.deadline() + lease.ttl();
    let mut kept = keep(lease, stop.clone());
    while tokio::time::Instant::now() < end {
        assert!(
            Lease::acquire(&kv, "shard.EVENTS-main", "two")
                .await
                .unwrap()
                .is_none()
        );
        assert!(!kept.is_lost());
    }
    stop.trigger();
    within("the release", kept.lost()).await;
    assert!(
        Lease::acquire(&kv, "shard.EVENTS-main", "two")
            .await
            .unwrap()
            .is_some()
    );
}

pub async fn a_stolen_lease_is_noticed_at_the_next_renewal(f: Fixture) {
    let kv = f.bus.kv(Bucket::Leases).await.unwrap();
    let mut lease = Lease::acquire(&kv, "lane.main.gate.0", "one")
        .await
        .unwrap()
        .unwrap();
    kv.put("lane.main.gate.0", text("two#1")).await.unwrap();
    assert_eq!(lease.renew().await, Err(LeaseLost::Taken));
}

pub async fn an_entry_ends_with_its_time_and_its_revision_is_never_used_again(f: Fixture) {
    let kv = f.bus.kv(Bucket::Leases).await.unwrap();
    assert_eq!(kv.max_age(), f.settings().lease_ttl);
    let first = kv.create("lane", text("one")).await.unwrap();
    within("the end of the entry", async {
        while !matches!(kv.get("lane").await, Ok(None)) {
            look_again().await;
        }
    })
    .await;
    // Each copy lets go of it by its own clock, and any of them may list the keys.
    within("the end of the entry in every copy", async {
        while !kv.keys().await.unwrap().is_empty() {
            look_again().await;
        }
    })
    .await;
    let late = kv.update("lane", text("two"), first).await.unwrap_err();
    assert!(matches!(late, BusError::Conflict), "{late}");
    assert!(kv.create("lane", text("two")).await.unwrap() > first);
}

pub async fn only_the_last_of_a_key_is_told_and_deletions_are(f: Fixture) {
    let kv = f.bus.kv(Bucket::Config).await.unwrap();
    let before = kv.keys().await.unwrap().len();
    for n in 0..20 {
        kv.put("often", Bytes::from(n.to_string())).await.unwrap();
    }
    let gone = kv.put("gone", text("1")).await.unwrap();
    kv.delete("gone", gone).await.unwrap();
    let mut watch = kv.watch_all().await.unwrap();
    let told = beginning(&mut watch).await;
    assert_eq!(told.len(), before + 2);
    assert_eq!(
        told[before..],
        [
            ("often".into(), Some(Bytes::from("19"))),
            ("gone".into(), None)
        ]
    );
    assert_eq!(kv.keys().await.unwrap().len(), before + 1);
    let (key, value, revision) = kv.entries().await.unwrap().pop().unwrap();
    assert_eq!((key.as_str(), value), ("often", Bytes::from("19")));
    assert_eq!(kv.get("often").await.unwrap().unwrap().1, revision);
}

/// A node's part of a channel in `PRESENCE`.
fn part(node: u64, channel: &str) -> String {
    let channel = Channel::parse(channel).unwrap();
    let tenant = Tenant::parse("acme").unwrap();
    presence::part_key(&NodeId::from_random(node), &store(), &tenant, &channel)
}

pub async fn what_a_bucket_holds_under_a_filter_is_read_at_once(f: Fixture) {
    let kv = f.bus.kv(Bucket::Presence).await.unwrap();
    let first = kv.put(&part(1, "room.7"), text("1")).await.unwrap();
    let second = kv.put(&part(2, "room.7"), text("2")).await.unwrap();
    let other = kv.put(&part(1, "room.7.a"), text("3")).await.unwrap();
    let entry = |node, channel, value: Option<&'static str>, revision| KvEntry {
        key: part(node, channel),
        value: value.map(text),
        revision,
    };
    let (tenant, channel) = (
        Tenant::parse("acme").unwrap(),
        Channel::parse("room.7").unwrap(),
    );
    let filter = presence::parts_filter(&store(), &tenant, &channel);
    let read = async |wanted: &[KvEntry]| {
        // Any copy may answer, and one that lags has not everything yet.
        within("every entry", async {
            while kv.latest(&filter).await.unwrap() != wanted {
                look_again().await;
            }
        })
        .await;
    };
    let (one, two) = (
        entry(1, "room.7", Some("1"), first),
        entry(2, "room.7", Some("2"), second),
    );
    read(&[one.clone(), two.clone()]).await;
    let own = presence::parts_of_filter(&NodeId::from_random(1));
    within("a node's own", async {
        let wanted = (vec![entry(1, "room.7.a", Some("3"), other)], false);
        while kv.page(&own, first + 1, 10).await.unwrap() != wanted {
            look_again().await;
        }
    })
    .await;
    assert!(matches!(
        kv.remove(&part(1, "room.7"), Some(first - 1)).await,
        Err(BusError::Conflict)
    ));
    kv.remove(&part(1, "room.7"), Some(first)).await.unwrap();
    let deleted = entry(1, "room.7", None, other + 1);
    read(&[two, deleted]).await;
    kv.remove(&part(2, "room.7"), None).await.unwrap();
    assert_eq!(kv.get(&part(2, "room.7")).await.unwrap(), None);
}

pub async fn what_a_bucket_stores_is_repeated_with_its_revision(f: Fixture) {
    let kv = f.bus.kv(Bucket::Presence).await.unwrap();
    let mut heard = f.bus.subscribe(&Subject::presence_store(&store())).await;
    let heard = heard.as_mut().unwrap();
    f.bus.flush().await.unwrap();
    let key = part(1, "room.7");
    let first = kv.put(&key, text("1")).await.unwrap();
    let refused = kv.update(&key, text("2"), first + 5).await;
    assert!(matches!(refused, Err(BusError::Conflict)));
    kv.remove(&key, None).await.unwrap();
    for (value, deleted, prev) in [("1", false, 0), ("", true, first)] {
        let message = within("what is stored", heard.next()).await.unwrap();
        assert_eq!(message.subject().strip_prefix("pres."), Some(key.as_str()));
        assert_eq!(message.payload, text(value));
        assert_eq!(bus::is_deletion(&message), deleted);
        let place = message.republished.unwrap();
        assert_eq!(place.prev, prev);
        assert!(place.stream_seq > prev, "what was refused is not heard");
    }
}
