//! The event before another one on the same subject. Owns nothing.
//!
//! JetStream finds it by Direct Get, which a follower may answer that lags. So what is
//! found is a hint, and the leader is asked for the event after it: that one has to be
//! where the search began, or behind it.

use crate::bus::Bus;
use crate::error::BusError;
use protocol::stream::StreamName;
use protocol::subject::Subject;

/// Steps from a hint to the event that is looked for. A follower is that far behind on
/// one subject only while its stream is catching up; then the caller tries again.
const STEPS_MAX: usize = 64;

impl Bus {
    /// The last sequence on a subject below `before`; `None`: there is none, or it is
    /// no longer kept.
    ///
    /// # Errors
    /// [`BusError::Behind`] while who answers lags too far; those of a request. Cancel
    /// safe.
    pub async fn last_before(
        &self,
        stream: &StreamName,
        subject: &Subject,
        before: u64,
    ) -> Result<Option<u64>, BusError> {
        let Some(until) = before.checked_sub(1).filter(|until| *until > 0) else {
            return Ok(None);
        };
        let mut last = self.last_until(stream, subject, until).await?;
        for _ in 0..STEPS_MAX {
            let next = self
                .leader_next(stream.as_str(), subject.as_str(), last + 1)
                .await?;
            match next.map(|event| event.seq) {
                Some(later) if later <= until => last = later,
                // One behind it shows that who answers has everything before.
                Some(_) => return Ok((last > 0).then_some(last)),
                None if self.stream_state(stream).await?.last_seq < until => break,
                None => return Ok((last > 0).then_some(last)),
            }
        }
        Err(BusError::Behind)
    }
}
