//! Fault tests that take longer than `make test` should: the same as in `faults`, again
//! and again, and those on three Kafka brokers. `make fault` runs them.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod faults {
    mod brokers;
    mod disk;
    mod edges;
    mod frozen;
    mod handover;
    mod hunt;
    mod lab;
    mod lanes;
    mod leaders;
    mod long;
    mod minority;
    mod remember;
    mod rolling;
    mod swap;
    mod takeover;
    mod trial;
    mod watch;
}
