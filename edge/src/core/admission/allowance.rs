//! What one connection may still do: its own rates, and those that it shares.
//!
//! Nothing is taken of one rate unless all of them have room, so a tenant at its limit
//! costs its connections nothing of their own.

use std::time::Duration;

use auth::Identity;
use protocol::error_code::{ErrorCode, RETRY_SOON_MS};
use protocol::frame::ErrorBody;
use tokio::time::Instant;

use super::account::{Account, Accounts, Seat, Shared};
use crate::core::limits::EdgeLimits;
use shares::rate::Rate;

/// One connection's.
#[derive(Debug)]
pub struct Allowance {
    own: Account,
    subscribes: Rate,
    shared: Shared,
    _seat: Option<Seat>,
}

impl Allowance {
    /// A session's, which takes a place among those of its user.
    ///
    /// # Errors
    /// The user has as many sessions on this node as it may.
    pub fn session(
        accounts: &Accounts,
        identity: &Identity,
        limits: &EdgeLimits,
        now: Instant,
    ) -> Result<Self, ErrorBody> {
        let mut allowance = Self::request(accounts, identity, limits, now);
        let max = limits.connections_per_user;
        let seat = Seat::take(&allowance.shared.user, max).ok_or_else(|| {
            let message = format!("the user has {max} sessions on this node, as many as it may");
            ErrorBody::new(ErrorCode::TooManyConnections, message)
        })?;
        allowance._seat = Some(seat);
        Ok(allowance)
    }

    /// That of a request which has no session.
    pub fn request(
        accounts: &Accounts,
        identity: &Identity,
        limits: &EdgeLimits,
        now: Instant,
    ) -> Self {
        Self {
            own: Account::new(&limits.connection, now),
            subscribes: Rate::new(limits.subscribes_per_second, now),
            shared: accounts.of(identity, limits, now),
            _seat: None,
        }
    }

    /// Takes a command that publishes nothing.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`], with the time to wait.
    pub fn operation(&self, now: Instant) -> Result<(), ErrorBody> {
        self.publish(0, now)
    }

    /// Takes a command that subscribes.
    ///
    /// # Errors
    /// As [`Self::operation`].
    pub fn subscribe(&self, now: Instant) -> Result<(), ErrorBody> {
        if let Some(wait) = self.subscribes.wait(1, now) {
            return Err(refusal("connection", "subscribes", wait));
        }
        self.operation(now)?;
        self.subscribes.take(1, now);
        Ok(())
    }

    /// Takes an event of so many bytes, headers included.
    ///
    /// # Errors
    /// As [`Self::operation`].
    pub fn publish(&self, bytes: usize, now: Instant) -> Result<(), ErrorBody> {
        let bytes = bytes as u64;
        let accounts = [
            ("connection", &self.own),
            ("user", &*self.shared.user),
            ("tenant", &*self.shared.tenant),
        ];
        for (whose, account) in accounts {
            if let Some(wait) = account.operations.wait(1, now) {
                return Err(refusal(whose, "operations", wait));
            }
            if bytes > 0
                && let Some(wait) = account.bytes.wait(bytes, now)
            {
                return Err(refusal(whose, "published bytes", wait));
            }
        }
        for (_, account) in accounts {
            account.operations.take(1, now);
            account.bytes.take(bytes, now);
        }
        Ok(())
    }
}

