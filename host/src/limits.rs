//! What one instance may take: memory and tables.
//!
//! Owns the counters of one instance. Must not know what the guest computes.

use wasmtime::ResourceLimiter;

use super::engine::TABLE_ELEMENTS_MAX;

/// Counts what an instance has taken.
#[derive(Debug)]
pub struct Limits {
    memory_bytes_max: usize,
    memory_bytes: usize,
    memory_refused: bool,
}

impl Limits {
    /// Limits of a fresh instance.
    pub fn new(memory_bytes_max: usize) -> Self {
        Self {
            memory_bytes_max,
            memory_bytes: 0,
            memory_refused: false,
        }
    }

    /// Memory that the instance has taken, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// A call begins: what was refused before explains no trap of this one.
    pub fn begin(&mut self) {
        self.memory_refused = false;
    }

    /// Whether the guest was refused memory in this call: then that explains its trap.
    pub fn memory_refused(&self) -> bool {
        self.memory_refused
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The limit is on all memories of the instance together.
        let total = self.memory_bytes - current.min(self.memory_bytes) + desired;
        let allowed = total <= self.memory_bytes_max;
        if allowed {
            self.memory_bytes = total;
        } else {
            self.memory_refused = true;
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_granted_up_to_the_limit_and_not_beyond() {
        let mut limits = Limits::new(200_000);
        assert!(limits.memory_growing(0, 65_536, None).unwrap());
        assert!(limits.memory_growing(65_536, 131_072, None).unwrap());
        assert!(!limits.memory_refused());
        assert!(!limits.memory_growing(131_072, 262_144, None).unwrap());
        assert!(limits.memory_refused());
        limits.begin();
        assert!(!limits.memory_refused(), "a refusal belongs to its call");
        assert!(
            !limits.memory_growing(0, 131_072, None).unwrap(),
            "a second memory counts as well"
        );
    }
}
