//! Tests of the checker: valid histories are clean, and each planted corruption is seen.
//!
//! State: none. Must not know: real servers.

mod generator;
mod planted;
mod scale;
mod valid;
