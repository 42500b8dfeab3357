//! What buckets need of NATS beside the ways of events: the last message on a raw
//! subject, and a write with its condition. Owns no state; does not know what a key is.

use bytes::Bytes;
use tokio::time::timeout;

use super::api::{self, Get};
use super::connection::Bus;
use crate::error::BusError;
use crate::limits::PUBLISH_TIMEOUT;
use protocol::bus::Stored;

impl Bus {
    /// The last message on a raw subject, from the stream's leader.
    pub(crate) async fn leader_last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<Stored>, BusError> {
        let query = Get {
            last_by_subj: Some(subject),
            ..Get::default()
        };
        self.leader_get(stream, &query).await
    }

    /// Stores a message on a raw subject, if the last sequence there is `expected`.
    pub(crate) async fn write(
        &self,
        subject: String,
        own: &[(&'static str, &'static str)],
        value: Bytes,
        expected: Option<u64>,
    ) -> Result<u64, BusError> {
        let mut headers = async_nats::HeaderMap::new();
        if let Some(revision) = expected {
            headers.insert(
                async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                revision.to_string(),
            );
        }
        for (name, value) in own {
            headers.insert(*name, *value);
        }
        let link = self.inner.writer.link()?;
        let (to, reply) = link.inbox.one();
        let client = &link.client;
        let sent = client.publish_with_reply_and_headers(subject, to, headers, value);
        let sent = timeout(PUBLISH_TIMEOUT, sent)
            .await
            .map_err(|_| BusError::Disconnected)?;
        sent.map_err(|error| self.publish_error(&error))?;
        drop(link);
        let reply = timeout(PUBLISH_TIMEOUT, reply)
            .await
            .map_err(|_| BusError::Timeout)??;
        Ok(api::pub_ack(&reply)?.seq)
    }
}
