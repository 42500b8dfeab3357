//! `POST /v1/publish`: events of whoever has no session. The same checks, limits and
//! errors as on a WebSocket, from the same code.
//!
//! Owns nothing across requests. A request is a writer for as long as it lasts: its
//! events keep their order on each channel, and one that is refused for now holds back
//! those behind it.

use std::collections::HashMap;
use std::sync::Arc;

use auth::Identity;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use bytes::Bytes;
use protocol::class::Class;
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Outcome, PassedOn, Publish, Published};
use protocol::name::ClientId;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::answer;
use super::body::{self, Body as Events, Named};
use super::query::bearer;
use crate::core::admission::allowance::Allowance;
use crate::core::ephemeral;
use crate::core::hub::Hub;
use crate::core::metrics;
use crate::core::publisher::{Answer, Writer};
use crate::core::session::commands::{self, Refusal, Rules, Who};
use crate::core::session::ephemeral::pass_on;
use crate::node::Node;

/// Requests to publish that are under way on a node: with the longest bodies 32 MiB.
/// Policy: the next one is refused with `unavailable`.
pub const REQUESTS_MAX: usize = 256;
/// The name of the header that names a request's events.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Answers `POST /v1/publish`.
pub async fn publish(State(node): State<Arc<Node>>, request: Request) -> Response<Body> {
    match answered(&node, request).await {
        Ok(response) => response,
        Err(error) => answer::refused(error),
    }
}

/// # Errors
/// The whole request is refused.
async fn answered(node: &Node, request: Request) -> Result<Response<Body>, ErrorBody> {
    let hub = &node.hub;
    if node.shutdown.is_triggered() || !hub.namespaces.is_loaded() {
        return refuse(ErrorCode::Unavailable, "the node does not serve now");
    }
    let Ok(_place) = node.requests.try_acquire() else {
        return refuse(
            ErrorCode::Unavailable,
            "the node has as many requests under way as it may",
        );
    };
    let rules = hub.rules();
    let identity = commands::identity(&rules, bearer(request.headers())?)?;
    let key = request.headers().get(IDEMPOTENCY_KEY);
    let key = key.map(|key| body::writer_of_key(key.as_bytes()));
    let key = key.transpose()?;
    let bytes = whole(hub, request.into_body()).await?;
    let events_max = usize::try_from(hub.limits.publish_window).unwrap_or(usize::MAX);
    let events = body::read(&bytes, key.as_ref(), events_max)?;
    let rules = hub.rules();
    let mut publishing = Publishing {
        hub,
        allowance: Allowance::request(rules.accounts, &identity, rules.limits, rules.now),
        rules,
        identity,
        writers: HashMap::new(),
    };
    Ok(match events {
        Events::One(event) => answer::one(publishing.submit(event).outcome().await),
        Events::List(events) => {
            // All are on their way before the first is waited for.
            let pending: Vec<Pending> = events
                .into_iter()
                .map(|event| publishing.submit(event))
                .collect();
            let mut outcomes = Vec::with_capacity(pending.len());
            for pending in pending {
                outcomes.push(pending.outcome().await);
            }
            answer::list(&outcomes)
        }
    })
}

fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, ErrorBody> {
    Err(ErrorBody::new(code, message))
}

/// The whole body, within a message's bytes and a handshake's time.
async fn whole(hub: &Hub, body: Body) -> Result<Bytes, ErrorBody> {
    let max = hub.limits.message_bytes;
    match timeout(hub.limits.handshake_timeout(), to_bytes(body, max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => refuse(
            ErrorCode::DataTooLarge,
            format!("the body did not come whole, or has more than {max} bytes"),
        ),
        Err(_) => refuse(ErrorCode::BadFrame, "the body did not come in time"),
    }
}

/// An event on its way.
enum Pending {
    Refused(ErrorBody),
    Submitted(oneshot::Receiver<Result<Published, ErrorBody>>),
    Passing(oneshot::Receiver<Result<PassedOn, ErrorBody>>),
}

impl Pending {
    async fn outcome(self) -> Outcome {
        let outcome = match self {
            Self::Refused(error) => Err(error),
            // Every event is answered for, so these are never the end of one.
            Self::Submitted(answer) => answered_or_stopping(answer).await.map(Outcome::Publish),
            Self::Passing(answer) => answered_or_stopping(answer).await.map(Outcome::PassedOn),
        };
        outcome.unwrap_or_else(|error| {
            metrics::refused(error.code);
            Outcome::Error(error)
        })
    }
}

async fn answered_or_stopping<T>(
    answer: oneshot::Receiver<Result<T, ErrorBody>>,
) -> Result<T, ErrorBody> {
    let answer = answer.await;
    answer.unwrap_or_else(|_| refuse(ErrorCode::Unavailable, "the node is stopping"))
}

/// Hands a request's events to the publisher.
struct Publishing<'a> {
    hub: &'a Hub,
    rules: Rules<'a>,
    identity: Identity,
    allowance: Allowance,
    writers: HashMap<ClientId, Arc<Writer>>,
}

impl Publishing<'_> {
    fn submit(&mut self, event: Result<Named, ErrorBody>) -> Pending {
        let (client, publish) = match event {
            Ok(event) => event,
            Err(error) => return Pending::Refused(error),
        };
        let who = Who {
            identity: self.identity.clone(),
            client,
        };
        if publish.class == Class::Ephemeral {
            return self.pass_on(&who, publish);
        }
        let publisher = &self.hub.publisher;
        let drafted = commands::publish(&self.rules, &who, publish);
        let writer = self.writers.entry(who.client);
        let writer = writer.or_insert_with(|| publisher.writer());
        let allowed = drafted.and_then(|draft| {
            let allowed = self.allowance.publish(draft.bytes(), self.rules.now);
            let held = || Some((draft.channel.clone(), draft.n));
            allowed.map_err(|error| Refusal {
                error,
                held: held(),
            })?;
            Ok(draft)
        });
        let draft = match allowed {
            Ok(draft) => draft,
            Err(Refusal { error, held }) => {
                if let Some((channel, n)) = held {
                    writer.refuse(&channel, n);
                }
                return Pending::Refused(error);
            }
        };
        let (answer, pending) = Answer::waiter();
        publisher.submit(writer, draft, answer);
        Pending::Submitted(pending)
    }

    fn pass_on(&self, who: &Who, publish: Publish) -> Pending {
        let drafted = pass_on(&self.rules, who, publish).and_then(|draft| {
            self.allowance.publish(draft.bytes(), self.rules.now)?;
            Ok(draft)
        });
        match drafted {
            Err(error) => Pending::Refused(error),
            Ok(draft) => {
                let (answer, pending) = ephemeral::answer::Answer::waiter();
                self.hub.passing.submit(draft, answer);
                Pending::Passing(pending)
            }
        }
    }
}
