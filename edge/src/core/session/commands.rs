//! What a command must satisfy before anything is done about it.
//!
//! Pure: rules and a command in, a request or a typed refusal out. The one place
//! where a client's text becomes a subject.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use auth::{Action, AuthError, Identity, Verifier};
use bytes::Bytes;
use protocol::class::Class;
use protocol::envelope::{Envelope, is_json, stored_content_type};
use protocol::error_code::ErrorCode;
use protocol::filter::HeaderFilter;
use protocol::frame::{
    Connect, ErrorBody, JSON_DEPTH_MAX, Publish, StoredIn, Subscribe, json_depth,
};
use protocol::header::{self, Headers, USER_HEADER_VALUE_BYTES_MAX, is_user_value};
use protocol::id::{EventId, Publisher};
use protocol::name::{Channel, ClientId};
use protocol::revocation::Revocations;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use tokio::time::Instant;

use crate::core::admission::Accounts;
use crate::core::directory::{Directory, Place};
use crate::core::draft::Draft;
use crate::core::gates::state::Late;
use crate::core::limits::EdgeLimits;
use crate::core::quota::task::Quotas;

/// What holds on this node at the moment of a command.
pub struct Rules<'a> {
    /// Checks tokens.
    pub auth: &'a Verifier,
    /// Stores and namespaces.
    pub directory: Arc<Directory>,
    /// Lanes of gates that are late.
    pub late: Arc<Late>,
    /// What is revoked; `None` until that is known.
    pub revocations: Option<Arc<Revocations>>,
    /// Limits.
    pub limits: &'a EdgeLimits,
    /// What connections share of the node.
    pub accounts: &'a Accounts,
    /// What tenants have stored.
    pub quotas: &'a Quotas,
    /// The node's name.
    pub node: &'a str,
    /// Now.
    pub now: Instant,
    /// Now, microseconds since 1970.
    pub now_us: u64,
}

/// Who a session is.
#[derive(Debug, Clone, PartialEq)]
pub struct Who {
    /// From the token.
    pub identity: Identity,
    /// The writer.
    pub client: ClientId,
}

impl Who {
    /// The writer, as its events name it.
    pub fn publisher(&self) -> Publisher {
        Publisher {
            user: self.identity.user.clone(),
            client: self.client.clone(),
        }
    }

    /// Until when the token is served, microseconds since 1970.
    pub fn ends_us(&self) -> u64 {
        let since = self.identity.ends_at.duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_micros() as u64)
    }

    /// The same moment by the clock of timers; `None`: later than it counts.
    pub fn ends_at(&self, rules: &Rules<'_>) -> Option<Instant> {
        let left = self.ends_us().saturating_sub(rules.now_us);
        rules.now.checked_add(Duration::from_micros(left))
    }
}

pub(super) fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, ErrorBody> {
    Err(ErrorBody::new(code, message))
}

/// Checks `connect` by a token.
pub fn connect(rules: &Rules<'_>, command: &Connect) -> Result<Who, ErrorBody> {
    let identity = identity(rules, &command.token)?;
    let client = client(&command.client)?;
    Ok(Who { identity, client })
}

/// Checks a token.
pub fn identity(rules: &Rules<'_>, token: &str) -> Result<Identity, ErrorBody> {
    let now = UNIX_EPOCH + Duration::from_micros(rules.now_us);
    let identity = rules.auth.verify_at(token, now).map_err(|error| {
        let code = match error {
            AuthError::Expired => ErrorCode::TokenExpired,
            AuthError::KeysUnavailable => ErrorCode::Unavailable,
            _ => ErrorCode::BadToken,
        };
        ErrorBody::new(code, error.to_string())
    })?;
    not_revoked(rules, identity)
}

