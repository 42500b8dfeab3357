//! The function on an author's disk that is meant, and what went wrong with it, as the
//! command line tells it: the exit code, one sentence, a hint. Owns no state.

use workbench::build::BuildError;
use workbench::golden::RunError;
use workbench::golden::file::FileError;
use workbench::project::{Project, ProjectError};
use workbench::recipe::RecipeError;
use workbench::template::TemplateError;
use workbench::tool::ToolError;

use crate::args::author::ProjectArgs;
use crate::error::{CliError, EXIT_FAILED, EXIT_SETTINGS, EXIT_UNAVAILABLE, sentence};

pub(super) fn of_template(error: TemplateError) -> CliError {
    CliError::new(EXIT_SETTINGS, sentence(&error))
}

/// What cannot be done in the store.
pub(super) fn failed(error: &dyn std::error::Error) -> CliError {
    CliError::new(EXIT_FAILED, sentence(error))
}

/// The function that arguments name.
///
/// # Errors
/// There is none.
pub(super) fn project(args: &ProjectArgs) -> Result<Project, CliError> {
    Project::read(&args.folder, args.name.as_deref()).map_err(of_project)
}

fn of_project(error: ProjectError) -> CliError {
    let failure = CliError::new(EXIT_SETTINGS, sentence(&error));
    match error {
        ProjectError::Choice { .. } => failure.hint("choose one with --name"),
        _ => failure.hint("`eddyline function new NAME` makes a folder with everything"),
    }
}

pub(super) fn of_build(error: BuildError) -> CliError {
    let code = match &error {
        BuildError::Recipe(RecipeError::Tool(ToolError::Missing { .. }) | RecipeError::Target) => {
            EXIT_UNAVAILABLE
        }
        BuildError::Recipe(RecipeError::Tool(_) | RecipeError::Nothing)
        | BuildError::Check(_)
        | BuildError::Interrupted(_) => EXIT_FAILED,
        _ => EXIT_SETTINGS,
    };
    CliError::new(code, sentence(&error))
}

pub(super) fn of_file(error: FileError) -> CliError {
    CliError::new(EXIT_SETTINGS, sentence(&error))
}

pub(super) fn of_run(error: RunError) -> CliError {
    let code = match &error {
        RunError::Record { .. } => EXIT_SETTINGS,
        _ => EXIT_FAILED,
    };
    CliError::new(code, sentence(&error))
}
