//! An event that is stored only if its channel ends where its publisher thinks.
//!
//! Owns nothing. The stream itself compares, in the same step as it stores: what stands
//! here is what its publisher is told when it has not.

use bus::{Bus, BusError};
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::header;

use super::answer::{Outcome, refusal};
use super::duplicate;
use super::job::Job;

/// The answer for an event that the stream has refused because the channel ends elsewhere.
/// If an attempt before this one was stored, it stands right behind the sequence that it
/// expected: the stream looks at that first, and at ids afterwards.
pub async fn answer(bus: &Bus, job: &Job) -> Outcome {
    let expected = job.draft.expected_seq.unwrap_or_default();
    match looked_at(bus, job, expected).await {
        Ok(End::Own(seq)) => duplicate::answer(bus, job, seq).await,
        Ok(End::At(seq)) if seq != expected => Err(ErrorBody::seq_mismatch(expected, seq)),
        // Somebody else's event has been accepted there and cannot be read yet.
        Ok(End::At(_)) => {
            let message = "the store is not sure yet how the channel ends";
            Err(ErrorBody::new(ErrorCode::Unavailable, message))
        }
        Err(error) => Err(refusal(&error)),
    }
}

/// How a channel goes on.
enum End {
    /// With this very event, at this sequence.
    Own(u64),
    /// With others', the last at this sequence; 0: none is kept.
    At(u64),
}

async fn looked_at(bus: &Bus, job: &Job, expected: u64) -> Result<End, BusError> {
    let (stream, subject) = (&job.draft.stream, &job.draft.subject);
    let next = bus
        .first_from(stream, subject, expected.saturating_add(1))
        .await?;
    if let Some(next) = next
        && next.headers.get(header::ID) == Some(job.draft.id.as_str())
    {
        return Ok(End::Own(next.seq));
    }
    let last = bus.last_on(stream, subject).await?;
    Ok(End::At(last.map_or(0, |event| event.seq)))
}
