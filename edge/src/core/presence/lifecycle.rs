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
use protocol::frame::Member;
use protocol::name::{Channel, StoreName, Tenant};
use protocol::presence::{Life, LifecycleEvent, NodeId, Occupancy, Writer};
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
    // What is told of a writer is told on its own channel.
    let on = match key.channel.is_session() {
        true => Some(key.channel.clone()),
        false => key.channel.lifecycle(),
    };
    let Some(on) = on else {
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
            event.ok()
        });
        let there = self.who_is_there().await?;
        let is = match (self.channel.is_session(), there.is_some()) {
            (false, true) => Occupancy::Occupied,
            (false, false) => Occupancy::Vacated,
            (true, true) => Occupancy::Connected,
            (true, false) => Occupancy::Disconnected,
        };
        let word = told
            .as_ref()
            .map(|told| told.as_ref().map(|told| told.lifecycle));
        if word == Some(Some(is)) || (word.is_none() && there.is_none()) {
            return Ok(true);
        }
        let after = last.map_or(0, |event| event.seq);
        // Whoever is gone is named as it was when it came.
        let writer = match there {
            Some(there) => there.as_ref().map(Writer::from),
            None => told.flatten().and_then(|told| told.writer),
        };
        let writer = writer.filter(|_| self.channel.is_session());
        match bus.publish(self.event(is, after, writer)).await {
            Ok(_) => meters().presence_lifecycle.increment(1),
            // Somebody else has told something meanwhile.
            Err(BusError::GuardRefused) => {}
            Err(error) => return Err(error),
        }
        Ok(false)
    }

    fn event(&self, is: Occupancy, after: u64, writer: Option<Writer>) -> Outgoing {
        let envelope = Envelope {
            id: format!("{}/{}/{after}", self.on, is.as_str()),
            time: Some(now_us()),
            ..Envelope::default()
        };
        let data = LifecycleEvent {
            lifecycle: is,
            channel: self.channel.as_str().into(),
            writer,
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

    /// Whether somebody is there, as the bucket's leader has it, and one of them where they
    /// are named.
    async fn who_is_there(&self) -> Result<Option<Option<Member>>, BusError> {
        let filter = parts_filter(&self.store, self.tenant, self.channel);
        let mut from = 1;
        while let Some(entry) = self.kv.first(&filter, from).await? {
            from = entry.revision + 1;
            let Some((node, _, Some(part))) = of_entry(&entry) else {
                continue;
            };
            if part.count > 0 && self.lives(&node).await? {
                let members = part.members.unwrap_or_default();
                return Ok(Some(members.into_iter().next()));
            }
        }
        Ok(None)
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
