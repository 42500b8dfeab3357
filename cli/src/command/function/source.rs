//! A function on disk, as a command line names it: one of an application's file, or a
//! module by itself. Owns nothing.

use std::path::Path;

use bytes::Bytes;
use control::app::App;
use control::{FunctionDraft, Wanted};
use protocol::filter::HeaderFilter;
use protocol::name::{ChannelPattern, FunctionName, StoreName};
use protocol::spec::FunctionLimits;
use serde_json::{Map, Value};

use crate::args::function::{ModuleArgs, SourceArgs};
use crate::command::application::{self, Project};
use crate::error::{CliError, EXIT_SETTINGS};
use crate::nats;

/// How a module's file name ends.
const MODULE: &str = "wasm";
/// The store of a function that names none.
const STORE: &str = "main";

/// What is wanted for it: the function, and from a file the namespaces that are there for
/// it.
///
/// # Errors
/// The file or the module cannot be used, or it is not clear which function is meant.
pub fn wanted(args: &SourceArgs) -> Result<Wanted, CliError> {
    match args.path.extension().is_some_and(|end| end == MODULE) {
        true => of_module(args),
        false => of_project(args),
    }
}

/// A function of a file, with the namespaces that are there for it.
fn of_project(args: &SourceArgs) -> Result<Wanted, CliError> {
    if !args.module.is_empty() {
        let text = "--on, --emits, --config, --limit, --linger-ms, --loops and --store are for a \
                    module: an eddyline.toml says them itself";
        return Err(CliError::new(EXIT_SETTINGS, text));
    }
    let Project { app, root } = application::read(&args.path)?;
    let name = choose(&app, args.name.as_deref())?;
    let mut namespaces = app.namespaces;
    namespaces.retain(|_, entry| entry.gate.as_ref().is_none_or(|gate| *gate == name));
    let mut functions = app.functions;
    functions.retain(|other, _| *other == name);
    let part = Project {
        app: App {
            namespaces,
            functions,
        },
        root,
    };
    Ok(Wanted::of_app(&part.app, &part.modules()?)?)
}

/// The function that is meant.
fn choose(app: &App, name: Option<&str>) -> Result<FunctionName, CliError> {
    let known = || {
        let names: Vec<&str> = app.functions.keys().map(FunctionName::as_str).collect();
        names.join(", ")
    };
    let wrong = |text: String| CliError::new(EXIT_SETTINGS, text);
    match (name, app.functions.len()) {
        (Some(name), _) => {
            let name: FunctionName = nats::name(name)?;
            match app.functions.contains_key(&name) {
                true => Ok(name),
                false => Err(wrong(format!("it has no function {name}: {}", known()))),
            }
        }
        (None, 1) => Ok(app.functions.keys().next().expect("there is one").clone()),
        (None, 0) => Err(wrong("it has no function".to_owned())),
        (None, _) => Err(wrong(format!("it has several functions: {}", known()))
            .hint("choose one with --name, or use `eddyline apply` for all")),
    }
}

/// A module with what the command line says of it.
fn of_module(args: &SourceArgs) -> Result<Wanted, CliError> {
    let wasm = std::fs::read(&args.path).map_err(|error| {
        let text = format!("{} cannot be read: {error}", args.path.display());
        CliError::new(EXIT_SETTINGS, text)
    })?;
    let name = match &args.name {
        Some(name) => nats::name(name)?,
        None => nats::name(&stem(&args.path))?,
    };
    let draft = draft(name, &args.module)?;
    Ok(Wanted {
        namespaces: Vec::new(),
        functions: vec![(draft, vec![Bytes::from(wasm)])],
    })
}

/// A file's name as a function's: what cargo builds has `_` for each `-`.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.replace('_', "-")
}

fn draft(name: FunctionName, args: &ModuleArgs) -> Result<FunctionDraft, CliError> {
    let patterns = |texts: &[String]| -> Result<Vec<ChannelPattern>, CliError> {
        texts.iter().map(|text| nats::name(text)).collect()
    };
    let mut headers = HeaderFilter::default();
    for (name, value) in &args.headers {
        headers.demand(name, value);
    }
    let store: StoreName = nats::name(args.store.as_deref().unwrap_or(STORE))?;
    Ok(FunctionDraft {
        headers,
        emits: patterns(&args.emits)?,
        config: args.config.iter().cloned().collect(),
        limits: limits(&args.limits)?,
        linger_ms: args.linger_ms.unwrap_or_default(),
        loops: args.loops,
        ..FunctionDraft::new(name, store, patterns(&args.on)?)
    })
}

/// Limits by their names, as a file has them.
fn limits(given: &[(String, String)]) -> Result<FunctionLimits, CliError> {
    let read = |(name, text): &(String, String)| {
        let value: Value = serde_json::from_str(text).unwrap_or(Value::String(text.clone()));
        (name.clone(), value)
    };
    let fields: Map<String, Value> = given.iter().map(read).collect();
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| CliError::new(EXIT_SETTINGS, format!("--limit: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_by_its_file() {
        assert_eq!(stem(Path::new("/x/document_gate.wasm")), "document-gate");
    }

    #[test]
    fn limits_are_those_of_a_file() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let found = limits(&[pair("deadline_ms", "100")]);
        assert!(found.is_ok_and(|limits| limits.deadline_ms == 100 && limits.attempts == 10));
        for wrong in [pair("deadline", "1"), pair("attempts", "many")] {
            let error = limits(&[wrong]).err().unwrap();
            assert_eq!(error.code, EXIT_SETTINGS);
        }
    }
}
