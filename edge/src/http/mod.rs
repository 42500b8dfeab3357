//! HTTP around the core: health and metrics.

pub mod health;
