//! End-to-end tests: real servers, whole deployments, every one ended by the history
//! checker.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod e2e {
    mod access;
    mod apply;
    mod canary;
    mod common;
    mod demo;
    mod deployer;
    mod dev;
    mod drops;
    mod ephemeral;
    mod fleet;
    mod foreign;
    mod function;
    mod gates;
    mod history;
    mod http;
    mod hundred;
    mod languages;
    mod logs;
    mod outcomes;
    mod page;
    mod path;
    mod permissions;
    mod pipeline;
    mod presence;
    mod receipts;
    mod redeploy;
    mod rejected;
    mod replayed;
    mod request;
    mod resend;
    mod resume;
    mod run;
    mod schedule;
    mod shell;
    mod slow;
    mod stores;
    mod telemetry;
    mod tour;
    mod trace;
    mod trouble;
}
