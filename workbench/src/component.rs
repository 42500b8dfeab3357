//! Makes a component of a core module whose toolchain knows WASI's first preview and no
//! components: says which of the interface's values its functions take, and answers what
//! its runtime asks the system for.
//!
//! Owns nothing.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::system;

/// The world that such a module implements.
const WORLD: &str = "simple";

/// Why a core module becomes no component.
#[derive(Debug, thiserror::Error)]
#[error("the module does not fit the interface of wit/: {problem}")]
pub struct ComponentError {
    /// What is wrong.
    pub problem: String,
}

/// Makes a component. `wit` is the folder with the interface.
///
/// # Errors
/// [`ComponentError`]: the interface cannot be read, or the module's exports or imports are
/// not those of the world.
pub fn make(mut module: Vec<u8>, wit: &Path) -> Result<Vec<u8>, ComponentError> {
    let wrong = |error: &dyn std::fmt::Display| ComponentError {
        problem: format!("{error:#}"),
    };
    let mut interface = Resolve::default();
    let (package, _) = interface.push_dir(wit).map_err(|error| wrong(&error))?;
    let world = interface.select_world(&[package], Some(WORLD));
    let world = world.map_err(|error| wrong(&error))?;
    embed_component_metadata(&mut module, &interface, world, StringEncoding::UTF8)
        .map_err(|error| wrong(&error))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.adapter(system::NAME, &system::module()))
        .and_then(ComponentEncoder::encode)
        .map_err(|error| wrong(&error))
}
