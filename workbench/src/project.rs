//! A folder with an `eddyline.toml`, and the one function of it that is worked on.
//! Plain values, read once.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use control::app::{App, AppError, FILE, FunctionEntry};
use control::{StageDraft, digest};
use protocol::name::FunctionName;
use protocol::spec::{FunctionSpec, SpecError, Trigger};

/// A function on its author's disk.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder of `eddyline.toml`.
    pub folder: PathBuf,
    /// Everything that it says.
    pub app: App,
    /// The function.
    pub name: FunctionName,
    /// What is said of it.
    pub entry: FunctionEntry,
}

/// Why there is nothing to work on.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The file is missing or wrong.
    #[error(transparent)]
    App(#[from] AppError),
    /// The file has no function.
    #[error("{} names no function", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file has several functions, or none of that name.
    #[error("{} has the functions {}", path.display(), names.join(", "))]
    Choice {
        /// The file.
        path: PathBuf,
        /// What can be chosen.
        names: Vec<String>,
    },
}

impl Project {
    /// Reads the file of a folder; `wanted` names the function where there are several.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub fn read(folder: &Path, wanted: Option<&str>) -> Result<Self, ProjectError> {
        let path = folder.join(FILE);
        let app = App::read(&path)?;
        let fits = |name: &FunctionName| wanted.is_none_or(|wanted| wanted == name.as_str());
        let mut fitting = app.functions.iter().filter(|(name, _)| fits(name));
        let (name, entry) = match (fitting.next(), fitting.next()) {
            (Some((name, entry)), None) => (name.clone(), entry.clone()),
            _ if app.functions.is_empty() => return Err(ProjectError::Empty { path }),
            _ => {
                let names = app.functions.keys().map(ToString::to_string).collect();
                return Err(ProjectError::Choice { path, names });
            }
        };
        Ok(Self {
            folder: folder.to_owned(),
            app,
            name,
            entry,
        })
    }

    /// Where its sources are.
    pub fn sources(&self) -> PathBuf {
        match &self.entry.folder {
            Some(folder) => self.folder.join(folder),
            None => self.folder.clone(),
        }
    }

    /// Where its component is, or is built to.
    pub fn module(&self) -> PathBuf {
        self.entry.module_file(&self.folder, &self.name)
    }

    /// Whether it stands before the events of a namespace.
    pub fn is_gate(&self) -> bool {
        matches!(self.entry.trigger(), Trigger::Gate)
    }

    /// Its spec with the modules of its stages, as it would be deployed to an empty store.
    ///
    /// # Errors
    /// [`SpecError`] names the field.
    pub fn spec(&self, modules: &[Bytes]) -> Result<FunctionSpec, SpecError> {
        let entry = &self.entry;
        let trigger = entry.trigger();
        let (own, further) = modules.split_first().expect("a function has a module");
        let further = entry.then.iter().zip(further);
        let spec = FunctionSpec {
            then: further
                .map(|(stage, wasm)| StageDraft::of_entry(stage).with(wasm))
                .collect(),
            headers: entry.headers.clone(),
            emits: entry.emits.clone(),
            config: entry.config.clone(),
            limits: entry.limits.clone(),
            linger_ms: entry.linger_ms,
            loops: entry.loops,
            ..FunctionSpec::new(self.name.clone(), digest(own), entry.store.clone(), trigger)
        };
        spec.check()?;
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(text: &str, wanted: Option<&str>) -> Result<Project, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        Project::read(folder.path(), wanted).map_err(|error| error.to_string())
    }

    #[test]
    fn the_function_is_the_only_one_or_the_named_one() {
        let two = "[functions.a]\nlang = \"js\"\n[functions.b]\nmodule = \"m/b.wasm\"\n";
        let error = project(two, None).unwrap_err();
        assert!(error.ends_with("has the functions a, b"), "{error}");
        assert!(project(two, Some("c")).unwrap_err().contains("a, b"));
        let b = project(two, Some("b")).unwrap();
        assert!(b.module().ends_with("m/b.wasm") && b.is_gate());
        let one = project("[functions.a]\nfolder = \"f\"\non = [\"chat.>\"]", None).unwrap();
        assert!(one.module().ends_with("f/build/a.wasm") && !one.is_gate());
        assert!(project("", None).unwrap_err().contains("names no function"));
        let missing = Project::read(Path::new("/nowhere"), None).unwrap_err();
        assert!(missing.to_string().contains("eddyline.toml cannot be read"));
    }

    #[test]
    fn its_spec_is_checked() {
        let wrong = project("[functions.a]\nlimits = { attempts = 0 }", None).unwrap();
        let error = wrong.spec(&[Bytes::new()]).unwrap_err();
        assert_eq!(error.field, "limits.attempts");
    }
}
