//! So many at a time, and of each tenant so many: what one tenant wants leaves turns for
//! the others, and who waits is served tenant by tenant.
//!
//! Owns the counts and those who wait, of whom there are as many as there are tasks.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::name::Tenant;
use tokio::sync::oneshot;

use super::line::Line;

#[derive(Debug, Default)]
struct State {
    taken: usize,
    by_tenant: HashMap<Tenant, usize>,
    waiting: Line<Tenant, oneshot::Sender<Turn>>,
}

/// Turns at something.
#[derive(Debug, Clone)]
pub struct Turns {
    state: Arc<Mutex<State>>,
    max: usize,
    each: usize,
}

/// A turn; given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    tenant: Tenant,
    /// Not set by who gives out: it goes on by itself.
    gives: bool,
}

impl Turns {
    /// So many in all, and of each tenant so many.
    pub fn new(max: usize, each: usize) -> Self {
        Self {
            state: Arc::default(),
            max,
            each,
        }
    }

    /// A tenant's turn, waited for. Cancel safe: a turn that nobody takes goes to the next.
    pub async fn take(&self, tenant: &Tenant) -> Turn {
        let (sender, receiver) = oneshot::channel();
        self.state.lock().waiting.push(tenant, sender);
        self.give();
        let turn = receiver.await;
        turn.expect("whoever waits is given a turn before it is forgotten")
    }

    /// Whether anybody waits.
    pub fn is_wanted(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    /// Gives out what is free.
    fn give(&self) {
        while let Some((sender, turn)) = self.next() {
            // Who has gone meanwhile takes none, and the next one is asked.
            if let Err(mut turn) = sender.send(turn) {
                turn.gives = false;
            }
        }
    }

    fn next(&self) -> Option<(oneshot::Sender<Turn>, Turn)> {
        let mut state = self.state.lock();
        let State {
            taken,
            by_tenant,
            waiting,
        } = &mut *state;
        if *taken >= self.max {
            return None;
        }
        let may = |tenant: &Tenant| by_tenant.get(tenant).is_none_or(|has| *has < self.each);
        let (tenant, sender) = waiting.pop_if(may)?;
        *taken += 1;
        *by_tenant.entry(tenant.clone()).or_default() += 1;
        let turn = Turn {
            turns: self.clone(),
            tenant,
            gives: true,
        };
        Some((sender, turn))
    }

    fn back(&self, tenant: &Tenant) {
        let mut state = self.state.lock();
        state.taken -= 1;
        if let Some(has) = state.by_tenant.get_mut(tenant) {
            *has -= 1;
            if *has == 0 {
                state.by_tenant.remove(tenant);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.back(&self.tenant);
        if self.gives {
            self.turns.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::parse(name).unwrap()
    }

    #[test]
    fn turns_within_and_beyond_their_limits() {
        let turns = Turns::new(3, 2);
        let (noisy, quiet) = (tenant("noisy"), tenant("quiet"));
        let first = turns.take(&noisy).now_or_never();
        let second = turns.take(&noisy).now_or_never();
        assert!(first.is_some() && second.is_some());
        let mut third = Box::pin(turns.take(&noisy));
        assert!((&mut third).now_or_never().is_none());
        let other = turns.take(&quiet).now_or_never();
        assert!(other.is_some(), "one tenant never has all of them");
        drop(first);
        assert!(third.now_or_never().is_some());
    }

    #[test]
    fn who_waits_is_served_tenant_by_tenant_and_who_has_gone_is_passed_over() {
        let turns = Turns::new(1, 1);
        let (noisy, quiet) = (tenant("noisy"), tenant("quiet"));
        let held = turns.take(&noisy).now_or_never();
        let mut first = Box::pin(turns.take(&noisy));
        let mut second = Box::pin(turns.take(&noisy));
        let mut other = Box::pin(turns.take(&quiet));
        for waiting in [&mut first, &mut second, &mut other] {
            assert!(waiting.now_or_never().is_none());
        }
        assert!(turns.is_wanted());
        drop(first);
        drop(held);
        let turn = (&mut other).now_or_never();
        assert!(turn.is_some() && (&mut second).now_or_never().is_none());
        drop(turn);
        assert!(second.now_or_never().is_some());
        assert!(!turns.is_wanted());
    }
}
