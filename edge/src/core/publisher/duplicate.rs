//! A second event under one id: the same event again, or another one.
//!
//! Owns nothing. What counts is what the publisher wrote: channel, data, content
//! type, headers; not when it was accepted.

use bus::Bus;
use protocol::bus::Stored;
use protocol::envelope::Envelope;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::header::Headers;

use super::answer::{Outcome, refusal};
use super::job::Job;

/// The answer for an event whose id stands at `seq` already.
pub async fn answer(bus: &Bus, job: &Job, seq: u64) -> Outcome {
    match bus.get(&job.draft.stream, seq).await {
        Ok(Some(stored))
            if !is_same(
                job.draft.subject.as_str(),
                &job.draft.headers,
                &job.draft.payload,
                &stored,
            ) =>
        {
            let message = format!(
                "n {} was used for another event, at sequence {seq}",
                job.draft.n
            );
            Err(ErrorBody::new(ErrorCode::IdReused, message))
        }
        // Removed by retention since: it was stored, and its effect stands.
        Ok(_) => Ok(job.published(seq, true)),
        Err(error) => Err(refusal(&error)),
    }
}

fn is_same(subject: &str, headers: &Headers, payload: &[u8], stored: &Stored) -> bool {
    stored.subject == subject
        && stored.payload == payload
        && written(headers) == written(&stored.headers)
}

/// Content type, clock and headers.
type Written = (Option<String>, Option<String>, Vec<(String, String)>);

/// The part of the headers that the publisher wrote.
fn written(headers: &Headers) -> Option<Written> {
    let mut envelope = Envelope::from_headers(headers).ok()?;
    envelope.user.sort();
    Some((envelope.content_type, envelope.clock, envelope.user))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::header;

    use super::*;

    fn headers(time: &str, room: &str) -> Headers {
        let mut headers = Headers::new();
        headers.push(header::ID, "t/u/c/1");
        headers.push(header::TIME, time);
        headers.push_user("room", room).unwrap();
        headers
    }

    #[test]
    fn the_same_event_is_known_whenever_it_was_accepted() {
        let stored = |payload: &'static str, room| Stored {
            seq: 1,
            time_us: 0,
            subject: "ev.main.0.t.doc".into(),
            headers: headers("1", room),
            payload: Bytes::from_static(payload.as_bytes()),
        };
        let same =
            |subject, stored: &Stored| is_same(subject, &headers("2", "blue"), b"data", stored);
        assert!(same("ev.main.0.t.doc", &stored("data", "blue")));
        assert!(!same("ev.main.0.t.other", &stored("data", "blue")));
        assert!(!same("ev.main.0.t.doc", &stored("Data", "blue")));
        assert!(!same("ev.main.0.t.doc", &stored("data", "red")));
    }
}
