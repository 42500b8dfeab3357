//! Functions of a module's file: `module_digest`, `module_problem`.

use std::path::Path;

use control::{FunctionDraft, alone};
use protocol::name::{FunctionName, StoreName};
use service::chain::Chain;

use crate::call::definition::{Call, CallError, refuse};
use crate::fields::value_of;
use crate::resource::function::read_module;
use crate::schema::Kind;
use crate::value::Value;

/// `module_digest(path)`.
pub fn digest() -> Call {
    Call {
        name: "module_digest",
        summary: "The digest of a module's file, as a deployed function has it.",
        parameters: vec![("path", Kind::Text, "The file.")],
        returns: Kind::Text,
        body: |arguments| {
            let wasm = read(arguments)?;
            Ok(value_of(&control::digest(&wasm)))
        },
    }
}

/// `module_problem(path)`.
pub fn problem() -> Call {
    Call {
        name: "module_problem",
        summary: "What keeps a module from being deployed, or null: it is compiled and started as \
                  a worker does it, without settings. For preconditions and tests.",
        parameters: vec![("path", Kind::Text, "The file.")],
        returns: Kind::Text,
        body: |arguments| {
            let wasm = match read(arguments) {
                Ok(wasm) => wasm,
                Err(error) => return Ok(Value::Text(error.problem)),
            };
            let name =
                FunctionName::parse("module").map_err(|error| refuse(0, error.to_string()))?;
            let store = StoreName::parse("main").map_err(|error| refuse(0, error.to_string()))?;
            let draft = FunctionDraft::new(name, store, Vec::new());
            let checked = alone::check(&draft, &[wasm], Some(&running::compiled()));
            Ok(match checked {
                Ok(()) => Value::Null,
                Err(error) => Value::text(Chain(&error).to_string()),
            })
        },
    }
}

fn read(arguments: &[Value]) -> Result<bytes::Bytes, CallError> {
    let path = arguments
        .first()
        .and_then(Value::as_text)
        .unwrap_or_default();
    read_module(Path::new(path)).map_err(|problem| refuse(0, problem))
}
