//! What the machine must have before anything else runs. Looks only; owns no state and
//! installs nothing.

use crate::config::Config;
use crate::fetch;
use crate::missing::Missing;
use crate::programs::{c_compiler, java, make, maven, nats_build, python};

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Build the workspace, then fetch and run the servers.
    Build,
    /// Fetch and run the servers with what is built already.
    Servers,
    /// The same for NATS alone.
    Nats,
}

/// Checks for everything the scope needs, and only that: programs that fetch a
/// server are not asked for when the server is cached, installed or running.
///
/// # Errors
/// Every missing program, not just the first.
pub fn check(config: &Config, scope: Scope) -> Result<(), Vec<Missing>> {
    let mut missing = Vec::new();
    if scope == Scope::Build {
        missing.extend(c_compiler(config).err());
        missing.extend(make(config).err());
    }
    if config.nats_url.is_none() && !fetch::nats_is_present(config) {
        missing.extend(nats_build().and_then(|()| python(config).map(drop)).err());
    }
    if config.kafka_bootstrap.is_none() && scope != Scope::Nats {
        missing.extend(java(config).err());
        if !fetch::kafka_is_cached(config) {
            missing.extend(maven(config).err());
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(missing)
    }
}
