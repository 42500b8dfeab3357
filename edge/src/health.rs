//! Whether the node lives, whether it should get traffic, and its metrics.
//!
//! Owns no state: readiness is read off the node at each request.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use service::telemetry;

use crate::node::Node;

/// Why a node should not get traffic.
pub fn unready(node: &Node) -> Option<&'static str> {
    if node.shutdown.is_triggered() {
        Some("draining")
    } else if !*node.bus.connected().borrow() {
        Some("not connected to nats")
    } else if !node.namespaces.is_loaded() {
        Some("the configuration has not been read")
    } else if node
        .namespaces
        .snapshot()
        .store(&node.config.store)
        .is_none()
    {
        Some("the store is not configured: its bootstrap has not run")
    } else {
        None
    }
}

/// 200 while the process answers.
pub async fn healthz() -> &'static str {
    "ok"
}

/// 200 when the node should get traffic; else 503 with the reason.
pub async fn readyz(State(node): State<Arc<Node>>) -> (StatusCode, &'static str) {
    match unready(&node) {
        None => (StatusCode::OK, "ready"),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

/// The process's metrics as Prometheus text.
pub async fn metrics() -> String {
    telemetry::metrics_handle().render()
}
