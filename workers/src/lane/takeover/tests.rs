//! Takeovers over the bus's model: what is gone on from, and what is not.

use std::sync::Arc;

use bus::bootstrap::{StoreSettings, bootstrap};
use bus::model::{Model, ModelFaults};
use protocol::checkpoint::{Parked, Unparked};
use protocol::name::{Channel, Tenant};
use protocol::position::Epoch;
use protocol::spec::FunctionLimits;

use super::*;
use crate::lane::tests::scope;

/// A store without faults, and a function on one of its lanes.
async fn start() -> (Bus, Scope) {
    let bus = Model::start(ModelFaults::default()).connect("worker");
    let store = bootstrap(&bus, &StoreSettings::default()).await.unwrap();
    let scope = scope(FunctionLimits::default());
    (bus, Scope { store, ..scope })
}

async fn owned(bus: &Bus, scope: &Scope, lease: u64) -> Result<Taken, TakeoverError> {
    take(bus, scope, lease, &Faults::default(), &|| false).await
}

/// Stores a commit behind what was taken over; the sequence of its checkpoint.
async fn commit(bus: &Bus, scope: &Scope, guard: u64, checkpoint: Checkpoint) -> u64 {
    let commit = Commit {
        change: None,
        messages: Vec::new(),
        checkpoint,
        guard,
    };
    match commit::store(bus, scope, commit, &Faults::default(), || false).await {
        Ok(Landed::At(seq)) => seq,
        other => panic!("{other:?}"),
    }
}

fn changed(scope: &Scope, change: impl FnOnce(&mut Scope)) -> Scope {
    let mut scope = scope.clone();
    change(&mut scope);
    scope
}

#[tokio::test]
async fn a_new_incarnation_begins_anew_where_the_old_one_cannot_go_on() {
    let (bus, old) = start().await;
    let taken = owned(&bus, &old, 1).await.unwrap();
    let done = Checkpoint {
        seq: 40,
        ..taken.checkpoint
    };
    commit(&bus, &old, taken.guard, done).await;

    let restored = changed(&old, |scope| scope.store.epoch = Epoch::from_random(77));
    let refused = owned(&bus, &restored, 2).await;
    assert!(matches!(refused, Err(TakeoverError::Alarm(reason)) if reason.contains("epoch")));
    let anew = changed(&restored, |scope| {
        let spec = Arc::make_mut(&mut scope.spec);
        (spec.incarnation, spec.start_seq) = (1, 7);
    });
    let taken = owned(&bus, &anew, 3).await.unwrap();
    assert_eq!((taken.checkpoint.seq, taken.from), (6, 7));
    assert_eq!((taken.checkpoint.incarnation, taken.lost), (1, None));
    // A worker that has not heard of it does no harm.
    let late = owned(&bus, &old, 4).await;
    assert!(matches!(late, Err(TakeoverError::Alarm(reason)) if reason.contains("incarnation")));
}

fn parked(channel: &str, seq: u64) -> Parked {
    Parked {
        tenant: Tenant::parse("acme").unwrap(),
        channel: Channel::parse(channel).unwrap(),
        seq,
        attempts: 1,
        since: 1,
        due: 2,
    }
}

#[tokio::test]
async fn a_new_owner_knows_all_that_waits_from_a_checkpoint_and_its_base() {
    let (bus, scope) = start().await;
    let taken = owned(&bus, &scope, 1).await.unwrap();
    let whole = Checkpoint {
        seq: 40,
        parked: vec![parked("doc.a", 1), parked("doc.b", 2), parked("doc.c", 3)],
        ..taken.checkpoint
    };
    let base = commit(&bus, &scope, taken.guard, whole.clone()).await;
    let Parked {
        tenant, channel, ..
    } = parked("doc.a", 1);
    let changes = Checkpoint {
        seq: 50,
        base,
        parked: vec![parked("doc.b", 9)],
        unparked: vec![Unparked { tenant, channel }],
        ..whole
    };
    commit(&bus, &scope, base, changes).await;
    let taken = owned(&bus, &scope, 2).await.unwrap();
    let Checkpoint {
        seq,
        base,
        parked: waits,
        unparked,
        ..
    } = taken.checkpoint;
    assert_eq!((seq, base, unparked), (50, 0, Vec::new()));
    assert_eq!(waits, [parked("doc.c", 3), parked("doc.b", 9)]);
}
