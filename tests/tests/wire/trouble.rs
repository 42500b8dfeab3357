//! Refusals for which the store must be in trouble: full, forgetful, or gone.

use std::time::Duration;

use bus::BusError;
use harness::{Deployment, until};
use protocol::bus::Outgoing;
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Encoding, ErrorBody, Publish};
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::name::{Channel, Tenant};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use super::mutate::publish;
use super::refusals::{DATA_BYTES_MAX, PATIENT, STREAM_BYTES_MAX};
use super::seen::{Probe, Seen};

/// How long events are kept where they must be forgotten soon.
const AGE: Duration = Duration::from_secs(1);
/// Writing this many events of the longest data certainly fills the stream.
const EVENTS_TO_FILL: u64 = 2 * STREAM_BYTES_MAX / DATA_BYTES_MAX as u64;

/// Stores as much as a tenant may, and then fills the stream until it refuses another one.
pub async fn provoke_full(deployment: &Deployment, seen: &mut Seen) {
    let (address, token) = (deployment.edges[PATIENT].address(), deployment.token("ann"));
    let mut probe = Probe::connect(address, Encoding::Msgpack, &token, "full", seen).await;
    let data = format!("\"{}\"", "x".repeat(DATA_BYTES_MAX - 2));
    let refused = until_refused(&mut probe, &data).await;
    let wanted = ErrorCode::QuotaExceeded;
    probe
        .seen
        .refusal("a tenant's share", refused.as_ref(), wanted);
    fill(deployment).await;
    let token = deployment.token_of("globex", "ann");
    let mut probe = Probe::connect(address, Encoding::Msgpack, &token, "full", seen).await;
    let refused = until_refused(&mut probe, "1").await;
    let wanted = ErrorCode::StoreFull;
    probe
        .seen
        .refusal("a full stream", refused.as_ref(), wanted);
}

async fn until_refused(probe: &mut Probe<'_>, data: &str) -> Option<ErrorBody> {
    for n in 1..=EVENTS_TO_FILL {
        let action = Action::Publish(publish(Encoding::Msgpack, "chat.full", n, data.as_bytes()));
        let reply = probe.ask("an event into a stream that fills", action).await;
        if reply.error.is_some() {
            return reply.error;
        }
    }
    panic!("the stream takes more than its limit");
}

/// Fills the stream to its last byte, past every edge.
async fn fill(deployment: &Deployment) {
    let (store, channel) = (&deployment.store, Channel::parse("chat.fill").unwrap());
    let tenant = Tenant::parse("initech").unwrap();
    let lane = Lane::of(&tenant, &channel, store.lanes);
    let subject = Subject::event(Kind::Ev, &store.name, lane, &tenant, &channel);
    let mut length = DATA_BYTES_MAX;
    loop {
        let message = Outgoing {
            subject: subject.clone(),
            headers: Headers::new(),
            payload: vec![b'1'; length].into(),
            msg_id: None,
            expect: None,
        };
        match deployment.bus.publish(message).await {
            Ok(_) => {}
            Err(BusError::StreamFull) if length == 0 => return,
            Err(BusError::StreamFull) => length /= 2,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A store that keeps events for a second: a resend from before can no longer be
/// judged. Then the store goes away for good.
pub async fn provoke_forgotten_and_gone(seen: &mut Seen) {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[])
        .workers(0)
        .edges(1);
    let builder = builder.store(|store| {
        (store.ingress_max_age, store.events_max_age) = (AGE, AGE);
        (
            store.duplicate_window_ingress,
            store.duplicate_window_events,
        ) = (AGE / 2, AGE / 2);
    });
    let Some(deployment) = builder.start().await else {
        return;
    };
    let (address, token) = (deployment.edges[0].address(), deployment.token("ann"));
    let mut probe = Probe::connect(address, Encoding::Json, &token, "old", seen).await;
    let action = |n, first_sent| {
        Action::Publish(Publish {
            first_sent,
            ..publish(Encoding::Json, "chat.old", n, b"1")
        })
    };
    probe.accepted("an event", action(1, None)).await;
    let stream = StreamName::events(&deployment.store.name);
    until("the event is forgotten", async || {
        let state = deployment
            .bus
            .stream_state(&stream)
            .await
            .map_err(|error| error.to_string())?;
        if state.first_seq > 1 {
            Ok(())
        } else {
            Err(format!("{state:?}"))
        }
    })
    .await;
    probe
        .refused(
            "a resend from before",
            action(1, Some(1)),
            ErrorCode::OutcomeUnknown,
        )
        .await;

    deployment.servers.nats(|nats| nats.kill()).await;
    probe
        .refused(
            "an event without a store",
            action(2, None),
            ErrorCode::Unavailable,
        )
        .await;
    probe.lives().await;
}
