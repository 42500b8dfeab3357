//! What goes wrong in a model, and how often.

/// Everything that may go wrong.
#[derive(Debug, Clone, Default)]
pub struct ModelFaults {}
