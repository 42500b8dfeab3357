//! Builds guests in other languages as their templates do: the template's files, the
//! interface, and a probe in place of the handler.
//!
//! Owns the folder where they are built, `target/guests`; what was built from the same
//! files before is taken from there.

use std::path::{Path, PathBuf};
use std::process::Command;

use parking_lot::Mutex;
use protocol::checkpoint::Digest;
use xxhash_rust::xxh3::xxh3_128;

/// How a language is built in these tests.
pub struct Recipe {
    /// Its template's folder.
    pub template: &'static str,
    /// The folder whose files replace the template's, or none.
    pub probe: &'static str,
    /// The folder of its tools, and where in the function's folder they belong.
    pub tools: (&'static str, &'static str),
    /// Commands, split at blanks, that make `build/function.wasm`.
    pub commands: &'static [&'static str],
}

static BUILDING: Mutex<()> = Mutex::new(());

const PYTHON: &str =
    ".venv/bin/componentize-py -d wit -w simple componentize -p . app -o build/function.wasm";

/// JavaScript with its probe.
pub const JAVASCRIPT: Recipe = Recipe {
    template: "js",
    probe: "probe-js",
    tools: ("js/node_modules", "node_modules"),
    commands: &["npm run --silent build"],
};
/// The template of TypeScript as it is.
pub const TYPESCRIPT: Recipe = Recipe {
    template: "ts",
    probe: "",
    tools: ("js/node_modules", "node_modules"),
    commands: &["npm run --silent build"],
};
/// Python with its probe.
pub const PYTHON_PROBE: Recipe = Recipe {
    template: "python",
    probe: "probe-python",
    tools: ("python", ".venv"),
    commands: &[PYTHON],
};

/// A name for bytes in these tests.
pub fn digest(bytes: &[u8]) -> Digest {
    let hash = xxh3_128(bytes).to_le_bytes();
    let mut twice = [0; 32];
    twice[..16].copy_from_slice(&hash);
    Digest::from_bytes(twice)
}

/// Where guests are built.
pub fn folder() -> PathBuf {
    root().join("target/guests")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The component; nothing, with a sentence, where the tools have not been fetched.
///
/// # Panics
/// When the tools are there and fail, or are demanded and missing.
pub fn build(recipe: &Recipe) -> Option<Vec<u8>> {
    let tools = root().join(".cache/guest-tools").join(recipe.tools.0);
    if !tools.is_dir() {
        let demanded = std::env::var_os("EDDYLINE_REQUIRE_E2E").is_some_and(|v| v == "1");
        assert!(
            !demanded,
            "{} is missing: run functions/tools.sh",
            tools.display()
        );
        eprintln!(
            "skipped: {} is missing; functions/tools.sh fetches it",
            tools.display()
        );
        return None;
    }
    // Two tests that want one guest build it once.
    let _one = BUILDING.lock();
    let functions = root().join("functions");
    let mut files = Vec::new();
    collect(
        &functions.join("templates").join(recipe.template),
        "",
        &mut files,
    );
    collect(&functions.join("wit"), "wit", &mut files);
    if !recipe.probe.is_empty() {
        collect(&functions.join(recipe.probe), "", &mut files);
    }
    let all: Vec<u8> = files
        .iter()
        .flat_map(|(name, text)| [name.as_bytes(), text].concat())
        .collect();
    let name = format!("{}-{}", recipe.template, &digest(&all).as_str()[..16]);
    let built = folder().join(format!("{name}.wasm"));
    if let Ok(wasm) = std::fs::read(&built) {
        return Some(wasm);
    }
    // A folder of its own, so that two test processes do not build into one.
    std::fs::create_dir_all(folder()).unwrap();
    let work = tempfile::Builder::new()
        .prefix(&name)
        .tempdir_in(folder())
        .unwrap();
    for (name, text) in files {
        let path = work.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink(
        tools.canonicalize().unwrap(),
        work.path().join(recipe.tools.1),
    )
    .unwrap();
    std::fs::create_dir_all(work.path().join("build")).unwrap();
    recipe
        .commands
        .iter()
        .for_each(|line| run(line, work.path()));
    std::fs::rename(work.path().join("build/function.wasm"), &built).unwrap();
    Some(std::fs::read(built).unwrap())
}

/// The files of a folder by their path inside it, below `prefix`, in one order.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = Path::new(prefix).join(name).to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(&path, &name, files);
            continue;
        }
        let text = std::fs::read(&path).unwrap();
        let text = match String::from_utf8(text) {
            Ok(text) => text.replace("{{name}}", "shout").into_bytes(),
            Err(error) => error.into_bytes(),
        };
        files.push((name, text));
    }
}

fn run(line: &str, folder: &Path) {
    let mut words = line.split(' ');
    let program = words.next().unwrap();
    let program = if program.contains('/') {
        folder.join(program)
    } else {
        PathBuf::from(program)
    };
    let output = Command::new(program)
        .args(words)
        .current_dir(folder)
        .output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{line}: {said}{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
