//! Puts the templates, the guest SDK and the WIT into the library, so that a function
//! can be made where no checkout of the project is.
//!
//! Writes `embedded.rs`: the files of each folder, by their path inside it. Tests of the
//! SDK stay out: they need more than an author has.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Name of the list, and the folder whose files it holds.
const LISTS: [(&str, &str); 3] = [
    ("TEMPLATES", "../functions/templates"),
    ("RUST_SDK", "../functions/sdk/src"),
    ("WIT", "../functions/wit"),
];
/// The manifest that says which bindings the SDK is made for.
const WORKSPACE: &str = "../Cargo.toml";
/// What tools leave behind in a template that somebody has tried in place.
const LEFT_BEHIND: [&str; 5] = ["node_modules", "target", "build", ".venv", "__pycache__"];

fn main() {
    let mut code = String::new();
    for (name, folder) in LISTS {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        println!("cargo::rerun-if-changed={}", root.display());
        let mut files = Vec::new();
        collect(&root, &mut files);
        files.sort();
        writeln!(code, "/// Path inside `{folder}`, and text.").expect("a text grows");
        writeln!(code, "pub const {name}: &[(&str, &str)] = &[").expect("a text grows");
        for file in files {
            let inside = file
                .strip_prefix(&root)
                .expect("it was found below the root");
            let (inside, path) = (inside.display().to_string(), file.display().to_string());
            writeln!(code, "    ({inside:?}, include_str!({path:?})),").expect("a text grows");
        }
        writeln!(code, "];").expect("a text grows");
    }
    let bindings = bindings_version();
    writeln!(code, "/// Version of the crate wit-bindgen.").expect("a text grows");
    writeln!(code, "pub const WIT_BINDGEN: &str = {bindings:?};").expect("a text grows");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it for build scripts");
    let out = Path::new(&out).join("embedded.rs");
    std::fs::write(out, code).expect("the folder of the build can be written");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    // A folder that is not there has nothing.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if LEFT_BEHIND.contains(&name.as_str()) || name == "tests.rs" {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The version of wit-bindgen that the workspace names.
fn bindings_version() -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(WORKSPACE);
    println!("cargo::rerun-if-changed={}", manifest.display());
    let text = std::fs::read_to_string(manifest).expect("the workspace has a manifest");
    let line = text.lines().find(|line| line.starts_with("wit-bindgen = "));
    let line = line.expect("the workspace names wit-bindgen");
    let version = line.split('"').nth(1).expect("a version is quoted");
    version.to_owned()
}
