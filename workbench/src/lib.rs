//! Everything about a function on its author's disk: made from a template, read, built,
//! tested against golden files, watched.
//!
//! - [`language`], [`template`]: what a new function is made of; the templates, the SDK
//!   and the WIT are inside the library (`embedded`)
//! - [`project`]: a folder with an `eddyline.toml`
//! - [`build`], [`recipe`], [`tool`]: from sources to a component, by each language's tools
//! - [`component`], `system`: from a core module to a component, where no tool does that
//! - [`golden`]: recorded events through the real host, and what they became before
//! - [`watch`]: whether sources have changed
//!
//! Owns the files that it writes and the tools that it starts. Must not know stores,
//! lanes or how anything is printed.

pub mod build;
pub mod component;
mod embedded;
pub mod golden;
pub mod language;
pub mod project;
pub mod recipe;
mod system;
pub mod template;
pub mod tool;
pub mod watch;
