//! What the connections of one user, and of one tenant, share on this node.
//!
//! Owns the accounts. One is kept for as long as somebody uses it or owes something, so
//! that to connect again is no way around a rate.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use auth::Identity;
use parking_lot::Mutex;
use protocol::name::{Tenant, User};
use tokio::time::Instant;

use crate::core::limits::{EdgeLimits, RateLimits};
use shares::rate::Rate;

/// Accounts from which on unused ones are looked for; then again at each doubling.
const SWEEP_MIN: usize = 1_024;

/// What is counted over everything that shares it.
#[derive(Debug)]
pub struct Account {
    /// Commands.
    pub operations: Rate,
    /// Bytes that are published.
    pub bytes: Rate,
    /// Sessions that are connected.
    sessions: AtomicUsize,
}

impl Account {
    /// One that owes nothing.
    pub fn new(limits: &RateLimits, now: Instant) -> Self {
        Self {
            operations: Rate::new(limits.operations_per_second, now),
            bytes: Rate::new(limits.bytes_per_second, now),
            sessions: AtomicUsize::new(0),
        }
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.operations.is_fresh(now) && self.bytes.is_fresh(now)
    }
}

/// Accounts by whose they are.
#[derive(Debug)]
struct Ledger<K> {
    accounts: HashMap<K, Arc<Account>>,
    sweep_at: usize,
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self {
            accounts: HashMap::new(),
            sweep_at: SWEEP_MIN,
        }
    }
}

impl<K: Eq + Hash> Ledger<K> {
    fn of(&mut self, whose: K, limits: &RateLimits, now: Instant) -> Arc<Account> {
        if self.accounts.len() >= self.sweep_at {
            let used = |account: &Arc<Account>| Arc::strong_count(account) > 1;
            self.accounts
                .retain(|_, account| used(account) || !account.is_fresh(now));
            self.sweep_at = SWEEP_MIN.max(2 * self.accounts.len());
        }
        let account = self.accounts.entry(whose);
        let account = account.or_insert_with(|| Arc::new(Account::new(limits, now)));
        account.clone()
    }
}

/// The accounts of one node. Bounded by its connections and by what was taken within a
/// burst's time.
#[derive(Debug, Default)]
pub struct Accounts {
    users: Mutex<Ledger<(Tenant, User)>>,
    tenants: Mutex<Ledger<Tenant>>,
}

/// The accounts that one identity draws on.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Of the user.
    pub user: Arc<Account>,
    /// Of the tenant.
    pub tenant: Arc<Account>,
}

impl Accounts {
    /// Those of an identity.
    pub(super) fn of(&self, identity: &Identity, limits: &EdgeLimits, now: Instant) -> Shared {
        let Identity { tenant, user, .. } = identity;
        let user = (tenant.clone(), user.clone());
        Shared {
            user: self.users.lock().of(user, &limits.user, now),
            tenant: self.tenants.lock().of(tenant.clone(), &limits.tenant, now),
        }
    }
}

/// A session's place among those of its user; given back when it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<Account>);

impl Seat {
    /// Takes one of so many; `None` when all are taken.
    pub(super) fn take(account: &Arc<Account>, max: usize) -> Option<Self> {
        let more = |taken: usize| (taken < max).then_some(taken + 1);
        let taken = account
            .sessions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Self(account.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: RateLimits = RateLimits {
        operations_per_second: 10,
        bytes_per_second: 1_000,
    };

    #[test]
    fn seats_within_and_beyond_their_limit() {
        let account = Arc::new(Account::new(&LIMITS, Instant::now()));
        let first = Seat::take(&account, 2);
        let second = Seat::take(&account, 2);
        assert!(first.is_some() && second.is_some());
        assert!(Seat::take(&account, 2).is_none());
        drop(first);
        assert!(Seat::take(&account, 2).is_some());
    }

    #[test]
    fn an_account_is_kept_while_it_is_used_or_owes_and_forgotten_then() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        let used = ledger.of(0, &LIMITS, now);
        ledger.of(1, &LIMITS, now).operations.take(20, now);
        for whose in 2..SWEEP_MIN {
            ledger.of(whose, &LIMITS, now);
        }
        ledger.of(SWEEP_MIN, &LIMITS, now);
        assert_eq!(ledger.accounts.len(), 3);
        assert!(Arc::ptr_eq(&used, &ledger.accounts[&0]));
        assert!(ledger.accounts[&1].operations.wait(1, now).is_some());
        ledger.sweep_at = 0;
        ledger.of(SWEEP_MIN, &LIMITS, now + Duration::from_secs(2));
        assert!(!ledger.accounts.contains_key(&1));
    }
}
