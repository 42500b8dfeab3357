//! STATE: two versions of each subject, replaced in batches behind a fence.

use bus::BusError;
use bytes::Bytes;
use protocol::bus::{Expect, Outgoing};
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::name::{Channel, FunctionName, Tenant};
use protocol::stream::StreamName;
use protocol::subject::Subject;

use super::fixture::{Fixture, store};

fn memory(channel: &str) -> Subject {
    Subject::state(
        &store(),
        Lane(0),
        (&FunctionName::parse("gate").unwrap(), 0),
        &Tenant::parse("acme").unwrap(),
        &Channel::parse(channel).unwrap(),
    )
}

fn message(subject: Subject, value: u64, expect: Option<u64>) -> Outgoing {
    Outgoing {
        subject,
        headers: Headers::new(),
        payload: Bytes::from(value.to_string()),
        msg_id: None,
        expect: expect.map(Expect::LastOnSubject),
    }
}

/// Replaces what two channels stand for, behind the fence at `before`.
async fn replace(f: &Fixture, value: u64, before: u64) -> Result<u64, BusError> {
    let function = FunctionName::parse("gate").unwrap();
    let fence = Subject::fence(&store(), Lane(0), (&function, 0));
    let batch = vec![
        message(memory("doc.a"), value, None),
        message(memory("doc.b"), value, None),
        message(fence, value, Some(before)),
    ];
    Ok(f.bus.commit_batch(batch).await?.last_seq)
}

pub async fn two_versions_are_kept_of_what_is_replaced_behind_a_fence(f: Fixture) {
    let stream = StreamName::state(&store());
    let first = replace(&f, 1, 0).await.unwrap();
    f.level(&stream).await;
    let only = f.bus.first_on(&stream, &memory("doc.a")).await.unwrap();
    assert_eq!(only.unwrap().seq, first - 2, "contiguous, the fence last");
    let second = replace(&f, 2, first).await.unwrap();
    let refused = replace(&f, 9, first).await;
    assert!(
        matches!(refused, Err(BusError::GuardRefused)),
        "{refused:?}"
    );
    let versions = async || {
        f.level(&stream).await;
        let subject = memory("doc.b");
        let oldest = f.bus.first_on(&stream, &subject).await.unwrap().unwrap();
        let last = f.bus.last_on(&stream, &subject).await.unwrap().unwrap();
        (oldest.payload, last.payload)
    };
    assert_eq!(versions().await, (Bytes::from("1"), Bytes::from("2")));
    replace(&f, 3, second).await.unwrap();
    assert_eq!(versions().await, (Bytes::from("2"), Bytes::from("3")));
    assert_eq!(
        f.bus.first_on(&stream, &memory("doc.c")).await.unwrap(),
        None
    );
}
