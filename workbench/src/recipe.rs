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
/// What stands for the compiler in a line of a recipe.
const COMPILER: &str = "{compiler}";
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
    let recipe = recipe(language).expect("every language but Rust has a recipe: tested");
    let installed = recipe.installed.as_ref();
    let installs = match installed.is_none_or(|folder| sources.join(folder).exists()) {
        true => &[][..],
        false => &recipe.install,
    };
    let compiler = compiler(&recipe, sources).await?;
    for line in installs.iter().chain(&recipe.build) {
        let line = line.replace(COMPILER, &compiler);
        told(&line);
        tool(&recipe, &line, sources).run(sources, told).await?;
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

/// A line of a recipe, ready to be run.
fn tool(recipe: &Recipe, line: &str, sources: &Path) -> Tool {
    let mut words = line
        .split_whitespace()
        .flat_map(|word| named(word, sources));
    let name = words.next().unwrap_or_default();
    Tool {
        program: match name.contains('/') {
            true => sources.join(&name),
            false => PathBuf::from(&name),
        },
        name,
        advice: recipe.needs.clone(),
        arguments: words.collect(),
        environment: recipe.environment.clone(),
    }
}

/// What a word of a line stands for: `lib/*.c`, say, for the files of that folder that end
/// so.
fn named(word: &str, sources: &Path) -> Vec<String> {
    let Some((folder, end)) = word.split_once('*') else {
        return vec![word.to_owned()];
    };
    let entries = std::fs::read_dir(sources.join(folder));
    let names = entries.into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ending = names.filter(|name| name.ends_with(end));
    let mut paths: Vec<String> = ending.map(|name| format!("{folder}{name}")).collect();
    paths.sort();
    paths
}

/// The first of the recipe's compilers that is there; empty if it names none.
async fn compiler(recipe: &Recipe, sources: &Path) -> Result<String, RecipeError> {
    if recipe.compilers.is_empty() {
        return Ok(String::new());
    }
    for compiler in &recipe.compilers {
        let asked = tool(recipe, &format!("{compiler} --version"), sources);
        if asked.run(sources, &mut |_| {}).await.is_ok() {
            return Ok(compiler.clone());
        }
    }
    Err(RecipeError::Tool(ToolError::Missing {
        tool: format!("a compiler ({})", recipe.compilers.join(", ")),
        advice: recipe.needs.clone(),
    }))
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
    /// Beginnings of commands, of which the first that is there takes the place of
    /// `{compiler}`.
    #[serde(default)]
    compilers: Vec<String>,
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
    fn every_language_but_rust_has_a_recipe() {
        for language in language::ALL {
            assert_eq!(recipe(language).is_none(), language == Language::Rust);
        }
    }

    #[tokio::test]
    async fn a_missing_compiler_is_one_sentence() {
        let none = Recipe {
            compilers: vec!["no-such-tool cc".into(), ".venv/bin/python -m none".into()],
            needs: "install one".into(),
            ..recipe(Language::C).unwrap()
        };
        let found = |recipe| async move {
            let folder = tempfile::tempdir().unwrap();
            compiler(&recipe, folder.path()).await
        };
        let said = found(none).await.unwrap_err().to_string();
        let tried = "no-such-tool cc, .venv/bin/python -m none";
        assert_eq!(
            said,
            format!("a compiler ({tried}) is missing: install one")
        );
        let second = Recipe {
            compilers: vec!["no-such-tool".into(), "true".into()],
            ..recipe(Language::C).unwrap()
        };
        assert_eq!(found(second).await.unwrap(), "true");
    }

    #[test]
    fn a_line_names_files_by_their_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lib")).unwrap();
        for name in ["b.c", "a.c", "a.h", "lib/d.c"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let line = "cc -o x *.c lib/*.c";
        let tool = tool(&recipe(Language::C).unwrap(), line, folder.path());
        assert_eq!(tool.arguments, ["-o", "x", "a.c", "b.c", "lib/d.c"]);
    }
}
