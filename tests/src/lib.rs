//! End-to-end, fault and tidy tests, and benches. The tests are in `tests/`, the
//! benches in `benches/`; what they share is the crate `harness`.
