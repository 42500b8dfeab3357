//! How each language becomes a component: which tools, in which order, and where the
//! component is then. Owns nothing; every path is in the folder of the sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::component::{self, ComponentError};
use crate::embedded::TEMPLATES;
use crate::language::{self, Language};
use crate::tool::{Tool, ToolError};

/// The target that Rust functions are built for.
const TARGET: &str = "wasm32-wasip2";
/// What to install where cargo is missing.
const RUST: &str = "install Rust from https://rustup.rs";
/// The folder with the interface, in every folder of sources.
const WIT: &str = "wit";
/// The file with the recipes of the other languages, among the templates.
const RECIPES: &str = "recipes.toml";

/// Why sources do not become a component.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// A tool is missing or failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Rust lacks the target.
    #[error("Rust's target {TARGET} is missing: run `rustup target add {TARGET}`")]
    Target,
    /// The language cannot be built yet.
    #[error("functions in {language} are not built by this command: name their module instead")]
    Language {
        /// Its name.
        language: &'static str,
    },
    /// What the tools made cannot become a component.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The tools made no component.
    #[error("the build made no component")]
    Nothing,
}

/// Builds the sources of a folder; says where the component is. What tools write is told
/// line by line. A dropped future ends the tool that runs.
///
/// # Errors
/// [`RecipeError`].
pub async fn follow(
    language: Language,
    sources: &Path,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<PathBuf, RecipeError> {
    // Programs inside the folder are named from the root: they are started in the folder.
    let sources = sources.canonicalize().map_err(|source| ToolError::Io {
        tool: sources.display().to_string(),
        source,
    })?;
    match language {
        Language::Rust => rust(&sources, told).await,
        other => written(other, &sources, told).await,
    }
}

async fn rust(sources: &Path, told: &mut (dyn FnMut(&str) + Send)) -> Result<PathBuf, RecipeError> {
    let libraries = ["--print", "target-libdir", "--target", TARGET];
    let libraries = Tool::new("rustc", RUST, &libraries)
        .run(sources, told)
        .await?;
    if !libraries
        .first()
        .is_some_and(|path| Path::new(path).is_dir())
    {
        return Err(RecipeError::Target);
    }
    let build = [
        "build",
        "--release",
        "--target",
        TARGET,
        "--message-format",
        "json-render-diagnostics",
    ];
    let messages = Tool::new("cargo", RUST, &build).run(sources, told).await?;
    let component = messages.iter().rev().find_map(|line| artifact(line));
    component.ok_or(RecipeError::Nothing)
}

/// The component that a message of cargo tells of. Cargo alone knows where it is: a
/// variable or a setting may have moved the target folder.
fn artifact(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let kinds = message["target"]["crate_types"].as_array()?;
    let is_library = kinds.iter().any(|kind| kind == "cdylib");
    let names = message["filenames"].as_array()?.iter();
    let mut names = names.filter_map(Value::as_str).map(PathBuf::from);
    let component = names.find(|name| name.extension().is_some_and(|end| end == "wasm"));
    component.filter(|_| is_library)
}

/// Follows the recipe that lies with the templates.
async fn written(
    language: Language,
    sources: &Path,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<PathBuf, RecipeError> {
    let recipe = recipe(language).ok_or(RecipeError::Language {
        language: language::name(language),
    })?;
    let installed = recipe.installed.as_ref();
    let installs = match installed.is_none_or(|folder| sources.join(folder).exists()) {
        true => &[][..],
        false => &recipe.install,
    };
    for line in installs.iter().chain(&recipe.build) {
        let mut words = line.split_whitespace().map(str::to_owned);
        let name = words.next().unwrap_or_default();
        told(line);
        let tool = Tool {
            program: match name.contains('/') {
                true => sources.join(&name),
                false => PathBuf::from(&name),
            },
            name,
            advice: recipe.needs.clone(),
            arguments: words.collect(),
            environment: recipe.environment.clone(),
        };
        tool.run(sources, told).await?;
    }
    let module = sources.join(&recipe.module);
    if let Some(core) = &recipe.core {
        wrap(sources.join(core), module.clone(), sources.join(WIT)).await?;
    }
    module
        .is_file()
        .then_some(module)
        .ok_or(RecipeError::Nothing)
}

/// Makes a component of a core module. Takes up to a second, on a thread for that.
async fn wrap(core: PathBuf, module: PathBuf, wit: PathBuf) -> Result<(), RecipeError> {
    let file = |path: &Path| {
        let path = path.display().to_string();
        move |source| ToolError::Io { tool: path, source }
    };
    let made = tokio::task::spawn_blocking(move || -> Result<(), RecipeError> {
        let wasm = std::fs::read(&core).map_err(file(&core))?;
        let made = component::make(wasm, &wit)?;
        Ok(std::fs::write(&module, made).map_err(file(&module))?)
    });
    made.await.map_err(|_| RecipeError::Nothing)?
}

/// How a folder made from a template is built.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    /// What to install where a tool is missing.
    needs: String,
    /// What is there once `install` has been done; nothing has to be installed where it is
    /// missing.
    installed: Option<PathBuf>,
    /// Commands, one after another.
    #[serde(default)]
    install: Vec<String>,
    /// Variables of the commands.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// A core module that the commands leave, of which the component is made.
    core: Option<PathBuf>,
    /// Commands, one after another.
    build: Vec<String>,
    /// What comes out.
    module: PathBuf,
}

/// The recipe of a language, if there is one.
fn recipe(language: Language) -> Option<Recipe> {
    let (_, text) = TEMPLATES.iter().find(|(path, _)| *path == RECIPES)?;
    let mut recipes: BTreeMap<String, Recipe> =
        toml::from_str(text).expect("the recipes inside the program are tested");
    recipes.remove(language::name(language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_the_component_is() {
        let message = r#"{"reason":"compiler-artifact","target":{"crate_types":["cdylib","rlib"]},
            "filenames":["/t/libfunction.rlib","/t/function.wasm"]}"#;
        assert_eq!(artifact(message), Some(PathBuf::from("/t/function.wasm")));
        let other = r#"{"reason":"compiler-artifact","target":{"crate_types":["lib"]},
            "filenames":["/t/libsdk.rlib"]}"#;
        assert_eq!(artifact(other), None);
        assert_eq!(artifact("warning: no JSON"), None);
    }

    #[test]
    fn every_recipe_can_be_read() {
        let text = TEMPLATES.iter().find(|(path, _)| *path == RECIPES);
        let names: BTreeMap<String, toml::Table> =
            text.map_or_else(BTreeMap::new, |(_, text)| toml::from_str(text).unwrap());
        for name in names.keys() {
            assert!(recipe(language::parse(name).unwrap()).is_some(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_language_without_a_recipe_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let built = follow(Language::C, folder.path(), &mut |_| {}).await;
        assert!(
            built
                .unwrap_err()
                .to_string()
                .contains("in c are not built")
        );
    }
}
