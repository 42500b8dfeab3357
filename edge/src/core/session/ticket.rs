//! What a ticket must satisfy, and what it says of those who come back by it.
//!
//! Pure: rules and a command in, who it is or a typed refusal out.

use std::time::{Duration, UNIX_EPOCH};

use auth::{AuthError, NoTicket};
use protocol::error_code::ErrorCode;
use protocol::frame::{Connect, ErrorBody, Resume, Start, Subscribe};

use super::commands::{Rules, Who, client, not_revoked};

fn refuse<T>(message: &str) -> Result<T, ErrorBody> {
    Err(ErrorBody::new(ErrorCode::BadTicket, message))
}

/// Checks `connect` by a ticket.
pub fn open(
    rules: &Rules<'_>,
    command: &Connect,
    resume: &Resume,
) -> Result<(Who, Vec<Subscribe>), ErrorBody> {
    if !command.token.is_empty() {
        return refuse("token and resume are not given together");
    }
    let now = UNIX_EPOCH + Duration::from_micros(rules.now_us);
    let opened = rules.auth.open(&resume.ticket, now).map_err(|error| {
        let code = match error {
            AuthError::Expired => ErrorCode::TokenExpired,
            _ => ErrorCode::BadTicket,
        };
        ErrorBody::new(code, error.to_string())
    })?;
    if client(&command.client)? != opened.client {
        return refuse("the ticket is another writer's");
    }
    let (mut subscriptions, after) = (opened.subscriptions, &resume.after);
    if !after.is_empty() && after.len() != subscriptions.len() {
        return refuse("resume.after has another number of sequences than the ticket channels");
    }
    for (subscribe, after) in subscriptions.iter_mut().zip(after) {
        if let (Some(Start::After(position)), Some(after)) = (&mut subscribe.from, after) {
            (position.seq, position.time) = (*after, None);
        }
    }
    let identity = not_revoked(rules, opened.identity)?;
    let client = opened.client;
    Ok((Who { identity, client }, subscriptions))
}

/// Why there is no ticket.
pub fn refused(fault: NoTicket) -> ErrorBody {
    let code = match fault {
        NoTicket::Off => ErrorCode::BadTicket,
        NoTicket::TooLong { .. } => ErrorCode::TicketTooLong,
    };
    ErrorBody::new(code, fault.to_string())
}
