//! End-to-end tests: real servers, whole deployments, every one ended by the history
//! checker.

mod e2e {
    mod common;
    mod drops;
    mod outcomes;
    mod path;
    mod resend;
    mod resume;
    mod slow;
}
