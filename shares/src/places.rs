//! How many ephemeral events of a node may be at their gates, and how many of them one
//! tenant's: a machine.
//!
//! A tenant may have as many there as are free besides. So one that is alone has half of
//! all, of many each has the same, and there is always room for another (Choudhury and
//! Hahne, "Dynamic queue length thresholds"). Owns the counts; it never awaits.

use std::collections::HashMap;

use protocol::name::Tenant;

/// The places of one node.
#[derive(Debug)]
pub struct Places {
    max: usize,
    taken: usize,
    by_tenant: HashMap<Tenant, usize>,
}

impl Places {
    /// So many, all free.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            taken: 0,
            by_tenant: HashMap::new(),
        }
    }

    /// Takes one, if the tenant may have it.
    pub fn take(&mut self, tenant: &Tenant) -> bool {
        let held = self.by_tenant.get(tenant).copied().unwrap_or_default();
        let may = held < self.max - self.taken;
        if may {
            self.taken += 1;
            *self.by_tenant.entry(tenant.clone()).or_default() += 1;
        }
        may
    }

    /// Gives one back.
    pub fn give_back(&mut self, tenant: &Tenant) {
        let Some(held) = self.by_tenant.get_mut(tenant) else {
            return;
        };
        self.taken -= 1;
        *held -= 1;
        if *held == 0 {
            self.by_tenant.remove(tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::parse(name).unwrap()
    }

    fn fill(places: &mut Places, tenant: &Tenant) -> usize {
        std::iter::from_fn(|| places.take(tenant).then_some(())).count()
    }

    #[test]
    fn one_has_half_of_all_and_another_finds_room() {
        let (loud, quiet) = (tenant("loud"), tenant("quiet"));
        let mut places = Places::new(100);
        assert_eq!(fill(&mut places, &loud), 50);
        assert_eq!(fill(&mut places, &quiet), 25);
        assert!(places.take(&tenant("third")));
        // The loud one gets nothing back for as long as it has more than is free.
        places.give_back(&loud);
        assert!(!places.take(&loud));
    }

    #[test]
    fn many_have_the_same_and_nothing_is_kept_of_those_that_left() {
        let tenants: Vec<_> = (0..9).map(|n| tenant(&format!("t{n}"))).collect();
        let mut places = Places::new(100);
        let mut held = vec![0; tenants.len()];
        for _ in 0..100 {
            for (tenant, held) in tenants.iter().zip(&mut held) {
                *held += usize::from(places.take(tenant));
            }
        }
        assert!(held.iter().all(|held| *held == 10), "{held:?}");
        for (tenant, held) in tenants.iter().zip(held) {
            (0..held).for_each(|_| places.give_back(tenant));
        }
        assert!(places.by_tenant.is_empty() && places.taken == 0);
    }
}