/// Lets in whom nothing bars.
pub(super) fn not_revoked(rules: &Rules<'_>, identity: Identity) -> Result<Identity, ErrorBody> {
    match &rules.revocations {
        None => refuse(
            ErrorCode::Unavailable,
            "the node does not know yet what is revoked",
        ),
        Some(all) if all.bars(&identity.bearer(), rules.now_us) => refuse(
            ErrorCode::TokenRevoked,
            "the token, or every token of its user, is revoked",
        ),
        Some(_) => Ok(identity),
    }
}

/// Checks the name of a writer.
pub fn client(text: &str) -> Result<ClientId, ErrorBody> {
    ClientId::for_client(text)
        .map_err(|error| ErrorBody::new(ErrorCode::BadClient, error.to_string()))
}

pub(super) fn unknown_namespace<T>(channel: &Channel) -> Result<T, ErrorBody> {
    let namespace = channel.outcomes_of().unwrap_or_else(|| channel.namespace());
    refuse(
        ErrorCode::UnknownNamespace,
        format!("namespace {namespace:?} is not configured"),
    )
}

/// Whether a token allows to receive a channel.
pub fn may_subscribe(identity: &Identity, channel: &Channel) -> bool {
    if let Some(of) = channel.lifecycle_of() {
        return identity.scopes.allows(Action::Lifecycle, &of);
    }
    match channel.is_reserved() {
        true => channel.is_outcome_of(&identity.user),
        false => identity.scopes.allows(Action::Subscribe, channel),
    }
}

/// Checks `subscribe`: the channel, and where it lives.
pub fn subscribe(
    rules: &Rules<'_>,
    who: &Who,
    command: &Subscribe,
) -> Result<(Channel, Place), ErrorBody> {
    readable(rules, &who.identity, &command.channel, "subscribe to")
}

/// Checks which events somebody wants; `None`: all of them.
pub fn filter(headers: HeaderFilter) -> Result<Option<HeaderFilter>, ErrorBody> {
    match headers.check_brief() {
        Ok(()) => Ok((!headers.is_empty()).then_some(headers)),
        Err(fault) => refuse(ErrorCode::BadFilter, format!("headers: {fault}")),
    }
}

/// A channel whose events somebody may have, and where it lives.
pub(super) fn readable(
    rules: &Rules<'_>,
    identity: &Identity,
    text: &str,
    verb: &str,
) -> Result<(Channel, Place), ErrorBody> {
    let channel = match Channel::parse(text) {
        Ok(channel) => channel,
        Err(error) => return refuse(ErrorCode::BadChannel, error.to_string()),
    };
    if !may_subscribe(identity, &channel) {
        return refuse(
            ErrorCode::Forbidden,
            format!("no scope allows to {verb} {channel}"),
        );
    }
    match rules.directory.place(&identity.tenant, &channel) {
        Some(place) => Ok((channel, place)),
        None => unknown_namespace(&channel),
    }
}

/// How far `first_sent` may lie ahead of our clock: clients reckon our time, and nodes
/// differ, but by no more than this.
const FIRST_SENT_AHEAD_MAX: Duration = Duration::from_secs(60);

/// An attempt that lies ahead of us cannot have been made: believed, its event would
/// count as new and could be stored a second time.
fn check_first_sent(rules: &Rules<'_>, first_sent: Option<u64>) -> Result<(), ErrorBody> {
    let ahead_max = FIRST_SENT_AHEAD_MAX.as_micros() as u64;
    match first_sent {
        Some(sent) if sent > rules.now_us.saturating_add(ahead_max) => refuse(
            ErrorCode::OutcomeUnknown,
            format!(
                "first_sent {sent} lies ahead of the server's time {}, microseconds since 1970",
                rules.now_us
            ),
        ),
        _ => Ok(()),
    }
}

/// An event that passes a gate gets its sequence there, of which nobody knows now what
/// stands before it.
fn check_expected(
    channel: &Channel,
    place: &Place,
    expected_seq: Option<u64>,
) -> Result<(), ErrorBody> {
    match (expected_seq, &place.gate) {
        (Some(_), Some(gate)) => refuse(
            ErrorCode::NotDirect,
            format!(
                "namespace {} has the gate {gate}: expected_seq cannot be kept",
                channel.namespace()
            ),
        ),
        _ => Ok(()),
    }
}

