//! What a request is answered: a status for whoever looks no further, and a body that
//! says the same as a WebSocket's reply.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Outcome};
use serde::Serialize;

use crate::core::metrics;

/// The status that a refusal has.
pub fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadFrame | ErrorCode::NotConnected | ErrorCode::AlreadyConnected => {
            StatusCode::BAD_REQUEST
        }
        ErrorCode::BadTicket
        | ErrorCode::BadToken
        | ErrorCode::TokenExpired
        | ErrorCode::TokenRevoked => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::ClassRefused | ErrorCode::PresenceOff => {
            StatusCode::FORBIDDEN
        }
        ErrorCode::UnknownNamespace | ErrorCode::NotSubscribed => StatusCode::NOT_FOUND,
        ErrorCode::AlreadySubscribed
        | ErrorCode::Cancelled
        | ErrorCode::PositionMismatch
        | ErrorCode::PositionAhead
        | ErrorCode::OutcomeUnknown => StatusCode::CONFLICT,
        // As with `If-Match` (RFC 9110, 13.1.1).
        ErrorCode::SeqMismatch => StatusCode::PRECONDITION_FAILED,
        ErrorCode::DataTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // The key is known for something else: draft-ietf-httpapi-idempotency-key-header.
        ErrorCode::IdReused
        | ErrorCode::BadChannel
        | ErrorCode::BadClient
        | ErrorCode::BadData
        | ErrorCode::BadCredit
        | ErrorCode::BadFilter
        | ErrorCode::Rejected
        | ErrorCode::GateFailed
        | ErrorCode::NotDirect
        | ErrorCode::BadHeader => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::WindowExceeded
        | ErrorCode::RateLimited
        | ErrorCode::TooManyReads
        | ErrorCode::QuotaExceeded
        | ErrorCode::TooManyWatched
        | ErrorCode::TooManyConnections
        | ErrorCode::TicketTooLong
        | ErrorCode::TooManySubscriptions => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::EarlierRefused
        | ErrorCode::Unavailable
        | ErrorCode::StoreFull
        | ErrorCode::GateUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The answer to one event.
pub fn one(outcome: Outcome) -> Response<Body> {
    match outcome {
        Outcome::Error(error) => refusal(error),
        outcome => json(StatusCode::OK, None, &outcome),
    }
}

/// The answers to a list of events, in its order: 200 when all are stored, else 207.
pub fn list(outcomes: &[Outcome]) -> Response<Body> {
    let stored = |outcome: &Outcome| !matches!(outcome, Outcome::Error(_));
    let status = if outcomes.iter().all(stored) {
        StatusCode::OK
    } else {
        StatusCode::MULTI_STATUS
    };
    json(status, None, &outcomes)
}

/// What was asked for.
pub fn ok<T: Serialize>(body: &T) -> Response<Body> {
    json(StatusCode::OK, None, body)
}

/// The whole request is refused, and that is counted.
pub fn refused(error: ErrorBody) -> Response<Body> {
    metrics::refused(error.code);
    refusal(error)
}

/// A refusal that was counted.
pub fn refusal(error: ErrorBody) -> Response<Body> {
    let status = status(error.code);
    json(status, error.retry_after_ms, &Outcome::Error(error))
}

fn json<T: Serialize>(status: StatusCode, retry_after_ms: Option<u64>, body: &T) -> Response<Body> {
    metrics::http_answered(status.as_u16());
    let body = serde_json::to_vec(body).expect("answers have only texts and numbers");
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store");
    if let Some(wait) = retry_after_ms {
        // Whole seconds (RFC 9110, 10.2.3), and never at once.
        response = response.header(header::RETRY_AFTER, wait.div_ceil(1_000).max(1));
    }
    if status == StatusCode::UNAUTHORIZED {
        response = response.header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
    }
    response
        .body(Body::from(body))
        .expect("the headers are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_succeed_later_says_when_and_nothing_else_does() {
        for code in ErrorCode::ALL {
            let response = refused(ErrorBody::new(code, ""));
            let waits = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(waits, code.temporary(), "{code:?}");
            let later = matches!(response.status().as_u16(), 429 | 503);
            assert!(!code.temporary() || later, "{code:?}");
            assert!(response.status().is_client_error() || response.status().as_u16() == 503);
        }
    }
}
