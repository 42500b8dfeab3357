//! JetStream's requests and replies as JSON (`$JS.API.*`), as far as the bus uses
//! them. Owns no state.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::block;
use super::connection::Bus;
use super::wire;
use crate::details;
use crate::error::BusError;
use crate::limits::REQUEST_TIMEOUT;
use protocol::bus::{Stored, StreamState};

#[derive(Debug, Deserialize)]
struct ApiError {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<ApiError> for BusError {
    fn from(error: ApiError) -> Self {
        // Errors without a code of JetStream's own carry only an HTTP-like status.
        let code = if error.err_code == 0 {
            error.code
        } else {
            error.err_code
        };
        Self::from_answer(code, error.code, error.description)
    }
}

#[derive(Debug, Deserialize)]
struct Refusal {
    error: Option<ApiError>,
}

/// The acknowledgement of an event or a batch.
#[derive(Debug, Deserialize)]
pub(super) struct Ack {
    #[serde(default)]
    pub stream: String,
    #[serde(default)]
    pub seq: u64,
    #[serde(default)]
    pub duplicate: bool,
    #[serde(default)]
    pub count: u64,
    error: Option<ApiError>,
}

/// Reads the acknowledgement of a publish or of a batch's commit.
pub(super) fn pub_ack(message: &async_nats::Message) -> Result<Ack, BusError> {
    require_answer(message)?;
    let mut ack: Ack = parse(&message.payload, "publish acknowledgement")?;
    match ack.error.take() {
        Some(error) => Err(error.into()),
        None => Ok(ack),
    }
}

/// Reads the answer to a staged message: empty, or why it was not staged.
pub(super) fn staged(message: &async_nats::Message) -> Result<(), BusError> {
    if message.payload.is_empty() {
        require_answer(message)
    } else {
        pub_ack(message).map(|_| ())
    }
}

pub(super) fn require_answer(message: &async_nats::Message) -> Result<(), BusError> {
    match message.status {
        Some(async_nats::StatusCode::NO_RESPONDERS) => Err(BusError::NoStream),
        _ => Ok(()),
    }
}

fn parse<T: DeserializeOwned>(json: &[u8], what: &'static str) -> Result<T, BusError> {
    serde_json::from_slice(json).map_err(|_| BusError::Malformed { what })
}

/// A stream's configuration and state as its leader tells them.
#[derive(Debug, Deserialize)]
pub(super) struct StreamDetails {
    /// The configuration, as JSON.
    config: Map<String, Value>,
    created: String,
    state: State,
    ts: String,
}

#[derive(Debug, Deserialize)]
struct State {
    bytes: u64,
    messages: u64,
    first_seq: u64,
    first_ts: String,
    last_seq: u64,
}

impl StreamDetails {
    fn nanos(&self, field: &str) -> Duration {
        Duration::from_nanos(self.config.get(field).and_then(Value::as_u64).unwrap_or(0))
    }

    /// When the stream was created, microseconds since 1970.
    fn created_us(&self) -> Result<u64, BusError> {
        wire::micros(&self.created).ok_or(BusError::Malformed {
            what: "creation time",
        })
    }

    fn plain(self) -> Result<details::StreamDetails, BusError> {
        let time_us = wire::micros(&self.ts);
        let time_us = time_us.ok_or(BusError::Malformed {
            what: "server time",
        })?;
        Ok(details::StreamDetails {
            state: self.state()?,
            config: self.config,
            time_us,
        })
    }

    pub(super) fn state(&self) -> Result<StreamState, BusError> {
        let State {
            bytes,
            messages,
            first_seq,
            last_seq,
            ..
        } = self.state;
        let first_time_us = match messages {
            0 => 0,
            _ => wire::micros(&self.state.first_ts)
                .ok_or(BusError::Malformed { what: "first time" })?,
        };
        Ok(StreamState {
            // A stream that never had an event says 0.
            first_seq: if messages == 0 {
                last_seq + 1
            } else {
                first_seq
            },
            last_seq,
            first_time_us,
            created_us: self.created_us()?,
            bytes,
            max_bytes: self.config.get("max_bytes").and_then(Value::as_u64),
            max_age: self.nanos("max_age"),
            duplicate_window: self.nanos("duplicate_window"),
        })
    }
}

#[derive(Debug, Deserialize)]
struct Got {
    message: GotMessage,
}

#[derive(Debug, Deserialize)]
struct GotMessage {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: String,
}

/// A message that was read by itself.
pub(super) struct Single {
    /// What can be read of it.
    pub event: Stored,
    /// Whether it can be read on every other way too.
    pub readable: bool,
}

impl GotMessage {
    fn into_single(self) -> Option<Single> {
        let block = block::read(&STANDARD.decode(self.hdrs).ok()?);
        let event = Stored {
            seq: self.seq,
            time_us: wire::micros(&self.time)?,
            subject: self.subject,
            headers: block.headers,
            payload: STANDARD.decode(self.data).ok()?.into(),
        };
        // What JSON could not carry of a subject stands as this character.
        let readable = block.readable && !event.subject.contains(char::REPLACEMENT_CHARACTER);
        Some(Single { event, readable })
    }
}

/// What to read with `STREAM.MSG.GET`, or with a Direct Get.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Get<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_by_subj: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_by_subj: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pub multi_last: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to_seq: Option<u64>,
}