/// A refusal of `publish`.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// What its client is told.
    pub error: ErrorBody,
    /// Set if nothing is wrong with the event and it may be sent again: the writer's
    /// later events on the channel have to wait for it.
    pub held: Option<(Channel, u64)>,
}

impl From<ErrorBody> for Refusal {
    fn from(error: ErrorBody) -> Self {
        Self { error, held: None }
    }
}

/// Whether the channel's gate can take an event. Checked last: an event that is wrong
/// should be told so, and not to wait.
fn check_gate(rules: &Rules<'_>, channel: &Channel, place: &Place) -> Result<(), ErrorBody> {
    let Some(gate) = &place.gate else {
        return Ok(());
    };
    let (namespace, store) = (channel.namespace(), &place.store);
    if !rules.directory.has_gate(gate, store) {
        return refuse(
            ErrorCode::Unavailable,
            format!(
                "function {gate}, the gate of namespace {namespace}, is not deployed in store {store}"
            ),
        );
    }
    // Few are late, if any: nothing is made for the look-up unless some are.
    if !rules.late.is_empty() && rules.late.contains(&(gate.clone(), place.lane)) {
        return refuse(
            ErrorCode::Unavailable,
            format!(
                "function {gate}, the gate of namespace {namespace}, is behind by more than half of what store {store} keeps"
            ),
        );
    }
    Ok(())
}

/// Checks `publish` up to the limits of the session.
pub fn publish(rules: &Rules<'_>, who: &Who, publish: Publish) -> Result<Draft, Refusal> {
    let (channel, place) = publish_place(rules, who, &publish.channel)?;
    allows(&channel, &place, Class::Durable)?;
    let content_type = content_type(publish.content_type.as_deref())?;
    let payload = data(rules, publish.data, is_json(content_type.as_deref()))?;
    check_headers(&publish.headers)?;
    let clock = clock(publish.clock)?;
    check_first_sent(rules, publish.first_sent)?;
    check_expected(&channel, &place, publish.expected_seq)?;
    if let Err(error) = check_gate(rules, &channel, &place) {
        let held = Some((channel, publish.n));
        return Err(Refusal { error, held });
    }
    let tenant = &who.identity.tenant;
    let (n, headers) = (publish.n, publish.headers);
    let envelope = Envelope {
        clock,
        // Without a gate the ack is the receipt.
        receipt: publish.receipt && place.gate.is_some(),
        ..envelope(rules, who, &place, n, content_type, headers)
    };
    let (kind, stream, stored_in) = if place.gate.is_some() {
        (
            Kind::In,
            StreamName::ingress(&place.store),
            StoredIn::Ingress,
        )
    } else {
        (Kind::Ev, StreamName::events(&place.store), StoredIn::Events)
    };
    let mut headers = envelope.to_headers();
    if is_node_name(rules.node) {
        headers.push(header::EDGE, rules.node);
    }
    let draft = Draft {
        tenant: tenant.clone(),
        n,
        headers,
        id: envelope.id,
        subject: Subject::event(kind, &place.store, place.lane, tenant, &channel),
        payload,
        stream,
        lane: place.lane,
        stored_in,
        epoch: place.epoch,
        first_sent: publish.first_sent,
        expected_seq: publish.expected_seq,
        channel,
    };
    if let Err(error) = rules.quotas.admit(&draft, place.quota_bytes) {
        let held = Some((draft.channel, draft.n));
        return Err(Refusal { error, held });
    }
    Ok(draft)
}

/// Longest name of a node that its events carry, bytes: each of them pays for it.
const NODE_NAME_BYTES_MAX: usize = 64;

/// Whether events say which node took them: a name that no header can carry stays away.
fn is_node_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NODE_NAME_BYTES_MAX && is_user_value(name)
}

