//! The end of a start that nobody waits for any more. Owns the flag; knows no server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends the start of a server that is under way on another thread, and every later one.
/// Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks for the end; the start sees it within moments.
    pub fn trigger(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    pub fn is_triggered(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