impl Bus {
    /// One request of the JetStream API.
    pub(super) async fn api<Q: Serialize, R: DeserializeOwned>(
        &self,
        call: &str,
        query: &Q,
    ) -> Result<R, BusError> {
        self.require_connected()?;
        let body: Bytes = serde_json::to_vec(query)
            .map_err(|_| BusError::Malformed { what: "request" })?
            .into();
        let (to, reply) = self.inner.inbox.one();
        let exchange = async {
            let sent = self
                .inner
                .client
                .publish_with_reply(format!("$JS.API.{call}"), to, body)
                .await;
            sent.map_err(|error| self.publish_error(&error))?;
            reply.await
        };
        let mut connects = self.connects();
        // Either may be dropped: no answer comes over a connection that was made anew.
        let message = tokio::select! {
            biased;
            message = timeout(REQUEST_TIMEOUT, exchange) => message.map_err(|_| BusError::Timeout)??,
            _ = connects.changed() => return Err(BusError::Timeout),
        };
        require_answer(&message)?;
        match parse::<Refusal>(&message.payload, "api reply")?.error {
            Some(error) => Err(error.into()),
            None => parse(&message.payload, "api reply"),
        }
    }

    /// One message from the stream's leader; `None` if nothing matches.
    pub(super) async fn leader_get(
        &self,
        stream: &str,
        query: &Get<'_>,
    ) -> Result<Option<Stored>, BusError> {
        let single = self.leader_single(stream, query).await?;
        Ok(single.map(|single| single.event))
    }

    /// One message from the stream's leader, and whether others ways can read it. The
    /// only way on which any message can be read: its headers come as text.
    pub(super) async fn leader_single(
        &self,
        stream: &str,
        query: &Get<'_>,
    ) -> Result<Option<Single>, BusError> {
        match self
            .api::<_, Got>(&format!("STREAM.MSG.GET.{stream}"), query)
            .await
        {
            Ok(got) => {
                let single = got.message.into_single().ok_or(BusError::Malformed {
                    what: "stored message",
                })?;
                if !single.readable {
                    let (unreadable, event) = (&self.inner.unreadable, &single.event);
                    unreadable.found(stream, &event.subject, event.seq);
                }
                Ok(Some(single))
            }
            Err(BusError::Api { code: 404, .. }) => Ok(None),
            // The stream itself is missing only if it has no state either.
            Err(BusError::NotFound) => self.details(stream).await.map(|_| None),
            Err(error) => Err(error),
        }
    }

    /// A stream's configuration and state, from its leader.
    pub(super) async fn details(&self, stream: &str) -> Result<StreamDetails, BusError> {
        self.api(&format!("STREAM.INFO.{stream}"), &serde_json::json!({}))
            .await
    }

    /// A stream's configuration and state, as plain data.
    pub(crate) async fn describe(&self, stream: &str) -> Result<details::StreamDetails, BusError> {
        self.details(stream).await?.plain()
    }

    /// Makes a stream. One that is there with the same settings counts as made.
    pub(crate) async fn create_stream(
        &self,
        name: &str,
        config: &Map<String, Value>,
    ) -> Result<details::StreamDetails, BusError> {
        self.put_stream("CREATE", name, config).await
    }

    /// Gives a stream other settings; what is left out falls back to the server's own.
    pub(crate) async fn update_stream(
        &self,
        name: &str,
        config: &Map<String, Value>,
    ) -> Result<details::StreamDetails, BusError> {
        self.put_stream("UPDATE", name, config).await
    }

    async fn put_stream(
        &self,
        call: &str,
        name: &str,
        config: &Map<String, Value>,
    ) -> Result<details::StreamDetails, BusError> {
        let mut query = config.clone();
        query.insert("name".into(), name.into());
        self.api::<_, StreamDetails>(&format!("STREAM.{call}.{name}"), &query)
            .await?
            .plain()
    }

    /// Removes a stream with all that it holds.
    pub(crate) async fn delete_stream(&self, name: &str) -> Result<(), BusError> {
        let call = format!("STREAM.DELETE.{name}");
        self.api::<_, Value>(&call, &serde_json::json!({}))
            .await
            .map(drop)
    }
}
