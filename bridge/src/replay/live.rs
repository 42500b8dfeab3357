//! The part of a read that comes from JetStream: what the mirror may not have yet.
//!
//! Owns a reader of the stream for as long as it keeps up. A client that is so slow
//! that the stream's retention comes near is sent back to Kafka.

use bus::{Bus, Reader, ReaderOptions};
use protocol::bus::Stored;
use service::clock::now_us;

use super::batch::Batch;
use super::fault::ReplayFault;
use super::out::Out;
use super::plan::{Home, Plan};
use super::token::Cursor;
use crate::kafka::partitioner::partition;
use crate::proto::{EventMeta, Header, ReadResponse};

/// How the stream is read: small, since history has brought the bulk.
const READER: ReaderOptions = ReaderOptions {
    batch: 2_000,
    bytes_max: 2 * 1024 * 1024,
};
/// Past this part of the stream's retention, events are read from Kafka.
const BEHIND_PART: u64 = 2;

/// What a live read works with.
pub(super) struct Live<'a> {
    pub bus: &'a Bus,
    pub home: &'a Home,
    pub lanes: u16,
    pub plan: &'a Plan,
    pub out: &'a Out,
    /// How far the mirror is.
    pub mirrored: &'a (dyn Fn() -> u64 + Send + Sync),
    /// Whether the client knows already that history is behind it.
    pub caught_up: &'a mut bool,
}

impl Live<'_> {
    /// Gives events from behind the cursor on. Returns when JetStream has not, or may
    /// soon not have, what comes next; the cursor then says where Kafka goes on.
    ///
    /// # Errors
    /// [`ReplayFault`]; [`ReplayFault::Gone`] once nobody listens any more.
    pub(super) async fn follow(mut self, cursor: &mut Cursor) -> Result<(), ReplayFault> {
        let stream = &self.plan.target.stream;
        let filter = self.plan.grant.filter(&self.home.store, self.lanes);
        let mut reader = self
            .bus
            .reader(stream, Some(&filter), cursor.after + 1, READER)
            .await?;
        // Looked at once the reader stands: what it begins with cannot have gone before.
        let state = self.bus.stream_state(stream).await?;
        if state.first_seq > cursor.after + 1 {
            return Ok(());
        }
        let age_max_us = u64::try_from(state.max_age.as_micros()).unwrap_or(u64::MAX);
        loop {
            self.announce(&reader, cursor).await?;
            let events = reader.next_batch().await?;
            let oldest = events.first().map_or(0, |event| event.time_us);
            self.give(events, cursor).await?;
            let behind =
                age_max_us > 0 && now_us().saturating_sub(oldest) > age_max_us / BEHIND_PART;
            if behind && (self.mirrored)() > cursor.after {
                return Ok(());
            }
        }
    }

    /// Gives what JetStream has behind the cursor up to a sequence. Some of it Kafka may
    /// have too: the cursor moves on over all of it. False: JetStream does not have
    /// what comes next any more.
    ///
    /// # Errors
    /// As [`Self::follow`].
    pub(super) async fn stretch(&self, cursor: &mut Cursor, to: u64) -> Result<bool, ReplayFault> {
        let (stream, filter) = (
            &self.plan.target.stream,
            self.plan.grant.filter(&self.home.store, self.lanes),
        );
        let mut reader = self
            .bus
            .reader(stream, Some(&filter), cursor.after + 1, READER)
            .await?;
        loop {
            let mut events = if reader.pending() > 0 {
                reader.next_batch().await?
            } else {
                Vec::new()
            };
            // Looked at behind the batch: nothing of it, or before it, had gone.
            let state = self.bus.stream_state(stream).await?;
            if state.first_seq > cursor.after + 1 {
                return Ok(false);
            }
            let past = events.last().is_none_or(|event| event.seq >= to);
            events.retain(|event| event.seq <= to && !self.has_given(event, cursor));
            self.give(events, cursor).await?;
            if past || reader.pending() == 0 {
                cursor.reach(to);
                return Ok(true);
            }
        }
    }

    /// Whether Kafka has given it before it lost what is around it.
    fn has_given(&self, event: &Stored, cursor: &Cursor) -> bool {
        let Some(channel) = self.plan.grant.channel(event) else {
            return false;
        };
        let Ok(partitions) = i32::try_from(cursor.given.len()) else {
            return false;
        };
        let key = Some(channel.as_str().as_bytes());
        partitions > 0
            && cursor.has_given(partition(key, event.seq, partitions) as usize, event.seq)
    }

    async fn announce(&mut self, reader: &Reader, cursor: &Cursor) -> Result<(), ReplayFault> {
        if *self.caught_up || reader.pending() > 0 {
            return Ok(());
        }
        *self.caught_up = true;
        let token = super::token::encode(&self.plan.target, cursor);
        self.out
            .send(ReadResponse {
                caught_up: true,
                token,
                ..ReadResponse::default()
            })
            .await
    }

    async fn give(&self, events: Vec<Stored>, cursor: &mut Cursor) -> Result<(), ReplayFault> {
        let mut batch = Batch::new(self.plan.limits);
        for event in events {
            cursor.after = event.seq;
            if let Some(meta) = self.meta(&event) {
                batch.push(meta, &event.payload);
            }
            if batch.is_full() {
                self.out.send(batch.take(&self.plan.target, cursor)).await?;
            }
        }
        if !batch.is_empty() {
            self.out.send(batch.take(&self.plan.target, cursor)).await?;
        }
        Ok(())
    }

    /// `None` for what was not asked for.
    fn meta(&self, event: &Stored) -> Option<EventMeta> {
        let channel = self.plan.grant.channel(event)?;
        Some(EventMeta {
            sequence: event.seq,
            time_us: event.time_us,
            channel: channel.as_str().to_owned(),
            payload_length: 0,
            headers: event
                .headers
                .iter()
                .map(|(name, value)| Header {
                    name: name.into(),
                    value: value.into(),
                })
                .collect(),
            partition: -1,
            offset: -1,
        })
    }
}
