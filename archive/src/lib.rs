//! What retention has taken of a channel's events: read from the Kafka mirror through a
//! bridge, a page at a time, in both directions.
//!
//! - `settings`: which bridge has the past of which store
//! - `archive`: the bridges, and what is asked of them
//! - `events`: what fits into a page; also for pages of what a store still keeps
//! - `upwards`, `downwards`: a page while it is gathered, as machines
//! - `lacks`: the one range that a page may say to be missing
//!
//! A page accounts for every sequence of a range: each event of the channel in it is
//! there, but for those in the one gap that it may name. What has two gaps is two pages.

mod archive;
mod downwards;
pub mod events;
mod lacks;
mod settings;
mod upwards;

pub use archive::{Archive, ArchiveError, Asked, Mirror};
pub use lacks::{Lack, Part};
pub use settings::{MirrorFault, MirrorSettings};
