//! Revoking what was granted: tokens, users, sessions. Owns nothing; writes
//! `REVOCATIONS` alone.

use std::time::Duration;

use protocol::name::Tenant;
use protocol::revocation::{Revocation, RevocationFault, Revoked};
use protocol::stream::Bucket;
use service::clock;

use crate::deployer::{Deployer, json};
use crate::error::ControlError;

impl Deployer {
    /// Revokes something of a tenant for so long: every node acts on it within a second,
    /// on who is connected and on who comes later. Revoked again, it counts from now on.
    ///
    /// # Errors
    /// [`ControlError::Refused`]: the time or the name is beyond its limit; those of the
    /// bus.
    pub async fn revoke(
        &self,
        tenant: Tenant,
        revoked: Revoked,
        lasts: Duration,
    ) -> Result<Revocation, ControlError> {
        let written = Some(self.written());
        let entry = Revocation::new(tenant, revoked, lasts, clock::now_us(), written);
        let entry = entry.map_err(|fault| match fault {
            RevocationFault::Lasts => ControlError::refused("revocation", fault.to_string()),
            RevocationFault::Name { .. } => ControlError::refused("name", fault.to_string()),
        })?;
        let bucket = self.bus.kv(Bucket::Revocations).await?;
        bucket.put(&entry.key(), json(&entry)).await?;
        Ok(entry)
    }
}
