//! One stream's rules: what is stored, what is refused and with which code. Pure: a
//! message and a time in, an acknowledgement out. Owns log, ids and open batches.

use std::collections::{BTreeMap, BTreeSet};

use super::batches::Batches;
use super::config::StreamConfig;
use super::ids::Ids;
use super::log::Log;
use super::message::Message;
use crate::details::StreamDetails;
use crate::error::BusError;
use protocol::bus::{Expect, Republished, Stored, StreamState};

/// The server's codes.
const WRONG_LAST_SEQUENCE: u64 = 10_071;
pub(super) const SUBJECT_IN_PROCESS: u64 = 10_164;
const STORE_FAILED: u64 = 10_077;
const ATOMIC_DISABLED: u64 = 10_174;
const BATCH_DUPLICATE: u64 = 10_201;
const UNSUPPORTED_IN_BATCH: u64 = 10_177;

/// What the stream answers to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Stored, with what a republished copy says of it.
    New(Republished),
    /// It was there already, under this sequence.
    Duplicate(u64),
}

/// One stream.
#[derive(Debug)]
pub(super) struct Machine {
    pub config: StreamConfig,
    pub log: Log,
    pub created_us: u64,
    ids: Ids,
    batches: Batches,
}

impl Machine {
    pub(super) fn new(config: StreamConfig, now_us: u64) -> Self {
        Self {
            config,
            log: Log::default(),
            created_us: now_us,
            ids: Ids::default(),
            batches: Batches::default(),
        }
    }

    /// Lets age take what it takes.
    pub(super) fn expire(&mut self, now_us: u64) {
        let age = micros(self.config.max_age);
        if age > 0 {
            self.log.expire(now_us.saturating_sub(age));
        }
    }

    /// Stores one message, or says why not. One server looks at the condition before
    /// the id, several (whose leader checks before it proposes) look at the id first.
    ///
    /// # Errors
    /// [`BusError::GuardRefused`], [`BusError::StreamFull`].
    pub(super) fn publish(&mut self, message: &Message, now_us: u64) -> Result<Taken, BusError> {
        self.expire(now_us);
        if !self.config.replicated {
            self.check_guard(message)?;
        }
        if let Some(seq) = self.known(message, now_us) {
            return Ok(Taken::Duplicate(seq));
        }
        self.check_guard(message)?;
        self.check_room(message.stored_bytes())?;
        Ok(Taken::New(self.store(message, now_us)))
    }

    /// Takes a message of a batch that is not its last.
    ///
    /// # Errors
    /// Those of [`Batches::stage`]; [`BusError::Api`] where batches are not allowed.
    pub(super) fn stage(
        &mut self,
        id: u128,
        n: usize,
        message: Message,
        now_us: u64,
    ) -> Result<(), BusError> {
        if !self.config.atomic {
            let description = "atomic publish is disabled".into();
            return Err(BusError::from_api(ATOMIC_DISABLED, description));
        }
        self.batches.stage(id, n, message, now_us)
    }

    /// Takes the last message of a batch and stores all of it, or nothing. A condition
    /// on a subject that the batch has written to is refused, whatever it says.
    ///
    /// # Errors
    /// As [`Self::stage`]; [`BusError::Duplicate`], [`BusError::GuardRefused`],
    /// [`BusError::StreamFull`].
    pub(super) fn commit(
        &mut self,
        id: u128,
        n: usize,
        message: Message,
        now_us: u64,
    ) -> Result<Vec<(Message, Republished)>, BusError> {
        self.stage(id, n, message, now_us)?;
        self.expire(now_us);
        let batch = self.batches.close(id);
        let (mut ids, mut written) = (BTreeSet::new(), BTreeSet::new());
        for message in &batch {
            let known = self.known(message, now_us).is_some();
            if known || message.msg_id.as_ref().is_some_and(|id| !ids.insert(id)) {
                let description = "the batch holds a duplicate".into();
                return Err(BusError::from_api(BATCH_DUPLICATE, description));
            }
            if matches!(message.expect, Some(Expect::LastInStream(_))) {
                let description = "the model knows no such condition in a batch".into();
                return Err(BusError::from_api(UNSUPPORTED_IN_BATCH, description));
            }
            if message.expect.is_some() && written.contains(&message.subject) {
                let description = "the batch has written to the subject".into();
                return Err(BusError::from_api(SUBJECT_IN_PROCESS, description));
            }
            self.check_guard(message)?;
            written.insert(&message.subject);
        }
        self.check_room(batch.iter().map(Message::stored_bytes).sum())?;
        let stored = batch.into_iter().map(|message| {
            let said = self.store(&message, now_us);
            (message, said)
        });
        Ok(stored.collect())
    }

