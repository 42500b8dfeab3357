//! The Terraform provider, as Terraform itself uses it: on a real server under the
//! product's users, with edge nodes and workers beside it.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod terraform {
    mod apart;
    mod example;
    mod files;
    mod interrupted;
    mod lifecycle;
    mod packaged;
    mod refusals;
    mod shell;
    mod stores;
    mod trials;
}