fn refusal(whose: &str, what: &str, wait: Duration) -> ErrorBody {
    let message = format!("the {whose} has more {what} a second than it may");
    let mut error = ErrorBody::new(ErrorCode::RateLimited, message);
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    error.retry_after_ms = Some(millis.saturating_add(1).max(RETRY_SOON_MS));
    error
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use auth::Scopes;
    use protocol::name::{Tenant, User};

    use super::*;
    use crate::core::limits::RateLimits;

    fn rates(operations_per_second: u64, bytes_per_second: u64) -> RateLimits {
        RateLimits {
            operations_per_second,
            bytes_per_second,
        }
    }

    fn limits() -> EdgeLimits {
        EdgeLimits {
            connection: rates(1, 100),
            user: rates(2, 1_000),
            tenant: rates(3, 10_000),
            subscribes_per_second: 1,
            connections_per_user: 2,
            ..EdgeLimits::default()
        }
    }

    fn identity(user: &str) -> Identity {
        let (tenant, user) = (Tenant::parse("acme").unwrap(), User::parse(user).unwrap());
        Identity::new(tenant, user, Scopes::default(), SystemTime::UNIX_EPOCH)
    }

    /// How many of ten commands are taken, and who stops the next.
    fn taken(allowance: &Allowance, now: Instant) -> (usize, String) {
        let taken = (0..10).take_while(|_| allowance.operation(now).is_ok());
        let count = taken.count();
        let error = allowance.operation(now).unwrap_err();
        assert_eq!(error.code, ErrorCode::RateLimited);
        assert!(error.temporary && error.retry_after_ms.is_some());
        (count, error.message)
    }

    #[test]
    fn a_connection_a_user_and_a_tenant_within_and_beyond_their_rates() {
        let (accounts, limits, now) = (Accounts::default(), limits(), Instant::now());
        let of = |user| Allowance::request(&accounts, &identity(user), &limits, now);
        let (first, second, third) = (of("ann"), of("ann"), of("ann"));
        let (count, message) = taken(&first, now);
        assert_eq!(count, 2);
        assert!(message.contains("connection"), "{message}");
        assert_eq!(taken(&second, now).0, 2);
        let (count, message) = taken(&third, now);
        assert_eq!(count, 0);
        assert!(message.contains("user"), "{message}");
        let others = (of("bob"), of("bob"));
        assert_eq!(taken(&others.0, now).0, 2);
        let (count, message) = taken(&others.1, now);
        assert_eq!(count, 0);
        assert!(message.contains("tenant"), "{message}");
        let later = now + Duration::from_secs(2);
        assert_eq!(taken(&third, later).0, 2);
    }

    #[test]
    fn what_the_tenant_stops_costs_the_connection_nothing() {
        let (accounts, mut limits, now) = (Accounts::default(), limits(), Instant::now());
        limits.tenant = rates(1, 10_000);
        let of = |user| Allowance::request(&accounts, &identity(user), &limits, now);
        let (busy, other) = (of("ann"), of("bob"));
        assert_eq!(taken(&busy, now).0, 2);
        assert_eq!(taken(&other, now).0, 0);
        assert!(other.own.operations.is_fresh(now) && other.shared.user.operations.is_fresh(now));
    }

    #[test]
    fn bytes_and_subscriptions_within_and_beyond_their_rates() {
        let (accounts, mut limits, now) = (Accounts::default(), limits(), Instant::now());
        limits.connection.operations_per_second = 100;
        limits.user = limits.connection.clone();
        let of = |user| Allowance::request(&accounts, &identity(user), &limits, now);
        let allowance = of("ann");
        assert!(allowance.publish(150, now).is_ok());
        let error = allowance.publish(55, now).unwrap_err();
        assert!(error.message.contains("bytes"), "{}", error.message);
        assert_eq!(error.retry_after_ms, Some(51));
        assert!(allowance.publish(50, now).is_ok());
        assert!(allowance.subscribe(now).is_ok() && allowance.subscribe(now).is_ok());
        let error = allowance.subscribe(now).unwrap_err();
        assert!(error.message.contains("subscribes"), "{}", error.message);
        assert!(allowance.operation(now).is_ok());
    }

    #[test]
    fn sessions_of_a_user_within_and_beyond_their_limit() {
        let (accounts, limits, now) = (Accounts::default(), limits(), Instant::now());
        let session = |user| Allowance::session(&accounts, &identity(user), &limits, now);
        let open = (session("ann").unwrap(), session("ann").unwrap());
        let error = session("ann").unwrap_err();
        assert_eq!(error.code, ErrorCode::TooManyConnections);
        assert!(session("bob").is_ok());
        drop(open.0);
        assert!(session("ann").is_ok());
    }
}
