//! `simulate`: runs seeds for as long as asked, or one schedule again.
//!
//! Owns the arguments and the clock on the wall.

use std::process::ExitCode;

#[cfg(debug_assertions)]
mod command;

#[cfg(debug_assertions)]
fn main() -> ExitCode {
    command::main()
}

/// The switches that simulations need are not in a release build.
#[cfg(not(debug_assertions))]
fn main() -> ExitCode {
    eprintln!("simulate needs a build with debug assertions");
    ExitCode::from(64)
}
