//! The sessions of a node by tenant, so that what concerns a tenant reaches its sessions
//! and no other.
//!
//! Owns the map, under a lock that is never held across a wait.

use std::collections::HashMap;
use std::sync::Arc;

use bus::revocations::RevocationList;
use parking_lot::Mutex;
use protocol::disconnect::Disconnect;
use protocol::name::{Tenant, User};
use service::shutdown::Shutdown;
use tokio::sync::broadcast::error::RecvError;

use super::port::Port;

/// A session, as far as others know it.
#[derive(Debug)]
pub struct Known {
    /// The way to it.
    pub port: Arc<Port>,
    /// Its user.
    pub user: User,
    /// Its name.
    pub name: Arc<str>,
}

type ByTenant = HashMap<Tenant, HashMap<u64, Known>>;

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
        if let Some(known) = all.get_mut(&self.tenant) {
            known.remove(&self.id);
            if known.is_empty() {
                all.remove(&self.tenant);
            }
        }
    }
}

impl Sessions {
    /// Lists a session under a number that no other has.
    pub fn list(self: &Arc<Self>, tenant: Tenant, id: u64, known: Known) -> Listed {
        let mut all = self.0.lock();
        all.entry(tenant.clone()).or_default().insert(id, known);
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
        let ports: Vec<Arc<Port>> = all
            .values()
            .flat_map(|of| of.values().map(|known| known.port.clone()))
            .collect();
        drop(all);
        for port in ports {
            port.reseat();
        }
    }

    /// Lets those sessions end that are meant.
    pub fn disconnect(&self, entry: &Disconnect) {
        let all = self.0.lock();
        let known = all.get(&entry.tenant).into_iter().flat_map(HashMap::values);
        let meant: Vec<Arc<Port>> = known
            .filter(|known| entry.means(&known.user, &known.name))
            .map(|known| known.port.clone())
            .collect();
        drop(all);
        tracing::info!(tenant = %entry.tenant, sessions = meant.len(), "sessions are disconnected");
        for port in meant {
            port.disconnect();
        }
    }

    /// Lets the sessions of a tenant, or of all, look at what is revoked.
    fn recheck(&self, tenant: Option<&Tenant>) {
        let all = self.0.lock();
        let ports: Vec<Arc<Port>> = all
            .iter()
            .filter(|(listed, _)| tenant.is_none_or(|tenant| tenant == *listed))
            .flat_map(|(_, known)| known.values().map(|known| known.port.clone()))
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
