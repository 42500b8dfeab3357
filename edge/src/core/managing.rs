//! What backends may do to the sessions and tokens of their tenant: disconnect, revoke.
//!
//! Owns nothing: what is written is acted on by every node that follows the bucket, this
//! one included.

use bus::{Bus, BusError};
use bytes::Bytes;
use protocol::disconnect::Disconnect;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::revocation::Revocation;
use protocol::stream::Bucket;
use serde::Serialize;

/// Writes what every node acts on.
pub struct Managing {
    bus: Bus,
}

impl Managing {
    /// Over a bus.
    pub fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// Lets every node close whom this means; they may come back. Cancel safe: it may have
    /// been written.
    ///
    /// # Errors
    /// The bucket did not take it, or may have.
    pub async fn disconnect(&self, entry: &Disconnect) -> Result<(), ErrorBody> {
        self.write(Bucket::Disconnects, &entry.key(), entry).await
    }

    /// Lets every node close, and keep out, whom this means. Cancel safe: it may have been
    /// written.
    ///
    /// # Errors
    /// The bucket did not take it, or may have.
    pub async fn revoke(&self, entry: &Revocation) -> Result<(), ErrorBody> {
        self.write(Bucket::Revocations, &entry.key(), entry).await
    }

    async fn write<T: Serialize>(
        &self,
        bucket: Bucket,
        key: &str,
        entry: &T,
    ) -> Result<(), ErrorBody> {
        let json = serde_json::to_vec(entry).expect("an entry has only names and numbers");
        let written = async {
            let kv = self.bus.kv(bucket).await?;
            kv.put(key, Bytes::from(json)).await
        };
        match written.await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(key, %error, bucket = bucket.as_str(), "an entry is not written");
                Err(refusal(&error))
            }
        }
    }
}

fn refusal(error: &BusError) -> ErrorBody {
    match error {
        BusError::StreamFull => {
            let message = "there is no room for more of these: some end with time";
            ErrorBody::new(ErrorCode::StoreFull, message)
        }
        error => {
            let message = format!("{error}; the same request again does no harm");
            ErrorBody::new(ErrorCode::Unavailable, message)
        }
    }
}
