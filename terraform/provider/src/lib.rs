//! `terraform-provider-eddyline`: stores, namespaces and functions, planned and applied by
//! Terraform, over what every deployer uses.
//!
//! Layout
//! - [`wire`]: the handshake, the one connection, the generated code
//! - [`plugin`]: Terraform's calls, carried out; [`guard`]: what panics becomes an answer
//! - [`value`], [`schema`], [`diagnostic`]: values, attributes and plans, what people are told
//! - [`fields`]: attributes as the project's own types
//! - [`resource`], [`data`], [`call`]: one file for each thing that there is
//! - [`settings`], [`connection`]: which NATS, and the way there; [`environment`]
//! - [`mod@reference`]: the page that lists all of it
//!
//! Owns no state beyond one run. What is allowed is decided in `control`, and nowhere here.

pub mod call;
pub mod connection;
pub mod data;
pub mod diagnostic;
pub mod environment;
pub mod fields;
pub mod guard;
mod log;
pub mod plugin;
pub mod reference;
pub mod resource;
pub mod schema;
pub mod settings;
pub mod value;
pub mod wire;

use std::process::ExitCode;

use service::chain::Chain;

use self::plugin::Plugin;
use self::wire::{handshake, server};

/// One run, from the handshake to the end.
pub fn run() -> ExitCode {
    let wanted = match handshake::read(environment::variable) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    log::quiet_panics();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::error(&format!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(server::serve(wanted, Plugin::new()));
    // A module that is being compiled is not waited for.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(&Chain(&error).to_string());
            ExitCode::FAILURE
        }
    }
}
