//! A function as it is to run: what `FUNCTIONS` says, compiled. Plain data.

use std::sync::Arc;

use host::module::Program;

use crate::trial::Trial;

/// A function as it is to run.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Spec and module.
    pub program: Arc<Program>,
    /// The revision of the spec in `FUNCTIONS`, or of the judgement that ended its trial.
    pub revision: u64,
    /// The version that is on trial beside it, once it is compiled.
    pub trial: Option<Arc<Trial>>,
}

impl Deployed {
    /// The version that is on trial, unless it has failed here.
    pub fn candidate(&self) -> Option<&Arc<Program>> {
        self.trial.as_ref()?.program()
    }
}
