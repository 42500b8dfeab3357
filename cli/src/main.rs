//! The `eddyline` program: reads the command line and hands over to the library.

use std::process::ExitCode;

use clap::Parser;
use cli::args::Arguments;
use cli::command;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(command::run(arguments));
    // A command that was interrupted may have left a blocking start behind, which
    // must not hold up the end; servers that it started die with this process.
    runtime.shutdown_background();
    code
}
