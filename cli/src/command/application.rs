//! An application on disk, and a plan on the screen: what `apply` and `function deploy`
//! share. Owns nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use control::app::{App, FILE, FunctionEntry};
use control::{Action, Deployed, Deployer, Plan, Step, Thing};
use protocol::name::FunctionName;
use serde::Serialize;

use crate::error::{CliError, EXIT_SETTINGS, sentence};
use crate::output::Output;
use crate::table::share;

/// Longest value of a difference that is shown, in characters: digests are told apart by
/// less, and lists have to fit a line.
const VALUE_CHARS_MAX: usize = 40;

/// An application and the folder that its paths start from.
pub struct Project {
    /// What its file says.
    pub app: App,
    /// Where the file is.
    pub root: PathBuf,
}

/// Reads an application's file, by its path or its folder's.
///
/// # Errors
/// It is not there or not readable.
pub fn read(path: &Path) -> Result<Project, CliError> {
    let file = match path.is_dir() {
        true => path.join(FILE),
        false => path.to_owned(),
    };
    let app = App::read(&file).map_err(|error| {
        let failure = CliError::new(EXIT_SETTINGS, sentence(&error));
        match path.is_dir() && !file.exists() {
            true => failure.hint(format!(
                "`eddyline function new NAME` makes a folder with an {FILE}"
            )),
            false => failure,
        }
    })?;
    let root = file.parent().unwrap_or(Path::new("")).to_owned();
    Ok(Project { app, root })
}

impl Project {
    /// The modules of each function.
    ///
    /// # Errors
    /// One is not there.
    pub fn modules(&self) -> Result<BTreeMap<FunctionName, Vec<Bytes>>, CliError> {
        let functions = self.app.functions.iter();
        functions
            .map(|(name, entry)| {
                let own = self.module(name, entry)?;
                let modules = entry.modules(&self.root, own);
                let wrong = |error| CliError::new(EXIT_SETTINGS, sentence(&error));
                Ok((name.clone(), modules.map_err(wrong)?))
            })
            .collect()
    }

    fn module(&self, name: &FunctionName, entry: &FunctionEntry) -> Result<Bytes, CliError> {
        let file = entry.module_file(&self.root, name);
        std::fs::read(&file).map(Bytes::from).map_err(|error| {
            let text = format!("the module of {name}, {}: {error}", file.display());
            let folder = entry.folder.as_deref().unwrap_or(Path::new(""));
            let folder = self.root.join(folder);
            let failure = CliError::new(EXIT_SETTINGS, text);
            match entry.lang {
                Some(_) => failure.hint(format!(
                    "`eddyline function build {}` builds it",
                    folder.display()
                )),
                None => failure,
            }
        })
    }
}

#[derive(Serialize)]
struct Told<'a> {
    kind: &'static str,
    name: &'a str,
    action: &'a Action,
    notes: &'a [String],
    /// Whether it is done; false in a plan that is only shown.
    done: bool,
}

/// Shows a plan and carries it out, step by step. Returns the functions that are deployed
/// now, unless it was only to be shown.
///
/// # Errors
/// A step fails; those before it are done.
pub async fn carry_out(
    deployer: &Deployer,
    plan: &Plan,
    dry_run: bool,
    output: &Output,
) -> Result<Vec<Deployed>, CliError> {
    let mut deployed = Vec::new();
    for step in &plan.steps {
        if !dry_run {
            deployed.extend(deployer.carry_out(plan, step).await?);
        }
        let (kind, name) = match &step.thing {
            Thing::Namespace(spec) => ("namespace", spec.name.as_str()),
            Thing::Function(spec, _) => ("function", spec.name.as_str()),
        };
        let told = Told {
            kind,
            name,
            action: &step.action,
            notes: &step.notes,
            done: !dry_run,
        };
        output.result(&told, || line(step, dry_run))?;
        for note in &step.notes {
            output.note(&format!("    note: {note}"));
        }
    }
    Ok(deployed)
}

fn line(step: &Step, dry_run: bool) -> String {
    let verb = match (&step.action, dry_run) {
        (Action::Create, true) => "create ",
        (Action::Create, false) => "created",
        (Action::Change(_), true) => "change ",
        (Action::Change(_), false) => "changed",
        (Action::Keep, true) => "keep   ",
        (Action::Keep, false) => "kept   ",
    };
    let mut text = format!("{verb}  {}", step.what());
    if let (Thing::Function(spec, _), false) = (&step.thing, step.action == Action::Keep) {
        text.push_str(&match &spec.canary {
            None => format!(" (version {})", spec.version),
            Some(canary) => format!(
                " (version {} on trial on {} of its channels)",
                canary.candidate.version,
                share(canary.permille)
            ),
        });
    }
    if let Action::Change(differences) = &step.action {
        for found in differences {
            let (from, to) = (short(&found.from), short(&found.to));
            text.push_str(&format!("\n    {}: {from} -> {to}", found.field));
        }
    }
    text
}

fn short(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(text) => crate::output::harmless(text),
        value => value.to_string(),
    };
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let cut: String = text.chars().take(VALUE_CHARS_MAX - 3).collect();
    format!("{cut}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_harmless() {
        let value = |text: &str| short(&serde_json::Value::String(text.to_owned()));
        assert_eq!(value("a\nb"), "a\\nb");
        assert_eq!(value(&"x".repeat(64)).chars().count(), VALUE_CHARS_MAX);
        assert_eq!(short(&serde_json::Value::Null), "-");
    }
}
