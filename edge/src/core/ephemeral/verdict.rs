//! What a gate's answer means for the event that it was asked about, and what is fanned out
//! for it. Pure; owns nothing.

use bus::BusError;
use protocol::bus::Outgoing;
use protocol::class::Class;
use protocol::envelope::{Envelope, is_json};
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::name::FunctionName;
use protocol::request::{Answer, Cause, Emission};
use protocol::subject::{Kind, Subject};

use super::answer::refusal;
use super::draft::{EphemeralDraft, outgoing};
use crate::core::directory::Directory;

/// What becomes of an event.
#[derive(Debug)]
pub enum Verdict {
    /// These are fanned out, in order.
    FanOut(Vec<Outgoing>),
    /// The gate has filtered it, for this reason.
    Dropped(String),
    /// Its publisher is told this.
    Refused(ErrorBody),
}

/// What a gate's answer means.
pub fn of(answer: Answer, draft: &EphemeralDraft, gate: &FunctionName, now: &Directory) -> Verdict {
    let refused = match answer {
        Answer::Passed(emissions) => match fan_out(emissions, draft, gate, now) {
            Ok(messages) => return Verdict::FanOut(messages),
            Err(error) => error,
        },
        Answer::Dropped(reason) => return Verdict::Dropped(reason),
        Answer::Rejected(reason) => ErrorBody::new(ErrorCode::Rejected, reason),
        Answer::Failed {
            reason,
            retry_after_ms: None,
        } => ErrorBody::new(ErrorCode::GateFailed, reason),
        Answer::Failed {
            reason,
            retry_after_ms,
        } => unavailable(reason, retry_after_ms),
        Answer::Unavailable {
            cause: Cause::Remembers,
            reason,
            ..
        } => ErrorBody::new(ErrorCode::ClassRefused, reason),
        Answer::Unavailable {
            reason,
            retry_after_ms,
            ..
        } => unavailable(reason, retry_after_ms),
    };
    Verdict::Refused(refused)
}

/// What is told when there is no answer.
pub fn unanswered(error: &BusError, gate: &FunctionName) -> ErrorBody {
    let message = match error {
        BusError::NoStream => format!("no worker runs {gate}"),
        BusError::Timeout => {
            format!("{gate} did not answer in time: whether it saw the event is not known")
        }
        error => return refusal(error),
    };
    unavailable(message, None)
}

/// The gate did not take it, or not yet.
pub fn unavailable(message: String, retry_after_ms: Option<u64>) -> ErrorBody {
    let mut error = ErrorBody::new(ErrorCode::GateUnavailable, message);
    error.retry_after_ms = retry_after_ms.or(error.retry_after_ms);
    error
}

