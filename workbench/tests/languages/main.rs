//! Functions in every language for real: built as their templates are, with a probe in
//! place of the handler, and run by the host. What an SDK must do, and the table of limits.
//! A language whose tools are missing is skipped with a sentence.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod guests;
mod sdk;
mod stage;
mod table;
