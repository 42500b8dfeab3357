//! Makes the folder of a new function from the templates inside the library.
//!
//! Owns nothing but the files that it writes; what is there is never written over.

use std::io;
use std::path::{Path, PathBuf};

use control::app::FILE as MANIFEST;
use protocol::name::FunctionName;

use crate::embedded::{RUST_SDK, TEMPLATES, WIT, WIT_BINDGEN};
use crate::language::{self, Language};

/// Longest name of a new function: it is also that of a package and of a namespace.
const NAME_BYTES_MAX: usize = 48;
/// Names that a package beside the SDK cannot have, and a namespace of the examples.
const TAKEN: [&str; 5] = ["sdk", "chat", "doc", "stats", "test"];
/// What a file's name ends with that only becomes that file in the new folder: a
/// manifest in here would be one of this project's own.
const SUFFIX: &str = ".template";

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name; also that of its namespace.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Whether it reacts to stored events instead of standing before them.
    pub reactive: bool,
}

/// Why there is no new function.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The name cannot be used.
    #[error(
        "{name:?} cannot be the name of a function: up to {NAME_BYTES_MAX} lower-case letters, \
         digits and -, a letter first, can"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The name has a meaning already.
    #[error("{name:?} cannot be the name of a function: it is taken")]
    Taken {
        /// The name.
        name: String,
    },
    /// There is no such language.
    #[error("{language:?} is none of the languages: {}", languages())]
    Language {
        /// What was asked for.
        language: String,
    },
    /// The folder holds something.
    #[error("the folder {} is not empty", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A file cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The languages that there is a template for.
fn offered() -> impl Iterator<Item = Language> {
    language::ALL.into_iter().filter(|language| {
        let folder = format!("{}/", language::name(*language));
        TEMPLATES.iter().any(|(path, _)| path.starts_with(&folder))
    })
}

fn languages() -> String {
    let names: Vec<&str> = offered().map(language::name).collect();
    names.join(", ")
}

