//! `eddyline function new`: makes the folder of a new function. Owns no state.

use std::path::{Path, PathBuf};

use serde::Serialize;
use workbench::template::{self, Wanted};

use super::failure;
use crate::args::author::New;
use crate::error::CliError;
use crate::output::Output;

#[derive(Serialize)]
struct Made<'a> {
    folder: &'a Path,
    files: &'a [PathBuf],
}

/// Makes it in the current folder, under the function's name.
///
/// # Errors
/// The name, the language or the folder cannot be used.
pub(super) fn run(args: New, output: &Output) -> Result<(), CliError> {
    let wanted = Wanted {
        name: args.name,
        language: args.lang,
        reactive: args.reactive,
    };
    let folder = Path::new(&wanted.name);
    let files = template::make(&wanted, folder).map_err(failure::of_template)?;
    let made = Made {
        folder,
        files: &files,
    };
    output.result(&made, || {
        let (name, count) = (&wanted.name, files.len());
        let handler = files.iter().find(|path| is_handler(path));
        let handler = handler.map_or(String::new(), |path| {
            format!("; what it does is in {}", path.display())
        });
        format!(
            "made {name}/ with {count} files{handler}\n\n  cd {name}\n  eddyline function dev\n"
        )
    })
}

/// Whether this is the file that an author changes first.
fn is_handler(path: &Path) -> bool {
    path == Path::new("src/lib.rs") || path.file_stem().is_some_and(|stem| stem == "handler")
}