    /// Takes a copy from another stream, as the server's own sourcing does.
    pub(super) fn copy(&mut self, message: &Message, now_us: u64) {
        self.expire(now_us);
        // A full copy waits at the server; here it is left out until there is room.
        if self.check_room(message.stored_bytes()).is_ok() {
            self.store(message, now_us);
        }
    }

    /// What a change of the leader takes: batches that were not committed.
    pub(super) fn change_leader(&mut self) {
        self.batches.abandon();
    }

    fn known(&mut self, message: &Message, now_us: u64) -> Option<u64> {
        let window = micros(self.config.duplicate_window);
        self.ids.find(message.msg_id.as_ref()?, now_us, window)
    }

    fn check_guard(&self, message: &Message) -> Result<(), BusError> {
        let last = self.log.last_seq();
        let (expected, found) = match message.expect {
            None => return Ok(()),
            Some(Expect::LastInStream(expected)) => (expected, last),
            Some(Expect::LastOnSubject(expected)) => {
                let found = self.log.last_on(&message.subject, last);
                (expected, found.unwrap_or(0))
            }
        };
        if expected == found {
            return Ok(());
        }
        let description = format!("wrong last sequence: {found}");
        Err(BusError::from_api(WRONG_LAST_SEQUENCE, description))
    }

    fn check_room(&mut self, bytes: u64) -> Result<(), BusError> {
        match self.config.max_bytes {
            Some(max) if self.config.drops_oldest => {
                self.log.make_room(max.saturating_sub(bytes));
                Ok(())
            }
            Some(max) if self.log.bytes() + bytes >= max => {
                let description = "maximum bytes exceeded".into();
                Err(BusError::from_api(STORE_FAILED, description))
            }
            _ => Ok(()),
        }
    }

    fn store(&mut self, message: &Message, now_us: u64) -> Republished {
        let last = self.log.last_seq();
        let prev = self.log.last_on(&message.subject, last).unwrap_or(0);
        let event = Stored {
            seq: 0,
            time_us: now_us,
            subject: message.subject.clone(),
            headers: message.headers.clone(),
            payload: message.payload.clone(),
        };
        let bytes = message.stored_bytes();
        let seq = self.log.push(event, bytes, self.config.history);
        if let Some(id) = &message.msg_id {
            self.ids.remember(id, seq, now_us);
        }
        Republished {
            stream_seq: seq,
            prev,
            time_us: now_us,
        }
    }

    /// What a server that has come to `until` says of the stream.
    pub(super) fn details(&self, until: u64, now_us: u64) -> StreamDetails {
        let first = self.log.first(until);
        let state = StreamState {
            first_seq: first.map_or(until + 1, |event| event.seq),
            last_seq: until,
            first_time_us: first.map_or(0, |event| event.time_us),
            created_us: self.created_us,
            bytes: self.log.bytes(),
            max_bytes: self.config.max_bytes,
            max_age: self.config.max_age,
            duplicate_window: self.config.duplicate_window,
        };
        StreamDetails {
            config: self.config.json.clone(),
            state,
            time_us: now_us,
        }
    }
}

pub(super) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Streams by their names.
pub(super) type Streams = BTreeMap<String, Machine>;
