//! The JetStream bus against a real nats-server: publishes, batches, every way of
//! reading, buckets, leases, the bootstrap of a store. Each test has its own server.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod bus {
    mod fixture;
    mod follow;
    mod kv;
    mod read;
    mod write;
}
