//! What is answered for an ephemeral event. Pure; owns nothing.

use bytes::Bytes;
use protocol::frame::Payload;
use protocol::name::FunctionName;
use protocol::request::{Answer, Cause, Emission};

use host::reply::{Emit, Handled};

/// When to ask again where an event was not handed to its gate because of how busy it is,
/// milliseconds: a few batches later.
const BUSY_RETRY_MS: u64 = 100;
/// When to ask again where a worker is not ready, milliseconds.
const LOADING_RETRY_MS: u64 = 1_000;

/// What becomes of an event of which a guest says this.
pub fn of(handled: Handled) -> Answer {
    match handled {
        Handled::Ack(done) if done.emits.is_empty() => Answer::Dropped(String::new()),
        Handled::Ack(done) => Answer::Passed(done.emits.into_iter().map(emission).collect()),
        Handled::Drop(reason) => Answer::Dropped(reason),
        Handled::Reject(reason) => Answer::Rejected(reason),
        Handled::Retry { delay_ms, reason } => Answer::Failed {
            reason,
            retry_after_ms: Some(delay_ms.into()),
        },
        // There is no lane to stand still: the event alone ends here.
        Handled::Halt(reason) => failed(reason),
        Handled::Fault(fault) => failed(fault.to_string()),
    }
}

fn emission(emit: Emit) -> Emission {
    Emission {
        channel: emit.channel,
        content_type: emit.content_type,
        headers: emit.headers,
        data: Payload::Bytes(emit.data),
    }
}

/// It failed, and would again.
fn failed(reason: String) -> Answer {
    Answer::Failed {
        reason,
        retry_after_ms: None,
    }
}

/// It was not handed to its gate.
pub fn unavailable(cause: Cause, gate: &FunctionName, detail: &str) -> Answer {
    let (reason, retry_after_ms) = match cause {
        Cause::Absent => (format!("{gate} is not deployed as a gate here"), None),
        Cause::Paused => (format!("{gate} is paused"), None),
        Cause::Broken => (format!("{gate} cannot run: {detail}"), None),
        Cause::Loading => (
            format!("{gate} is not ready on this worker"),
            Some(LOADING_RETRY_MS),
        ),
        Cause::Overloaded => (
            format!("{gate} has as many events waiting as it may"),
            Some(BUSY_RETRY_MS),
        ),
        Cause::Late => (
            format!("{gate} did not come to it in time"),
            Some(BUSY_RETRY_MS),
        ),
        Cause::Remembers => (
            format!("{gate} remembers something of channels: ephemeral events cannot pass it"),
            None,
        ),
        Cause::Malformed => (format!("the request is not one: {detail}"), None),
    };
    Answer::Unavailable {
        cause,
        reason,
        retry_after_ms,
    }
}

/// As it is sent, in at most so many bytes: a larger one is a failure of the gate.
pub fn encode(answer: Answer, bytes_max: usize) -> (Answer, Bytes) {
    let encoded = answer.encode();
    if encoded.len() <= bytes_max {
        return (answer, encoded);
    }
    let answer = failed(format!(
        "what it emits has {} bytes, and one answer has at most {bytes_max}",
        encoded.len()
    ));
    let encoded = answer.encode();
    (answer, encoded)
}

/// What an answer is called in metrics.
pub fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Answer::Passed(_) => "passed",
        Answer::Dropped(_) => "dropped",
        Answer::Rejected(_) => "rejected",
        Answer::Failed { .. } => "failed",
        Answer::Unavailable { cause, .. } => cause.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use host::fault::Fault;
    use protocol::name::Channel;

    use super::*;

    #[test]
    fn what_a_guest_says_becomes_an_answer() {
        let emit = Emit {
            channel: Channel::parse("lab.a").unwrap(),
            content_type: None,
            headers: Vec::new(),
            data: Bytes::from_static(b"1"),
        };
        let passed = of(Handled::Ack(vec![emit.clone(), emit].into()));
        assert!(matches!(&passed, Answer::Passed(emissions) if emissions.len() == 2));
        let nothing = of(Handled::Ack(Vec::new().into()));
        assert_eq!(nothing, Answer::Dropped(String::new()));
        assert_eq!(
            of(Handled::Reject("no".into())),
            Answer::Rejected("no".into())
        );
        let again = of(Handled::Retry {
            delay_ms: 7,
            reason: "busy".into(),
        });
        assert!(matches!(
            again,
            Answer::Failed {
                retry_after_ms: Some(7),
                ..
            }
        ));
        let fault = of(Handled::Fault(Fault::Trap("oh".into())));
        assert!(
            matches!(&fault, Answer::Failed { reason, retry_after_ms: None } if reason.contains("oh"))
        );
        assert_eq!(outcome(&fault), "failed");
    }

    #[test]
    fn an_answer_within_and_beyond_the_size_of_a_message() {
        let answer = Answer::Rejected("x".repeat(500));
        let bytes = answer.encode().len();
        assert_eq!(encode(answer.clone(), bytes).0, answer);
        let (told, encoded) = encode(answer, bytes - 1);
        assert!(matches!(told, Answer::Failed { .. }) && encoded.len() < bytes);
    }

    #[test]
    fn whoever_is_told_to_ask_again_is_told_when() {
        let gate = FunctionName::parse("gate").unwrap();
        let retry = |cause| match unavailable(cause, &gate, "x") {
            Answer::Unavailable {
                retry_after_ms,
                reason,
                ..
            } => {
                assert!(!reason.is_empty());
                retry_after_ms
            }
            answer => panic!("{answer:?}"),
        };
        for cause in [Cause::Loading, Cause::Overloaded, Cause::Late] {
            assert!(retry(cause).is_some_and(|ms| ms > 0));
        }
        for cause in [
            Cause::Absent,
            Cause::Paused,
            Cause::Broken,
            Cause::Remembers,
        ] {
            assert_eq!(retry(cause), None);
        }
    }
}