/// What is said of an event of this writer.
pub(super) fn envelope(
    rules: &Rules<'_>,
    who: &Who,
    place: &Place,
    n: u64,
    content_type: Option<String>,
    headers: BTreeMap<String, String>,
) -> Envelope {
    let id = EventId {
        tenant: who.identity.tenant.clone(),
        publisher: who.publisher(),
        n,
    };
    Envelope {
        id: id.to_string(),
        publisher: Some(id.publisher),
        time: Some(rules.now_us),
        content_type,
        gate: place.gate.clone(),
        user: headers.into_iter().collect(),
        ..Envelope::default()
    }
}

/// Whether a channel takes events of a class.
pub(super) fn allows(channel: &Channel, place: &Place, class: Class) -> Result<(), ErrorBody> {
    if place.classes.allows(class) {
        return Ok(());
    }
    let namespace = channel.namespace();
    let message = format!(
        "namespace {namespace} takes no {class} events, but {} ones",
        place.classes
    );
    refuse(ErrorCode::ClassRefused, message)
}

pub(super) fn publish_place(
    rules: &Rules<'_>,
    who: &Who,
    text: &str,
) -> Result<(Channel, Place), ErrorBody> {
    let channel = match Channel::for_client(text) {
        Ok(channel) => channel,
        Err(error) => return refuse(ErrorCode::BadChannel, error.to_string()),
    };
    if !who.identity.scopes.allows(Action::Publish, &channel) {
        let message = format!("no scope allows to publish on {channel}");
        return refuse(ErrorCode::Forbidden, message);
    }
    match rules.directory.place(&who.identity.tenant, &channel) {
        Some(place) => Ok((channel, place)),
        None => unknown_namespace(&channel),
    }
}

pub(super) fn content_type(text: Option<&str>) -> Result<Option<String>, ErrorBody> {
    stored_content_type(text)
        .map(|stored| stored.map(|text| text.into_owned()))
        .map_err(|text| {
            let message = format!(
                "content_type {text:?} is empty, too long, not ASCII or has blanks around it"
            );
            ErrorBody::new(ErrorCode::BadHeader, message)
        })
}

/// Checks a publisher's clock, which is carried as a header.
pub(super) fn clock(text: Option<String>) -> Result<Option<String>, ErrorBody> {
    match text {
        Some(text) if text.is_empty() || !is_user_value(&text) => refuse(
            ErrorCode::BadHeader,
            format!(
                "clock is empty, over {USER_HEADER_VALUE_BYTES_MAX} bytes, or has a control character or white space around it"
            ),
        ),
        text => Ok(text),
    }
}

pub(super) fn data(
    rules: &Rules<'_>,
    data: protocol::frame::Payload,
    is_json: bool,
) -> Result<Bytes, ErrorBody> {
    let Some(payload) = data.into_bytes(is_json) else {
        let wanted = if is_json {
            "JSON"
        } else {
            "base64 text, as its content type is not application/json"
        };
        return refuse(ErrorCode::BadData, format!("data is not {wanted}"));
    };
    let max = rules.limits.data_bytes;
    if payload.len() > max {
        return refuse(
            ErrorCode::DataTooLarge,
            format!("data has {} bytes, more than {max}", payload.len()),
        );
    }
    let depth = if is_json { json_depth(&payload) } else { 0 };
    if depth > JSON_DEPTH_MAX {
        return refuse(
            ErrorCode::BadData,
            format!("data is nested {depth} levels deep, more than {JSON_DEPTH_MAX}"),
        );
    }
    // The message's buffer holds other frames too; only this event's part is kept.
    Ok(Bytes::copy_from_slice(&payload))
}

pub(super) fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), ErrorBody> {
    let mut checked = Headers::new();
    for (name, value) in headers {
        if let Err(error) = checked.push_user(name, value) {
            return refuse(ErrorCode::BadHeader, error.to_string());
        }
    }
    Ok(())
}