/// All that the gate emitted, or none of it.
fn fan_out(
    emissions: Vec<Emission>,
    draft: &EphemeralDraft,
    gate: &FunctionName,
    now: &Directory,
) -> Result<Vec<Outgoing>, ErrorBody> {
    let failed = |message: String| ErrorBody::new(ErrorCode::GateFailed, message);
    let mut messages = Vec::with_capacity(emissions.len());
    for (ordinal, emission) in emissions.into_iter().enumerate() {
        let channel = &emission.channel;
        let place = now.place(&draft.tenant, channel);
        let place = place.filter(|place| place.classes.allows(Class::Ephemeral));
        let Some(place) = place else {
            let message = format!("{gate} emits to {channel}, which takes no ephemeral events");
            return Err(failed(message));
        };
        let subject = Subject::event(Kind::Eph, &place.store, place.lane, &draft.tenant, channel);
        let is_json = is_json(emission.content_type.as_deref());
        let Some(payload) = emission.data.into_bytes(is_json) else {
            let message = format!("what {gate} emits to {channel} is not what its type says");
            return Err(failed(message));
        };
        let envelope = Envelope {
            id: format!("{gate}/{}/{ordinal}", draft.envelope.id),
            publisher: draft.envelope.publisher.clone(),
            n: draft.envelope.counter(),
            time: draft.envelope.time,
            clock: draft.envelope.clock.clone(),
            content_type: emission.content_type,
            function: Some(gate.clone()),
            hops: 1,
            user: emission.headers,
            ..Envelope::default()
        };
        messages.push(outgoing(subject, envelope.to_headers(), payload));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::frame::Payload;
    use protocol::header::Headers;
    use protocol::lane::Lane;
    use protocol::name::{Channel, StoreName, Tenant};

    use super::*;

    fn directory() -> Directory {
        let mut directory = Directory::default();
        for (key, value) in [
            ("store.main", r#"{"name":"main","lanes":4,"epoch":"aa"}"#),
            (
                "namespace.room",
                r#"{"name":"room","store":"main","path":{"function":"gate"},"classes":["ephemeral"]}"#,
            ),
            (
                "namespace.log",
                r#"{"name":"log","store":"main","path":"direct"}"#,
            ),
        ] {
            assert!(directory.apply(key, Some(value.as_bytes())));
        }
        directory
    }

    fn gate() -> FunctionName {
        FunctionName::parse("gate").unwrap()
    }

    fn draft() -> EphemeralDraft {
        let tenant = Tenant::parse("acme").unwrap();
        let channel = Channel::parse("room.a").unwrap();
        let store = StoreName::parse("main").unwrap();
        EphemeralDraft {
            n: 7,
            envelope: Envelope {
                id: "acme/ann/c1/7".into(),
                time: Some(5),
                ..Envelope::default()
            },
            headers: Headers::new(),
            payload: Bytes::from_static(b"1"),
            subject: Subject::event(Kind::Req, &store, Lane(0), &tenant, &channel),
            gate: Some(gate()),
            tenant,
        }
    }

    fn judge(answer: Answer) -> Verdict {
        of(answer, &draft(), &gate(), &directory())
    }

    fn emission(channel: &str) -> Emission {
        Emission {
            channel: Channel::parse(channel).unwrap(),
            content_type: None,
            headers: Vec::new(),
            data: Payload::Bytes(Bytes::from_static(b"2")),
        }
    }

    fn told(verdict: Verdict) -> (ErrorCode, Option<u64>) {
        match verdict {
            Verdict::Refused(error) => (error.code, error.retry_after_ms),
            verdict => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn what_passed_is_fanned_out_with_its_origin_or_nothing_is() {
        let Verdict::FanOut(messages) =
            judge(Answer::Passed(vec![emission("room.a"), emission("room.b")]))
        else {
            panic!("it passed");
        };
        let id = |message: &Outgoing| message.headers.get("eddy-id").map(str::to_owned);
        assert_eq!(id(&messages[1]).unwrap(), "gate/acme/ann/c1/7/1");
        assert!(messages[1].subject.as_str().starts_with("eph.main."));
        assert!(messages[1].subject.as_str().ends_with(".acme.room.b"));
        for elsewhere in ["log.a", "gone.a", "_outcome.ann.c1.room"] {
            let both = vec![emission("room.a"), emission(elsewhere)];
            let told = told(judge(Answer::Passed(both)));
            assert_eq!(told.0, ErrorCode::GateFailed, "{elsewhere}");
        }
    }

    #[test]
    fn whatever_else_a_gate_says_has_its_code_and_its_hint() {
        let reason = String::from("why");
        let unavailable = |cause, retry_after_ms| Answer::Unavailable {
            cause,
            reason: "why".into(),
            retry_after_ms,
        };
        let failed = |retry_after_ms| Answer::Failed {
            reason: "why".into(),
            retry_after_ms,
        };
        let later = |ms| (ErrorCode::GateUnavailable, Some(ms));
        for (answer, expected) in [
            (Answer::Rejected(reason), (ErrorCode::Rejected, None)),
            (failed(None), (ErrorCode::GateFailed, None)),
            (failed(Some(70)), later(70)),
            (unavailable(Cause::Overloaded, Some(30)), later(30)),
            (unavailable(Cause::Broken, None), later(100)),
            (
                unavailable(Cause::Remembers, None),
                (ErrorCode::ClassRefused, None),
            ),
        ] {
            assert_eq!(told(judge(answer.clone())), expected, "{answer:?}");
        }
        let verdict = judge(Answer::Dropped("quiet".into()));
        assert!(matches!(verdict, Verdict::Dropped(reason) if reason == "quiet"));
        for (error, code) in [
            (BusError::NoStream, ErrorCode::GateUnavailable),
            (BusError::Timeout, ErrorCode::GateUnavailable),
            (BusError::Disconnected, ErrorCode::Unavailable),
        ] {
            assert_eq!(unanswered(&error, &gate()).code, code);
        }
    }
}
