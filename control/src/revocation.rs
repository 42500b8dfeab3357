//! Revoking what was granted: tokens, users, sessions. Owns nothing; writes
//! `REVOCATIONS` alone.

use std::time::Duration;

use protocol::name::Tenant;
use protocol::revocation::{REVOCATION_MS_MAX, REVOKED_BYTES_MAX, Revocation, Revoked};
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
        check(&revoked, lasts)?;
        let now = clock::now_us();
        let entry = Revocation {
            tenant,
            revoked,
            at: now,
            until: now.saturating_add(lasts.as_micros() as u64),
            written: Some(self.written()),
        };
        let bucket = self.bus.kv(Bucket::Revocations).await?;
        bucket.put(&entry.key(), json(&entry)).await?;
        Ok(entry)
    }
}

fn check(revoked: &Revoked, lasts: Duration) -> Result<(), ControlError> {
    let max = Duration::from_millis(REVOCATION_MS_MAX);
    if lasts.is_zero() || lasts > max {
        let days = max.as_secs() / 86_400;
        let problem = format!("a revocation lasts more than nothing and at most {days} days");
        return Err(ControlError::refused("revocation", problem));
    }
    let (kind, name) = revoked.named();
    if name.is_empty() || name.len() > REVOKED_BYTES_MAX {
        let problem = format!("the name of a {kind} has 1 to {REVOKED_BYTES_MAX} bytes");
        return Err(ControlError::refused("name", problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names_within_and_beyond_their_limits() {
        let token = |bytes: usize| Revoked::Token("j".repeat(bytes));
        let max = Duration::from_millis(REVOCATION_MS_MAX);
        assert!(check(&token(REVOKED_BYTES_MAX), max).is_ok());
        assert!(check(&token(REVOKED_BYTES_MAX + 1), max).is_err());
        assert!(check(&token(0), max).is_err());
        assert!(check(&token(1), max + Duration::from_millis(1)).is_err());
        assert!(check(&token(1), Duration::ZERO).is_err());
    }
}
