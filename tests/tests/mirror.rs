//! The mirror on a real Kafka: what it does when its topics are not as it made them,
//! and what readers of it are told. Events are stored without an edge.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod mirror {
    mod common;
    mod crowd;
    mod lag;
    mod passed;
    mod past;
    mod replay;
    mod secured;
    mod taken;
    mod topics;
}
