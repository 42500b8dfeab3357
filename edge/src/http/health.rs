//! Whether the node lives, and whether it should get traffic: for load balancers, which
//! ask on the port that they send traffic to. Metrics are not shown there.
//!
//! Owns no state: readiness is read off the node at each request.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::node::Node;

/// What the node waits for before it should get traffic; empty when it is ready.
pub fn waiting(node: &Node) -> Vec<String> {
    if node.shutdown.is_triggered() {
        return vec!["draining".into()];
    }
    node.hub.waiting()
}

/// 200 while the process answers.
pub async fn healthz() -> &'static str {
    "ok"
}

/// 200 when the node should get traffic; else 503 with what it waits for.
pub async fn readyz(State(node): State<Arc<Node>>) -> (StatusCode, String) {
    let waiting = waiting(&node);
    if waiting.is_empty() {
        (StatusCode::OK, "ready".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, waiting.join(", "))
    }
}
