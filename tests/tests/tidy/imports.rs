//! Which modules a crate has, and which of them a file names: read as text, as rustfmt
//! writes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::tree;

/// A module's path inside its crate; empty: the root.
pub type Module = Vec<String>;

/// The root file of every library and program of the workspace, tests left out.
pub fn roots() -> Vec<PathBuf> {
    let manifests = tree::files("toml").into_iter();
    let manifests = manifests.filter(|path| path.ends_with("Cargo.toml"));
    let folders = manifests.filter_map(|path| path.parent().map(Path::to_owned));
    let roots = folders.flat_map(|folder| ["src/lib.rs", "src/main.rs"].map(|at| folder.join(at)));
    roots.filter(|root| root.is_file()).collect()
}

/// Every module of a crate that has a file of its own.
pub fn modules(root: &Path) -> BTreeMap<Module, PathBuf> {
    let mut found = BTreeMap::new();
    let folder = root.parent().expect("a file is in a folder");
    collect(root, folder, Vec::new(), &mut found);
    found
}

fn collect(file: &Path, folder: &Path, at: Module, found: &mut BTreeMap<Module, PathBuf>) {
    for name in declared(&source(&tree::read(file))) {
        let candidates = [
            folder.join(format!("{name}.rs")),
            folder.join(&name).join("mod.rs"),
        ];
        if let Some(child) = candidates.into_iter().find(|path| path.is_file()) {
            let path = [at.as_slice(), std::slice::from_ref(&name)].concat();
            collect(&child, &folder.join(&name), path, found);
        }
    }
    found.insert(at, file.to_owned());
}

/// The names of `mod name;` declarations.
fn declared(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let named = lines.filter_map(|line| {
        let rest = line.strip_suffix(';')?;
        let (visibility, name) = rest.rsplit_once(' ').unwrap_or(("", rest));
        visibility.ends_with("mod").then(|| name.to_owned())
    });
    named.filter(|name| name != "tests").collect()
}

/// The code of a file: without comments, and without test modules, which stand last.
fn source(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("#[cfg(") && line.contains("test") {
            let next = lines.peek().map_or("", |next| next.trim());
            if next.starts_with("mod ") && next.ends_with('{') {
                break;
            }
        }
        if !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// Every path of this crate that a file names, from the crate's root on.
pub fn paths(text: &str, module: &Module, modules: &BTreeMap<Module, PathBuf>) -> Vec<Module> {
    let code = source(text);
    let mut found = Vec::new();
    for tree in uses(&code) {
        found.extend(
            expand(&tree)
                .into_iter()
                .filter_map(|path| rooted(&path, module, modules)),
        );
    }
    for path in inline(&without_handed_on(&code)) {
        found.extend(rooted(&path, module, modules));
    }
    found
}

/// The trees of `use` declarations; what a file only hands on (`pub use`) it does not
/// need to be read.
fn uses(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let before = rest[..at].lines().next_back().unwrap_or_default().trim();
        let declares = before.is_empty();
        rest = &rest[at + 4..];
        if let (true, Some(end)) = (declares, rest.find(';')) {
            found.push(rest[..end].split_whitespace().collect());
        }
    }
    found
}

/// The code without its `pub use` declarations.
fn without_handed_on(code: &str) -> String {
    let (mut kept, mut inside) = (String::new(), false);
    for line in code.lines() {
        let start = line.trim_start();
        inside |= start.starts_with("pub") && start.contains(" use ");
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !line.trim_end().ends_with(';');
    }
    kept
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, inner)) = tree.split_once('{') else {
        return vec![tree.to_owned()];
    };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut parts, mut depth, mut part) = (Vec::new(), 0, String::new());
    for c in inner.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts
        .flat_map(|part| expand(part))
        .map(|part| format!("{prefix}{part}"))
        .collect()
}

/// Paths in the code itself: runs of names joined by `::`.
fn inline(code: &str) -> Vec<String> {
    let part_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c: char| !part_of_path(c));
    words
        .filter(|word| word.contains("::"))
        .map(str::to_owned)
        .collect()
}

/// A path as written in `module`, from the root on; `None` for another crate's.
fn rooted(path: &str, module: &Module, modules: &BTreeMap<Module, PathBuf>) -> Option<Module> {
    let mut parts = path
        .split("::")
        .map(str::to_owned)
        .filter(|part| !part.is_empty());
    let first = parts.next()?;
    let mut base = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.clone(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => {
            let child = [module.as_slice(), &[first]].concat();
            if !modules.contains_key(&child) {
                return None;
            }
            child
        }
    };
    for part in parts {
        if part == "super" {
            base.pop()?;
        } else {
            base.push(part);
        }
    }
    Some(base)
}

/// The deepest module on the way of a path.
pub fn deepest(path: &Module, modules: &BTreeMap<Module, PathBuf>) -> Option<Module> {
    let lengths = (0..=path.len()).rev();
    let mut ways = lengths.map(|length| path[..length].to_vec());
    ways.find(|way| modules.contains_key(way))
}

#[test]
fn paths_are_read_in_every_form() {
    let names = ["", "a", "a.b", "c"];
    let modules: BTreeMap<Module, PathBuf> = names
        .iter()
        .map(|name| {
            let module = name.split('.').filter(|part| !part.is_empty());
            (module.map(str::to_owned).collect(), PathBuf::from(name))
        })
        .collect();
    let text = "use crate::c::{D, self};\npub use crate::a::handed_on;\nuse b::E;\nuse super::c;\nuse std::fmt;\n\
                fn f() {\n    super::g();\n    // crate::nothing\n}\n\
                #[cfg(test)]\nmod tests {\n    use crate::hidden;\n}\n";
    let found = paths(text, &vec!["a".to_owned()], &modules);
    let found: Vec<String> = found.iter().map(|path| path.join(".")).collect();
    for expected in ["c.D", "c.self", "a.b.E", "c", "g"] {
        assert!(
            found.contains(&expected.to_owned()),
            "{expected} in {found:?}"
        );
    }
    assert!(!found.iter().any(|path| {
        ["hidden", "nothing", "handed_on"]
            .iter()
            .any(|name| path.contains(name))
    }));
    let deep = |path: &str| {
        let path = path.split('.').map(str::to_owned).collect();
        deepest(&path, &modules).map(|module| module.join("."))
    };
    assert_eq!(deep("a.b.E"), Some("a.b".to_owned()));
    assert_eq!(deep("a.E"), Some("a".to_owned()));
    assert_eq!(deep("g"), Some(String::new()));
}
