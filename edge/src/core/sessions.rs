//! The sessions of a node by tenant, so that what concerns a tenant reaches its sessions
//! and no other.
//!
//! Owns the map, under a lock that is never held across a wait.

use std::collections::HashMap;
use std::sync::Arc;

use bus::revocations::RevocationList;
use parking_lot::Mutex;
use protocol::name::Tenant;
use service::shutdown::Shutdown;
use tokio::sync::broadcast::error::RecvError;

use super::port::Port;

type ByTenant = HashMap<Tenant, HashMap<u64, Arc<Port>>>;

/// The sessions of a node.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<ByTenant>);

/// A session's place in the map; dropped, it leaves.
#[derive(Debug)]
pub struct Listed {
    sessions: Arc<Sessions>,
    tenant: Tenant,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut all = self.sessions.0.lock();
        if let Some(ports) = all.get_mut(&self.tenant) {
            ports.remove(&self.id);
            if ports.is_empty() {
                all.remove(&self.tenant);
            }
        }
    }
}

impl Sessions {
    /// Lists a session under a number that no other has.
    pub fn list(self: &Arc<Self>, tenant: Tenant, id: u64, port: Arc<Port>) -> Listed {
        let mut all = self.0.lock();
        all.entry(tenant.clone()).or_default().insert(id, port);
        drop(all);
        Listed {
            sessions: self.clone(),
            tenant,
            id,
        }
    }

    /// Lets all sessions look whether their channels tell who is on them.
    pub fn reseat(&self) {
        let all = self.0.lock();
        let ports: Vec<Arc<Port>> = all.values().flat_map(|of| of.values().cloned()).collect();
        drop(all);
        for port in ports {
            port.reseat();
        }
    }

    /// Lets the sessions of a tenant, or of all, look at what is revoked.
    fn recheck(&self, tenant: Option<&Tenant>) {
        let all = self.0.lock();
        let ports: Vec<Arc<Port>> = all
            .iter()
            .filter(|(listed, _)| tenant.is_none_or(|tenant| tenant == *listed))
            .flat_map(|(_, ports)| ports.values().cloned())
            .collect();
        drop(all);
        for port in ports {
            port.recheck();
        }
    }
}

/// Tells sessions what is revoked, until the node stops.
pub async fn follow(sessions: Arc<Sessions>, list: Arc<RevocationList>, stop: Shutdown) {
    let mut changes = list.changes();
    loop {
        // Both are cancel safe: what was not received stays.
        let changed = tokio::select! {
            () = stop.triggered() => return,
            changed = changes.recv() => changed,
        };
        match changed {
            Ok(tenant) => sessions.recheck(Some(&tenant)),
            Err(RecvError::Lagged(_)) => sessions.recheck(None),
            Err(RecvError::Closed) => return,
        }
    }
}
