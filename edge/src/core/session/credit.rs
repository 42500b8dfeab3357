//! What a client may grant, and what it is told of what it may not.
//!
//! Pure: a grant in, a typed refusal out.

use protocol::error_code::ErrorCode;
use protocol::frame::{CREDIT_EVENTS_MAX, ErrorBody, Grant};
use shares::credit::Refused;

fn refuse(message: String) -> ErrorBody {
    ErrorBody::new(ErrorCode::BadCredit, message)
}

/// Checks what a subscription begins with; none is as good as any.
pub fn check(credit: Option<u64>) -> Result<(), ErrorBody> {
    match credit {
        Some(events) if events > CREDIT_EVENTS_MAX => Err(refuse(format!(
            "subscribe.credit is {events} events, more than {CREDIT_EVENTS_MAX}"
        ))),
        _ => Ok(()),
    }
}

/// Checks a grant as far as it can be without knowing what is left.
pub fn check_grant(grant: &Grant) -> Result<(), ErrorBody> {
    match grant.events {
        0 => Err(refuse("credit.events is 0".into())),
        _ => Ok(()),
    }
}

/// A grant that was not taken.
pub fn refused(grant: &Grant, refused: Refused) -> ErrorBody {
    let channel = &grant.channel;
    refuse(match refused {
        Refused::Unlimited => format!("{channel} was subscribed without credit"),
        Refused::Beyond { left } => format!(
            "credit.events and the {left} that {channel} has left are more than {CREDIT_EVENTS_MAX}"
        ),
    })
}
