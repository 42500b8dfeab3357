//! Free TCP ports on the loopback interface that stay ours across a restart.
//! Owns the lock files that keep two stacks apart; knows nothing of servers.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use rand::Rng;

use crate::error::{DevstackError, Result};
use crate::sys;

/// Ports are taken from here. The range ends below 32768, where Linux starts to
/// hand out source ports: a client that keeps dialling a stopped server in that
/// upper range can be given the server's own port and connect to itself.
const FIRST: u16 = 20_000;
/// Last port of the range.
const LAST: u16 = 31_999;

/// A port that no other user of this module takes while the value lives, even
/// when nothing listens on it for a moment.
#[derive(Debug)]
pub struct Lease {
    port: u16,
    /// Held for its lock alone; absent for a port that the caller chose.
    _lock: Option<File>,
}

impl Lease {
    /// A port of the range on which nothing listens.
    ///
    /// # Errors
    /// [`DevstackError::NoFreePort`], or the lock folder cannot be made.
    pub fn free() -> Result<Lease> {
        let folder = lock_folder()?;
        let count = LAST - FIRST + 1;
        let start = rand::rng().random_range(0..count);
        (0..count)
            .map(|step| FIRST + (start + step) % count)
            .find_map(|port| try_lease(&folder, port))
            .ok_or(DevstackError::NoFreePort {
                first: FIRST,
                last: LAST,
            })
    }

    /// The given port, or a free one for 0.
    ///
    /// # Errors
    /// As [`Lease::free`]; a given port is not checked.
    pub fn of(port: u16) -> Result<Lease> {
        match port {
            0 => Lease::free(),
            port => Ok(Lease { port, _lock: None }),
        }
    }

    /// The port number.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn lock_folder() -> Result<PathBuf> {
    let name = format!("eddyline-ports-{}", sys::user_id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).map_err(DevstackError::io("create", &folder))?;
    Ok(folder)
}

fn try_lease(folder: &Path, port: u16) -> Option<Lease> {
    // The file stays: deleting it would let two processes lock two files of
    // one name.
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(port.to_string()))
        .ok()?;
    lock.try_lock().ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(Lease {
        port,
        _lock: Some(lock),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leases_never_share_a_port() {
        let leases: Vec<Lease> = (0..50).map(|_| Lease::free().unwrap()).collect();
        let mut ports: Vec<u16> = leases.iter().map(Lease::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), leases.len());
    }

    #[test]
    fn a_port_in_use_is_not_leased() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(try_lease(folder.path(), port).is_none());
    }
}
