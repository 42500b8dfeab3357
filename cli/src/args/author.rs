//! The arguments of what an author does with a function on their disk: `eddyline function`
//! with `new`, `build`, `test` and `dev`. Plain values.

use std::path::PathBuf;

use clap::Args;

/// `eddyline function new`.
#[derive(Debug, Args)]
pub struct New {
    /// Its name: also that of its folder and of its namespace.
    pub name: String,
    /// What it is written in: rust, js, ts, python, go or c.
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    pub lang: String,
    /// Let it react to stored events instead of standing before them.
    #[arg(long)]
    pub reactive: bool,
}

/// Which function on this disk.
#[derive(Debug, Args)]
pub struct ProjectArgs {
    /// The folder of eddyline.toml.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// The function; needed where eddyline.toml has several.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `eddyline function build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Which function.
    #[command(flatten)]
    pub project: ProjectArgs,
}

/// `eddyline function test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Which function.
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Keep what comes out as what is expected from now on.
    #[arg(long)]
    pub write: bool,
}

/// `eddyline function dev`.
#[derive(Debug, Args)]
pub struct FunctionDev {
    /// Which function.
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Join this running `dev`, by its name; needed where several run. Without one, a
    /// stack without mirror is started.
    #[arg(long, env = "EDDYLINE_DEV", value_name = "NAME")]
    pub dev: Option<String>,
}
