//! One event into its stream.
//!
//! Owns nothing but handles; shared by all lanes and by the work on resends.

use bus::{Bus, BusError};
use protocol::bus::{Expect, PubAck};
use service::fault::Faults;
use service::shutdown::Shutdown;

use super::answer::refusal;
use super::duplicate;
use super::expected;
use super::job::Job;

/// Where events are stored.
pub struct Store {
    /// The bus.
    pub bus: Bus,
    /// Test-only switches.
    pub faults: Faults,
    /// Ends lanes and the work on resends.
    pub stop: Shutdown,
}

impl Store {
    /// Stores one event. Not cancel safe: it may be stored all the same.
    pub async fn store(&self, job: &Job, expect: Option<Expect>) -> Result<PubAck, BusError> {
        self.faults.hit("edge.before_publish");
        let pending = self.bus.publish_start(job.outgoing(expect)).await?;
        self.faults.hit("edge.after_stage");
        let ack = pending.await?;
        self.faults.hit("edge.after_puback");
        Ok(ack)
    }

    /// Stores one event and answers for it.
    pub async fn store_single(&self, job: Job) {
        let expected_seq = job.draft.expected_seq;
        let outcome = match self
            .store(&job, expected_seq.map(Expect::LastOnSubject))
            .await
        {
            Ok(ack) if ack.duplicate => duplicate::answer(&self.bus, &job, ack.seq).await,
            Ok(ack) => Ok(job.published(ack.seq, false)),
            Err(BusError::GuardRefused) => expected::answer(&self.bus, &job).await,
            Err(error) => Err(refusal(&error)),
        };
        job.answer(outcome);
    }
}
