//! How many reads are under way: each has a Kafka client with its buffers, so there
//! are few places, and a tenant has a share of them.
//!
//! Owns the count. Policy past it: refuse with RESOURCE_EXHAUSTED.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::name::Tenant;

use super::fault::ReplayFault;

/// Reads at once in one process.
const READS_MAX: usize = 32;
/// Reads at once of one tenant: four tenants that take all they may leave none out.
const TENANT_READS_MAX: usize = 8;

/// The places of one process.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<Tenant, usize>>>);

/// A place, until it is dropped.
pub(super) struct Place {
    places: Places,
    tenant: Tenant,
}

impl Places {
    /// Takes a place.
    ///
    /// # Errors
    /// [`ReplayFault::TooMany`], [`ReplayFault::TenantTooMany`].
    pub(super) fn take(&self, tenant: &Tenant) -> Result<Place, ReplayFault> {
        let mut taken = self.lock();
        if taken
            .get(tenant)
            .is_some_and(|own| *own >= TENANT_READS_MAX)
        {
            return Err(ReplayFault::TenantTooMany {
                max: TENANT_READS_MAX,
            });
        }
        if taken.values().sum::<usize>() >= READS_MAX {
            return Err(ReplayFault::TooMany { max: READS_MAX });
        }
        *taken.entry(tenant.clone()).or_default() += 1;
        Ok(Place {
            places: self.clone(),
            tenant: tenant.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tenant, usize>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(own) = taken.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: usize) -> Tenant {
        Tenant::parse(&format!("t{n}")).unwrap()
    }

    #[test]
    fn a_tenant_has_its_share_and_no_more() {
        let places = Places::default();
        let mut own: Vec<_> = (0..TENANT_READS_MAX)
            .map(|_| places.take(&tenant(0)).unwrap())
            .collect();
        let refused = places.take(&tenant(0));
        assert!(matches!(refused, Err(ReplayFault::TenantTooMany { .. })));
        let other = places.take(&tenant(1)).unwrap();
        own.pop();
        own.push(places.take(&tenant(0)).unwrap());
        drop((own, other));
        assert!(places.lock().is_empty());
    }

    #[test]
    fn all_places_are_bounded() {
        let places = Places::default();
        let taken: Vec<_> = (0..READS_MAX)
            .map(|n| places.take(&tenant(n)).unwrap())
            .collect();
        assert!(matches!(
            places.take(&tenant(99)),
            Err(ReplayFault::TooMany { .. })
        ));
        drop(taken);
        assert!(places.take(&tenant(99)).is_ok());
    }
}
