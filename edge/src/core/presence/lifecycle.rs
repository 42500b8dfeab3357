//! Tells, as an event on a channel of its own, when a channel is occupied and when it is
//! vacated.
//!
//! Owns nothing. The last event there is what has been told; another is stored on
//! condition that it still is the last. So nodes need not agree on who tells: whoever sees
//! that what was told is not so any more says it, one of them is heard, and the two always
//! take turns.

use std::sync::Arc;

use bus::{BusError, Kv};
use protocol::bus::{Expect, Outgoing};
use protocol::envelope::Envelope;
use protocol::name::{Channel, StoreName, Tenant};
use protocol::presence::{Life, LifecycleEvent, NodeId, Occupancy};
use protocol::stream::StreamName;
use protocol::subject::presence::{node_key, parts_filter};
use protocol::subject::{Kind, Subject};
use service::clock::now_us;

use super::presences::Presences;
use super::watch::of_entry;
use crate::core::directory::Directory;
use crate::core::feed::relay::FeedKey;
use crate::core::metrics::meters;

/// How often in a row it may have changed before whoever tells comes back later.
const CHANGES_MAX: u32 = 8;

/// What is told of one channel, and where.
struct Telling<'a> {
    presences: &'a Presences,
    kv: &'a Kv,
    tenant: &'a Tenant,
    channel: &'a Channel,
    store: StoreName,
    /// Where it is told.
    on: Channel,
    subject: Subject,
    stream: StreamName,
}

/// Whether it is told when a channel is occupied.
pub(super) fn is_told(directory: &Directory, key: &FeedKey) -> bool {
    let place = directory.place(&key.tenant, &key.channel);
    let presence = place.and_then(|place| place.presence);
    presence.is_some_and(|spec| spec.lifecycle)
}

/// Tells whether a channel is occupied, if that has changed since it was told last.
///
/// # Errors
/// Those of the bus; [`BusError::Conflict`]: it changes all the time. Either way it may
/// have to be told again. Cancel safe: what was told stays told.
pub(super) async fn settle(presences: &Arc<Presences>, key: &FeedKey) -> Result<(), BusError> {
    let directory = presences.namespaces.snapshot();
    if !is_told(&directory, key) {
        return Ok(());
    }
    let Some(on) = key.channel.lifecycle() else {
        return Ok(());
    };
    let Some(place) = directory.place(&key.tenant, &on) else {
        return Ok(());
    };
    let telling = Telling {
        presences,
        kv: presences.kv()?,
        tenant: &key.tenant,
        channel: &key.channel,
        subject: Subject::event(Kind::Ev, &place.store, place.lane, &key.tenant, &on),
        stream: StreamName::events(&place.store),
        store: place.store,
        on,
    };
    for _ in 0..CHANGES_MAX {
        if telling.is_settled().await? {
            return Ok(());
        }
    }
    Err(BusError::Conflict)
}

impl Telling<'_> {
    /// Whether what was told is so; if not, it is told, and has to be looked at again: who
    /// came or left meanwhile may have seen what was told before.
    async fn is_settled(&self) -> Result<bool, BusError> {
        let bus = &self.presences.bus;
        let last = bus.last_on(&self.stream, &self.subject).await?;
        let told = last.as_ref().map(|event| {
            let event = serde_json::from_slice::<LifecycleEvent>(&event.payload);
            event.ok().map(|event| event.lifecycle)
        });
        let is = match self.is_occupied().await? {
            true => Occupancy::Occupied,
            false => Occupancy::Vacated,
        };
        if told == Some(Some(is)) || (told.is_none() && is == Occupancy::Vacated) {
            return Ok(true);
        }
        let after = last.map_or(0, |event| event.seq);
        match bus.publish(self.event(is, after)).await {
            Ok(_) => meters().presence_lifecycle.increment(1),
            // Somebody else has told something meanwhile.
            Err(BusError::GuardRefused) => {}
            Err(error) => return Err(error),
        }
        Ok(false)
    }

    fn event(&self, is: Occupancy, after: u64) -> Outgoing {
        let envelope = Envelope {
            id: format!("{}/{}/{after}", self.on, is.as_str()),
            time: Some(now_us()),
            ..Envelope::default()
        };
        let data = LifecycleEvent {
            lifecycle: is,
            channel: self.channel.as_str().into(),
        };
        let payload = serde_json::to_vec(&data).expect("it has only texts");
        Outgoing {
            subject: self.subject.clone(),
            headers: envelope.to_headers(),
            payload: payload.into(),
            msg_id: None,
            expect: Some(Expect::LastOnSubject(after)),
        }
    }

    /// Whether somebody is there, as the bucket's leader has it.
    async fn is_occupied(&self) -> Result<bool, BusError> {
        let filter = parts_filter(&self.store, self.tenant, self.channel);
        let mut from = 1;
        while let Some(entry) = self.kv.first(&filter, from).await? {
            from = entry.revision + 1;
            let Some((node, _, Some(part))) = of_entry(&entry) else {
                continue;
            };
            if part.count > 0 && self.lives(&node).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn lives(&self, node: &NodeId) -> Result<bool, BusError> {
        let own = self.presences.name.borrow().as_ref() == Some(node);
        if own || self.presences.living().contains(node) {
            return Ok(true);
        }
        // It may have come a moment ago.
        let Some((life, _)) = self.kv.get(&node_key(node)).await? else {
            return Ok(false);
        };
        let leaving = self.presences.was(node);
        let life = serde_json::from_slice::<Life>(&life);
        Ok(!leaving && life.is_ok_and(|life| !life.dead))
    }
}
