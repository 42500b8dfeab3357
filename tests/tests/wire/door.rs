//! The door of a node: TLS, certificates that change, and proxies that say whose
//! connection it is. One deployment for all of it: what a certificate's end is told by
//! is the process's, so every node here shows the same one.

use harness::Deployment;
use harness::pki::{Authority, Files};

use super::{proxied, tls};

/// The node that speaks TLS.
pub const TLS: usize = 0;
/// The one that does, and waits only [`SHORT_MS`] for it.
pub const HASTY: usize = 1;
/// The one behind a proxy.
pub const PROXIED: usize = 2;
/// The one behind a proxy that speaks TLS.
pub const BOTH: usize = 3;

/// How long a handshake may take on the hasty node, milliseconds.
const SHORT_MS: u64 = 200;
/// Connections from one address where proxies say whose they are.
pub const ADDRESS_MAX: usize = 2;

/// The names that nodes show here.
pub const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_is_let_in_by_tls_and_by_what_proxies_say() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let files = Files::in_folder(folder.path(), &authority.issue(&NAMES, 2100));
    let settings = files.settings();
    let builder = Deployment::builder().without_mirror().functions(&[]);
    let builder = builder.workers(0).edges(4).edge_config(move |at, config| {
        if at != PROXIED {
            config.tls = settings.clone();
        }
        if at == HASTY {
            config.limits.handshake_timeout_ms = SHORT_MS;
        }
        if at == PROXIED || at == BOTH {
            config.proxies = vec!["127.0.0.0/8".into()];
            config.limits.connections_per_address = ADDRESS_MAX;
        }
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    proxied::check(&deployment, &authority).await;
    tls::check(&deployment, &authority, folder.path()).await;
    tls::changes(&deployment, &authority, &files).await;
    deployment.stop().await;
}
