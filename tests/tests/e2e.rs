//! End-to-end tests: real servers, whole deployments, every one ended by the history
//! checker.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod e2e {
    mod apply;
    mod common;
    mod demo;
    mod deployer;
    mod dev;
    mod drops;
<<<<<<< HEAD
    mod history;
=======
    mod fleet;
    mod gates;
>>>>>>> 43605e4 (The edge knows which gates are deployed, and which are late)
    mod http;
    mod outcomes;
    mod path;
    mod permissions;
<<<<<<< HEAD
    mod rejected;
=======
    mod redeploy;
>>>>>>> 43605e4 (The edge knows which gates are deployed, and which are late)
    mod resend;
    mod resume;
    mod run;
    mod shell;
    mod slow;
    mod stores;
    mod tour;
}
