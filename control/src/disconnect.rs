//! Sending away who is connected, without barring anybody. Owns nothing; writes
//! `DISCONNECTS` alone.

use protocol::disconnect::{Disconnect, Whom};
use protocol::name::Tenant;
use protocol::revocation::REVOKED_BYTES_MAX;
use protocol::stream::Bucket;
use service::clock;

use crate::deployer::{Deployer, json};
use crate::error::ControlError;

impl Deployer {
    /// Lets every node close the session, or the user's sessions, that stand now; they may
    /// come back. Nobody knows how many there are.
    ///
    /// # Errors
    /// [`ControlError::Refused`]: the name is beyond its limit; those of the bus.
    pub async fn disconnect(&self, tenant: Tenant, whom: Whom) -> Result<Disconnect, ControlError> {
        if let Whom::Session(name) = &whom
            && !(1..=REVOKED_BYTES_MAX).contains(&name.len())
        {
            let problem = format!("the name of a session has 1 to {REVOKED_BYTES_MAX} bytes");
            return Err(ControlError::refused("name", problem));
        }
        let entry = Disconnect {
            tenant,
            whom,
            at: clock::now_us(),
            written: Some(self.written()),
        };
        let bucket = self.bus.kv(Bucket::Disconnects).await?;
        bucket.put(&entry.key(), json(&entry)).await?;
        Ok(entry)
    }
}
