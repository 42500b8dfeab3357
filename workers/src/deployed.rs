//! A function as it is to run: what `FUNCTIONS` says, compiled. Plain data.

use std::sync::Arc;

use host::module::Program;

/// A function as it is to run.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Spec and module.
    pub program: Arc<Program>,
    /// The revision of the spec in `FUNCTIONS`.
    pub revision: u64,
}
