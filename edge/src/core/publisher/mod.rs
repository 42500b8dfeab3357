//! From an accepted command to a stored event.
//!
//! - `intake`: takes events in and gives each its way
//! - `order`: stored order equals send order, per writer and channel
//! - `job`: an event and the promise to answer for it; `answer`: where to
//! - `turns`: few events go singly, many as one batch; `lane`: does so
//! - `resend`: resends, looked up in the channel before they are stored
//! - `duplicate`: what a second event under one id is
//! - `expected`: what a publisher is told whose channel ends elsewhere
//! - `store`: one event into the stream
//!
//! Knows neither sessions nor feeds.

mod answer;
mod duplicate;
mod expected;
mod intake;
mod job;
mod lane;
mod order;
mod resend;
mod store;
mod turns;

pub use answer::Answer;
pub use intake::Publisher;
pub use job::Writer;
