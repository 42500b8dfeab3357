//! A publisher that records what it sends and what it is told, through kills and
//! reconnections.
//!
//! Owns a client session and the tasks that wait for its acks. Who receives the
//! events, and what becomes of them, it does not know.

use bytes::Bytes;
use checker::{Acked, Recorder, Refused, Sent};
use client::{Ack, Client, ClientError, ClientOptions, Draft, Published, Resend};
use protocol::frame::StoredIn;
use protocol::id::Publisher;
use protocol::name::{ClientId, StoreName, Tenant, User};
use protocol::stream::StreamName;
use tokio::task::JoinSet;

use crate::body_hash;

/// Who a writer is to the checker, and where it publishes.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    recorder: Recorder,
    tenant: Tenant,
    store: StoreName,
    /// `tenant/user/client`.
    publisher: String,
}

/// A recording publisher.
#[derive(Debug)]
pub struct Writer {
    client: Client,
    identity: Identity,
    waiting: JoinSet<Result<Published, ClientError>>,
}

impl Identity {
    /// # Panics
    /// If no user is called so.
    pub(crate) fn new(
        recorder: &Recorder,
        tenant: &Tenant,
        store: &StoreName,
        user: &str,
        client: &ClientId,
    ) -> Self {
        let publisher = Publisher {
            user: User::parse(user).expect("a test names valid users"),
            client: client.clone(),
        };
        Self {
            recorder: recorder.clone(),
            tenant: tenant.clone(),
            store: store.clone(),
            publisher: format!("{tenant}/{publisher}"),
        }
    }

    fn channel(&self, channel: &str) -> String {
        format!("{}/{channel}", self.tenant)
    }

    pub(crate) fn sent(&self, n: u64, channel: &str, data: &[u8], first_us: u64) {
        self.recorder.record(Sent {
            publisher: self.publisher.clone(),
            n,
            channel: self.channel(channel),
            body: body_hash(data),
            first_us,
        });
    }

    pub(crate) fn told(&self, n: u64, channel: &str, outcome: &Result<Published, ClientError>) {
        let (publisher, channel) = (self.publisher.clone(), self.channel(channel));
        match outcome {
            Ok(published) => self.recorder.record(Acked {
                publisher,
                n,
                channel,
                stream: match published.stored_in {
                    StoredIn::Events => StreamName::events(&self.store).to_string(),
                    StoredIn::Ingress => StreamName::ingress(&self.store).to_string(),
                },
                seq: published.position.seq,
                duplicate: published.duplicate,
            }),
            Err(ClientError::Refused(body)) => self.recorder.record(Refused {
                publisher,
                n,
                channel,
                code: code_text(body.code),
                temporary: body.temporary,
            }),
            // It may or may not be stored.
            Err(_) => {}
        }
    }
}

/// An error code as it stands on the wire.
pub fn code_text(code: protocol::error_code::ErrorCode) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(text)) => text,
        other => panic!("an error code is a word, not {other:?}"),
    }
}

impl Writer {
    /// Opens a session. The first connection is tried once with each edge node.
    ///
    /// # Errors
    /// That of the last node.
    pub async fn connect(
        options: ClientOptions,
        recorder: &Recorder,
        tenant: &Tenant,
        user: &str,
        store: &StoreName,
    ) -> Result<Self, ClientError> {
        let client = Client::connect(options).await?;
        Ok(Self {
            identity: Identity::new(recorder, tenant, store, user, client.client_id()),
            client,
            waiting: JoinSet::new(),
        })
    }

    /// The session.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `tenant/user/client`, as the checker names this writer.
    pub fn name(&self) -> &str {
        &self.identity.publisher
    }

    /// Publishes JSON and waits for the ack, however often it has to be resent.
    ///
    /// # Errors
    /// A refusal that is not temporary, or the end of the session.
    pub async fn publish(
        &mut self,
        channel: &str,
        data: impl Into<Bytes>,
    ) -> Result<Published, ClientError> {
        let (ack, channel) = self.hand_over(Draft::json(channel, data)).await?;
        self.wait(ack, &channel).await
    }

    /// Publishes without waiting for the ack: for [`Writer::settle`]. Waits for room.
    /// Returns the event's number.
    ///
    /// # Errors
    /// The session has ended.
    pub async fn start(
        &mut self,
        channel: &str,
        data: impl Into<Bytes>,
    ) -> Result<u64, ClientError> {
        self.start_draft(Draft::json(channel, data)).await
    }

    /// [`Writer::start`] of any new event.
    ///
    /// # Errors
    /// The session has ended.
    pub async fn start_draft(&mut self, draft: Draft) -> Result<u64, ClientError> {
        let (ack, channel) = self.hand_over(draft).await?;
        let (n, identity) = (ack.n(), self.identity.clone());
        self.waiting.spawn(async move {
            let outcome = ack.await;
            identity.told(n, &channel, &outcome);
            outcome
        });
        Ok(n)
    }

    async fn hand_over(&mut self, draft: Draft) -> Result<(Ack, String), ClientError> {
        let (channel, data) = (draft.channel.clone(), draft.data.clone());
        let ack = self.client.publish_start(draft).await?;
        self.identity
            .sent(ack.n(), &channel, &data, self.client.server_time_us());
        Ok((ack, channel))
    }

    async fn wait(&self, ack: Ack, channel: &str) -> Result<Published, ClientError> {
        let n = ack.n();
        let outcome = ack.await;
        self.identity.told(n, channel, &outcome);
        outcome
    }

    /// Sends an event again under its own number, with the same data.
    ///
    /// # Errors
    /// As [`Writer::publish`].
    pub async fn resend(
        &mut self,
        resend: Resend,
        channel: &str,
        data: impl Into<Bytes>,
    ) -> Result<Published, ClientError> {
        let draft = Draft {
            resend: Some(resend),
            ..Draft::json(channel, data)
        };
        let ack = self.client.publish_start(draft).await?;
        self.wait(ack, channel).await
    }

    /// Sends another event under a number that was used before, which nobody should.
    ///
    /// # Errors
    /// As [`Writer::publish`].
    pub async fn reuse(
        &mut self,
        resend: Resend,
        channel: &str,
        data: impl Into<Bytes>,
    ) -> Result<Published, ClientError> {
        let data = data.into();
        self.identity
            .sent(resend.n, channel, &data, resend.first_sent);
        self.resend(resend, channel, data).await
    }

    /// How many events wait for their ack.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Waits for the acks of everything that was started; returns them and the
    /// refusals in the order in which they came.
    ///
    /// # Panics
    /// If one does not come.
    pub async fn settle(&mut self) -> Vec<Result<Published, ClientError>> {
        let mut outcomes = Vec::with_capacity(self.waiting.len());
        let all = async {
            while let Some(outcome) = self.waiting.join_next().await {
                outcomes.push(outcome.expect("the task only waits"));
            }
        };
        crate::wait::within("every event has its ack", all).await;
        outcomes
    }

    /// Waits for every ack and asserts that nothing was refused; returns how many.
    ///
    /// # Panics
    /// If one does not come or is a refusal.
    pub async fn settle_all(&mut self) -> usize {
        let outcomes = self.settle().await;
        for outcome in &outcomes {
            if let Err(error) = outcome {
                panic!("{} was refused an event: {error}", self.identity.publisher);
            }
        }
        outcomes.len()
    }
}
