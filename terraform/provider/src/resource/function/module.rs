//! A module's file. Owns nothing.

use std::path::Path;

use bytes::Bytes;
use protocol::stream::MODULE_BYTES_MAX;

/// Reads a module's file.
///
/// # Errors
/// Why it cannot be one.
pub fn read_module(path: &Path) -> Result<Bytes, String> {
    let shown = path.display();
    let read = std::fs::read(path);
    let wasm = read.map_err(|error| format!("module {shown} cannot be read: {error}"))?;
    match wasm.len() <= MODULE_BYTES_MAX {
        true => Ok(wasm.into()),
        false => Err(format!(
            "module {shown} has {} bytes, more than {MODULE_BYTES_MAX}",
            wasm.len()
        )),
    }
}
