//! What most tests here run on: two edge nodes over one NATS, and nothing beside them.

use harness::{Builder, Deployment};

/// Two edge nodes, without workers and mirror.
pub fn pair() -> Builder {
    let builder = Deployment::builder().without_mirror().functions(&[]);
    builder.workers(0).edges(2)
}
