//! Fault tests: instances are killed and frozen at named steps and at random moments
//! while events flow, and steps that exactly-once stands on are left out on purpose.
//! Each ends in the history checker.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod faults {
    mod apart;
    mod disk;
    mod edges;
    mod frozen;
    mod handover;
    mod hunt;
    mod kills;
    mod lab;
    mod lanes;
    mod late;
    mod leaders;
    mod minority;
    mod owners;
    mod remember;
    mod sabotage;
    mod schedule;
    mod servers;
    mod short;
    mod swap;
    mod takeover;
    mod trial;
    mod watch;
}
