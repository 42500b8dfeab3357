//! Tests of the checker: valid histories are clean, and each planted corruption is seen.
//!
//! State: none. Must not know: real servers.

mod bend;
mod generator;
mod planted;
mod scale;
mod valid;
