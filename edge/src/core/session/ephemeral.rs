//! What a publish of an ephemeral event must satisfy.
//!
//! Pure: rules and a command in, a draft or a typed refusal out.

use protocol::class::Class;
use protocol::envelope::{Envelope, is_json};
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Publish};
use protocol::subject::{Kind, Subject};

use super::commands::{
    Rules, Who, allows, check_headers, clock, content_type, data, envelope, publish_place,
};
use crate::core::ephemeral::draft::EphemeralDraft;
use crate::core::ephemeral::verdict;

/// Checks `publish` of an ephemeral event.
///
/// # Errors
/// What its client is told. Whatever it is, later events need not wait for this one.
pub fn pass_on(
    rules: &Rules<'_>,
    who: &Who,
    publish: Publish,
) -> Result<EphemeralDraft, ErrorBody> {
    let (channel, place) = publish_place(rules, who, &publish.channel)?;
    allows(&channel, &place, Class::Ephemeral)?;
    if publish.first_sent.is_some() {
        let message = "first_sent belongs to durable events: an ephemeral one is never resent";
        return Err(ErrorBody::new(ErrorCode::BadFrame, message));
    }
    if publish.expected_seq.is_some() {
        let message = "expected_seq belongs to durable events: an ephemeral one has no sequence";
        return Err(ErrorBody::new(ErrorCode::BadFrame, message));
    }
    if publish.receipt {
        let message =
            "receipt belongs to durable events: an ephemeral one is answered once it has passed";
        return Err(ErrorBody::new(ErrorCode::BadFrame, message));
    }
    let content_type = content_type(publish.content_type.as_deref())?;
    let payload = data(rules, publish.data, is_json(content_type.as_deref()))?;
    check_headers(&publish.headers)?;
    let clock = clock(publish.clock)?;
    if let Some(gate) = &place.gate
        && !rules.directory.has_gate(gate, &place.store)
    {
        let message = format!("{gate} is not deployed in store {}", place.store);
        return Err(verdict::unavailable(message, None));
    }
    let tenant = who.identity.tenant.clone();
    let kind = if place.gate.is_some() {
        Kind::Req
    } else {
        Kind::Eph
    };
    let (n, headers) = (publish.n, publish.headers);
    let envelope = Envelope {
        clock,
        ..envelope(rules, who, &place, n, content_type, headers)
    };
    Ok(EphemeralDraft {
        n,
        headers: envelope.to_headers(),
        envelope,
        payload,
        subject: Subject::event(kind, &place.store, place.lane, &tenant, &channel),
        gate: place.gate,
        tenant,
    })
}
