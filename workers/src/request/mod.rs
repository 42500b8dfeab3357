//! Ephemeral events through gates, by request and reply: the worker's half. Whichever
//! worker of the store is asked, answers; nothing is stored, and nothing remembered.
//!
//! - [`answer`]: what is answered, a pure function of what the guest says
//! - [`queue`]: one gate's events, in the order in which they came
//! - [`serve`]: hears the questions, and who can take them

mod answer;
mod queue;
mod serve;

pub use serve::{Requests, heard};
