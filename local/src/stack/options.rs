//! What stack is wanted. Plain values; they own nothing.

use std::path::PathBuf;
use std::sync::Arc;

use protocol::name::StoreName;

/// Ports of the edge nodes of `eddyline dev`.
pub const EDGE_PORTS: [u16; 2] = [8001, 8002];

/// The store that everything here lives in.
const STORE: &str = "main";

/// Lanes of the store: enough to show that there are several, few enough that a
/// laptop does not notice them.
const LANES: u16 = 4;

/// Receives each step of a start, one line of text; called from any thread.
pub type OnStep = Arc<dyn Fn(&str) + Send + Sync>;

/// How to start a stack.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Where the servers' programs are, or the servers themselves.
    pub devstack: devstack::Config,
    /// Folder that keeps the servers' data and the token secret; nothing is kept
    /// without one.
    pub data: Option<PathBuf>,
    /// Folder of the functions' modules; next to this program's own folder unless
    /// given.
    pub functions: Option<PathBuf>,
    /// Port of each edge node, one node per entry; 0 takes a free one.
    pub edge_ports: Vec<u16>,
    /// Port of the bridge's gRPC; 0 takes a free one.
    pub grpc_port: u16,
    /// Whether there is a mirror: Kafka and the bridge.
    pub mirror: bool,
    /// Whether the example functions are deployed, with their namespaces.
    pub examples: bool,
    /// Lanes of the store; must stay the same for kept data.
    pub lanes: u16,
}

impl Default for StackOptions {
    /// Two edge nodes, free ports, nothing kept, the servers as the environment says.
    fn default() -> Self {
        Self {
            devstack: devstack::Config::from_env(),
            data: None,
            functions: None,
            edge_ports: vec![0; EDGE_PORTS.len()],
            grpc_port: 0,
            mirror: true,
            examples: true,
            lanes: LANES,
        }
    }
}

/// The name of the store.
pub(super) fn store() -> StoreName {
    StoreName::parse(STORE).expect("a valid name")
}
