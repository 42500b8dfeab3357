//! `eddyline function build`: builds a function, shows how, and says what came of it.
//! Owns no state.

use std::path::Path;

use serde::Serialize;
use workbench::build::{BuildError, Built};
use workbench::project::Project;
use workbench::recipe::RecipeError;
use workbench::tool::ToolError;

use super::failure;
use crate::args::author::Build;
use crate::error::CliError;
use crate::output::{Output, thousands};

/// Digits of a digest that tell two versions of one function apart.
pub(super) const DIGITS: usize = 12;

#[derive(Serialize)]
struct Told<'a> {
    function: &'a str,
    module: &'a Path,
    digest: &'a str,
    bytes: usize,
    seconds: f64,
}

/// Builds it.
///
/// # Errors
/// There is no function, a tool is missing, the sources do not build, or the host
/// refuses what they become.
pub(super) async fn run(args: Build, output: &Output) -> Result<(), CliError> {
    let project = failure::project(&args.project)?;
    let built = build(&project, output).await.map_err(failure::of_build)?;
    tell(&project, &built, output)
}

/// Builds a function and shows what its tools say.
pub(super) async fn build(project: &Project, output: &Output) -> Result<Built, BuildError> {
    let mut tell = |line: &str| output.note(line);
    let built = workbench::build::build(project, Some(running::compiled()), &mut tell).await;
    // What was on standard error is told already; this tool said it elsewhere.
    if let Err(BuildError::Recipe(RecipeError::Tool(ToolError::Failed { lines, out, .. }))) = &built
        && *out
    {
        lines.iter().for_each(|line| output.note(line));
    }
    built
}

/// Says what was built.
pub(super) fn tell(project: &Project, built: &Built, output: &Output) -> Result<(), CliError> {
    let told = Told {
        function: project.name.as_str(),
        module: &built.path,
        digest: built.digest.as_str(),
        bytes: built.modules[0].len(),
        seconds: built.took.as_secs_f64(),
    };
    output.result(&told, || line(&told))
}

fn line(told: &Told<'_>) -> String {
    let (function, bytes) = (told.function, thousands(told.bytes as u64));
    let (digest, module) = (&told.digest[..DIGITS], told.module.display());
    let seconds = told.seconds;
    format!("{function} {digest}, {bytes} bytes, in {seconds:.1} s: {module}")
}
