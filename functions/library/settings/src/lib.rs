//! How the functions of the library read what they are given: their settings, which are
//! text with JSON in it where text is not enough, and the data of events, of which some
//! is no JSON.
//!
//! - [`Settings`]: refuses what a function does not know, and names the key
//! - [`OtherData`]: what becomes of data that is no JSON
//! - [`Refusal`]: how an event is refused that is well formed
//! - [`Template`]: names of channels with gaps that an event fills
//!
//! Owns nothing. Must not know what any one function does.

mod data;
mod keys;
mod refusal;
mod template;

pub use data::{Data, OtherData, json, store};
pub use keys::{Settings, time};
pub use refusal::Refusal;
pub use template::Template;
