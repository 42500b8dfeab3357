//! Builds guests as their authors do: a new folder of the language, a probe in place of
//! its handler, the language's recipe.
//!
//! Owns the folder where they are built, `target/guests`; what was built from the same
//! files before is taken from there.

use std::path::{Path, PathBuf};

use control::digest;
use tokio::sync::Mutex;
use workbench::language;
use workbench::recipe::{self, RecipeError};
use workbench::template::{self, Wanted};
use workbench::tool::ToolError;

/// A guest.
pub struct Guest {
    /// Its language.
    pub language: &'static str,
    /// The folder whose files replace the template's.
    pub probe: Option<&'static str>,
    /// Where its tools were fetched to, and where in the function's folder they belong.
    tools: Option<(&'static str, &'static str)>,
    /// Whether the tools have to be there where everything is demanded.
    demanded: bool,
}

static BUILDING: Mutex<()> = Mutex::const_new(());

/// JavaScript with its probe.
pub const JAVASCRIPT: Guest = Guest {
    language: "js",
    probe: Some("probe-js"),
    tools: Some(("js/node_modules", "node_modules")),
    demanded: true,
};
/// The template of TypeScript as it is.
pub const TYPESCRIPT: Guest = Guest {
    language: "ts",
    probe: None,
    ..JAVASCRIPT
};
/// Python with its probe.
pub const PYTHON: Guest = Guest {
    language: "python",
    probe: Some("probe-python"),
    tools: Some(("python", ".venv")),
    demanded: true,
};
/// Go with its probe.
pub const GO: Guest = Guest {
    language: "go",
    probe: Some("probe-go"),
    tools: None,
    demanded: false,
};
/// C with its probe.
pub const C: Guest = Guest {
    language: "c",
    probe: Some("probe-c"),
    tools: Some(("c", ".venv")),
    demanded: false,
};

/// Where guests are built.
pub fn folder() -> PathBuf {
    root().join("target/guests")
}

/// A function of this repository as it was built.
pub fn own(name: &str) -> Vec<u8> {
    let file = root().join(format!("target/wasm32-wasip2/release/{name}.wasm"));
    std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: run `make functions` first", file.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The component; nothing, with a sentence, where the tools are missing.
///
/// # Panics
/// When the tools are there and fail, or are demanded and missing.
pub async fn build(guest: &Guest) -> Option<Vec<u8>> {
    // Two tests that want one guest build it once.
    let _one = BUILDING.lock().await;
    std::fs::create_dir_all(folder()).unwrap();
    // A folder of its own, so that two test processes do not build into one.
    let work = tempfile::tempdir_in(folder()).unwrap();
    let sources = work.path().join("shout");
    let wanted = Wanted {
        name: "shout".into(),
        language: guest.language.into(),
        reactive: false,
    };
    template::make(&wanted, &sources).unwrap();
    if let Some(probe) = guest.probe {
        for entry in std::fs::read_dir(root().join("functions").join(probe)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, sources.join(path.file_name().unwrap())).unwrap();
        }
    }
    let name = &digest(&contents(&sources)).as_str()[..16].to_owned();
    let built = folder().join(format!("{}-{name}.wasm", guest.language));
    if let Ok(wasm) = std::fs::read(&built) {
        return Some(wasm);
    }
    if let Err(missing) = link_tools(guest, &sources) {
        return skip(guest, &missing);
    }
    let language = language::parse(guest.language).unwrap();
    match recipe::follow(language, &sources, &mut |line| eprintln!("{line}")).await {
        Ok(component) => std::fs::rename(component, &built).unwrap(),
        Err(RecipeError::Tool(missing @ ToolError::Missing { .. })) => {
            return skip(guest, &missing.to_string());
        }
        Err(error) => panic!("{}: {error:?}", guest.language),
    }
    Some(std::fs::read(built).unwrap())
}

/// Puts tools that were fetched for the tests in their place. Those that must have been
/// are not fetched by the recipe.
fn link_tools(guest: &Guest, sources: &Path) -> Result<(), String> {
    let Some((fetched, place)) = guest.tools else {
        return Ok(());
    };
    let tools = root().join(".cache/guest-tools").join(fetched);
    match tools.canonicalize() {
        Ok(tools) => {
            std::os::unix::fs::symlink(tools, sources.join(place)).unwrap();
            Ok(())
        }
        Err(_) if guest.demanded => Err(format!(
            "{} is missing; functions/tools.sh fetches it",
            tools.display()
        )),
        Err(_) => Ok(()),
    }
}

fn skip(guest: &Guest, missing: &str) -> Option<Vec<u8>> {
    let demanded = std::env::var_os("EDDYLINE_REQUIRE_E2E").is_some_and(|v| v == "1");
    assert!(!(demanded && guest.demanded), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

/// Every file of a folder, name and bytes, in one order.
fn contents(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        all.extend(path.file_name().unwrap().as_encoded_bytes());
        all.extend(match path.is_dir() {
            true => contents(&path),
            false => std::fs::read(&path).unwrap(),
        });
    }
    all
}