/// Makes the folder; returns its files, by their path inside it.
///
/// # Errors
/// [`TemplateError`]; a folder that was begun stays as it is then.
pub fn make(wanted: &Wanted, folder: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    check_name(&wanted.name)?;
    let language = language::parse(&wanted.language)
        .filter(|language| offered().any(|offered| offered == *language))
        .ok_or_else(|| TemplateError::Language {
            language: wanted.language.clone(),
        })?;
    if holds_something(folder) {
        return Err(TemplateError::Occupied {
            folder: folder.to_owned(),
        });
    }
    let files = files(wanted, language);
    for (path, text) in &files {
        write(&folder.join(path), text)?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn check_name(name: &str) -> Result<(), TemplateError> {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !first || name.len() > NAME_BYTES_MAX || !name.bytes().all(valid) {
        return Err(TemplateError::Name { name: name.into() });
    }
    debug_assert!(FunctionName::parse(name).is_ok(), "narrower than the rule");
    if TAKEN.contains(&name) {
        return Err(TemplateError::Taken { name: name.into() });
    }
    Ok(())
}

/// Whether a folder, or a file in its place, must be left alone.
fn holds_something(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Every file of the new folder, with its text.
fn files(wanted: &Wanted, language: Language) -> Vec<(PathBuf, String)> {
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    let mut put = |path: &str, text: &str| {
        let path = PathBuf::from(path.strip_suffix(SUFFIX).unwrap_or(path));
        let text = filled(text, &wanted.name);
        match files.iter_mut().find(|(there, _)| *there == path) {
            Some(there) => there.1 = text,
            None => files.push((path, text)),
        }
    };
    // Later ones replace earlier ones: what is common, the language's, that of its kind.
    let mut layers = vec!["shared".to_owned(), language::name(language).to_owned()];
    if wanted.reactive {
        layers.push(format!("{}-reactive", language::name(language)));
    }
    for layer in layers {
        for (path, text) in TEMPLATES {
            if let Some(inside) = path.strip_prefix(&format!("{layer}/")) {
                put(inside, text);
            }
        }
    }
    for (path, text) in WIT {
        put(&format!("wit/{path}"), text);
    }
    if language == Language::Rust {
        for (path, text) in RUST_SDK {
            put(&format!("sdk/src/{path}"), text);
        }
    }
    put(MANIFEST, &manifest(language, wanted.reactive));
    files.sort();
    files
}

/// The text of a template with its places filled.
fn filled(text: &str, name: &str) -> String {
    text.replace("{{name}}", name)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{wit-bindgen}}", WIT_BINDGEN)
}

/// What the function handles, and with which settings.
fn manifest(language: Language, reactive: bool) -> String {
    let (namespaces, function) = if reactive {
        (
            "[namespaces.chat]     # made if it is not there\n\n[namespaces.{{name}}]\n",
            "on = [\"chat.>\"]       # stored events on these channels\n\
             emits = [\"{{name}}.>\"]\nconfig = { to = \"{{name}}\" }\n",
        )
    } else {
        (
            "[namespaces.{{name}}]    # made if it is not there\n\
             gate = \"{{name}}\"       # every event of it passes this function\n",
            "config = { bytes_max = \"280\" }\n",
        )
    };
    let lang = language::name(language);
    format!("{namespaces}\n[functions.{{{{name}}}}]\nlang = \"{lang}\"\n{function}")
}

fn write(path: &Path, text: &str) -> Result<(), TemplateError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|source| TemplateError::Write {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, language: &str) -> Wanted {
        Wanted {
            name: name.into(),
            language: language.into(),
            reactive: false,
        }
    }

    #[test]
    fn a_new_folder_has_everything_and_no_open_place() {
        for language in offered().map(language::name) {
            for reactive in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let folder = folder.path().join("new");
                let wanted = Wanted {
                    reactive,
                    ..wanted("shout", language)
                };
                let files = make(&wanted, &folder).unwrap();
                for expected in [MANIFEST, "README.md", ".gitignore", "wit/worker.wit"] {
                    assert!(files.contains(&expected.into()), "{language}: {expected}");
                }
                let golden = |file: &PathBuf| file.starts_with("tests/golden");
                assert!(files.iter().any(golden), "{language}: no golden file");
                for file in files {
                    let text = std::fs::read_to_string(folder.join(&file)).unwrap();
                    for place in ["{{name}}", "{{version}}", "{{wit-bindgen}}"] {
                        assert!(!text.contains(place), "{language}: {}", file.display());
                    }
                }
            }
        }
    }

    #[test]
    fn the_sdk_travels_with_its_bindings() {
        let folder = tempfile::tempdir().unwrap();
        make(&wanted("shout", "rust"), folder.path()).unwrap();
        let manifest = std::fs::read_to_string(folder.path().join("sdk/Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("version = \"{WIT_BINDGEN}\"")));
        assert!(folder.path().join("sdk/src/worker.rs").is_file());
    }

    #[test]
    fn what_cannot_be_made_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |wanted: &Wanted| make(wanted, folder.path()).unwrap_err().to_string();
        for name in [
            "",
            "Shout",
            "9a",
            "-a",
            "a.b",
            "a b",
            "a_b",
            "ü",
            &"a".repeat(49),
        ] {
            let said = refused(&wanted(name, "rust"));
            assert!(said.contains("cannot be the name"), "{name}: {said}");
        }
        assert!(refused(&wanted("sdk", "rust")).contains("taken"));
        let said = refused(&wanted("shout", "cobol"));
        assert!(
            said.starts_with("\"cobol\" is none of the languages: rust"),
            "{said}"
        );
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
        std::fs::write(folder.path().join("mine"), "").unwrap();
        assert!(refused(&wanted("shout", "rust")).contains("is not empty"));
        let file = folder.path().join("mine");
        let said = make(&wanted("shout", "rust"), &file)
            .unwrap_err()
            .to_string();
        assert!(said.contains("is not empty"), "{said}");
    }

    #[test]
    fn the_longest_name_fits() {
        let folder = tempfile::tempdir().unwrap();
        make(&wanted(&"a".repeat(48), "rust"), folder.path()).unwrap();
    }
}
