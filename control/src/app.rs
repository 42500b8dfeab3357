//! An application as its author writes it down: namespaces and functions, in one file,
//! `eddyline.toml`. Plain data, as strict as its text can be; what only the deployment
//! knows is checked when it is applied.
//!
//! Owns nothing. It must not know NATS, nor how a module is built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use protocol::class::Classes;
use protocol::filter::HeaderFilter;
use protocol::name::{ChannelPattern, FunctionName, Namespace, StoreName};
use protocol::spec::{FunctionLimits, PresenceSetting, Schedule, Trigger};
use serde::{Deserialize, Serialize};

/// The name of an application's file.
pub const FILE: &str = "eddyline.toml";
/// The folder beside a function's sources in which its build leaves the module.
pub const BUILT: &str = "build";
/// The store of whatever names none.
const STORE: &str = "main";

/// An application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// Its namespaces.
    pub namespaces: BTreeMap<Namespace, NamespaceEntry>,
    /// Its functions.
    pub functions: BTreeMap<FunctionName, FunctionEntry>,
}

/// A namespace of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceEntry {
    /// The store that its channels live in; `main` if none is named.
    #[serde(default = "store")]
    pub store: StoreName,
    /// The function that its events pass first; none stores them as they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<FunctionName>,
    /// How its events may be delivered; what is not said stays, and is durable alone at
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// The header by which ephemeral events are conflated, empty for none; what is not said
    /// stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflate: Option<String>,
    /// How long deliveries wait for more, milliseconds; what is not said stays, and is not
    /// at all at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_ms: Option<u32>,
    /// Most bytes that a tenant may have stored in it, 0 for its share of the store; what is
    /// not said stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Whether its channels tell who is on them: `off`, `on`, or up to how many members
    /// are named; what is not said stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<PresenceSetting>,
}

/// A function of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionEntry {
    /// What its sources are written in; whoever builds it needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Language>,
    /// Where its sources are, from the file's folder; there if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Its module, from the file's folder; what a build makes of `lang` if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<PathBuf>,
    /// The store whose events it handles; `main` if none is named.
    #[serde(default = "store")]
    pub store: StoreName,
    /// The channels whose stored events it handles; a function without any is a gate, of
    /// the namespaces that name it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<ChannelPattern>,
    /// When it is called instead, if it handles no events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Headers that those events must have, each with one of the values named; with any
    /// where none is.
    #[serde(default, skip_serializing_if = "HeaderFilter::is_empty")]
    pub headers: HeaderFilter,
    /// Channels that it may emit to besides the input's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emits: Vec<ChannelPattern>,
    /// Settings handed to the guest at its start.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// The stages that follow on it in one pass: what a stage emits to the event's own
    /// channel is what the next one is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<StageEntry>,
    /// Its limits.
    #[serde(default)]
    pub limits: FunctionLimits,
    /// How long its outputs may gather, milliseconds.
    #[serde(default)]
    pub linger_ms: u64,
    /// Whether its events may come back to it through other functions.
    #[serde(default)]
    pub loops: bool,
    /// Where it begins when it is deployed for the first time.
    #[serde(default)]
    pub start: StartEntry,
}

/// A further stage of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageEntry {
    /// Its name within the function: what it remembers is kept under it.
    pub name: FunctionName,
    /// Its module, from the file's folder.
    pub module: PathBuf,
    /// Settings handed to it at its start.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Where a function begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartEntry {
    /// At the first event kept.
    #[default]
    Earliest,
    /// Behind the last event stored when it is deployed.
    Latest,
}

/// What a function is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Rust, with the SDK.
    Rust,
    /// JavaScript, on QuickJS.
    Js,
    /// TypeScript, on QuickJS.
    Ts,
    /// Python, on CPython.
    Python,
    /// Go.
    Go,
    /// C.
    C,
}

/// Why an application's file is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// It is not there, or may not be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be; line and column are in the message.
    #[error("{}: {problem}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Where and what.
        problem: String,
    },
}

impl App {
    /// Reads an application's file.
    ///
    /// # Errors
    /// [`AppError`] names the file, and the place in it.
    pub fn read(path: &Path) -> Result<Self, AppError> {
        let text = std::fs::read_to_string(path).map_err(|source| AppError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|problem| AppError::Text {
            path: path.to_owned(),
            problem,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let app: Self = toml::from_str(text)
            .map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        let mut functions = app.functions.iter();
        let wrong = functions.find_map(|(name, entry)| Some((name, entry.contradiction()?)));
        match wrong {
            None => Ok(app),
            Some((name, problem)) => Err(format!("functions.{name}: {problem}")),
        }
    }
}

impl FunctionEntry {
    /// What it handles.
    pub fn trigger(&self) -> Trigger {
        match &self.schedule {
            Some(schedule) => Trigger::Schedule(schedule.clone()),
            None if self.on.is_empty() => Trigger::Gate,
            None => Trigger::Reactive(self.on.clone()),
        }
    }

    /// What contradicts itself in it, if anything does.
    pub fn contradiction(&self) -> Option<&'static str> {
        let both = self.schedule.is_some() && !self.on.is_empty();
        both.then_some(
            "has `on` and a `schedule`: what handles events and what is called at stated times \
             are two functions",
        )
    }

    /// Where its module is: as the file says, or where its build leaves it, beside its
    /// sources under its name. `root` is the folder of the application's file.
    pub fn module_file(&self, root: &Path, name: &FunctionName) -> PathBuf {
        match &self.module {
            Some(module) => root.join(module),
            None => {
                let folder = self.folder.as_deref().unwrap_or(Path::new(""));
                root.join(folder).join(BUILT).join(format!("{name}.wasm"))
            }
        }
    }
}

impl FunctionEntry {
    /// The modules of its stages: its own, and those that its file names. `root` is the
    /// folder of the application's file.
    ///
    /// # Errors
    /// [`AppError::File`] names the one that is not there.
    pub fn modules(&self, root: &Path, own: Bytes) -> Result<Vec<Bytes>, AppError> {
        let mut modules = vec![own];
        for stage in &self.then {
            let path = root.join(&stage.module);
            match std::fs::read(&path) {
                Ok(wasm) => modules.push(wasm.into()),
                Err(source) => return Err(AppError::File { path, source }),
            }
        }
        Ok(modules)
    }
}

fn store() -> StoreName {
    StoreName::parse(STORE).expect("a name of letters")
}

#[cfg(test)]
mod tests {
    use protocol::class::Class;

    use super::*;

    const TEXT: &str = r#"
[namespaces.shout]
gate = "shout"

[namespaces.chat]

[namespaces.cursor]
classes = ["ephemeral"]

[functions.shout]
lang = "rust"
config = { bytes_max = "280" }
limits = { deadline_ms = 100 }

[functions.count]
module = "count.wasm"
on = ["chat.>"]
headers = { room = ["blue"], urgent = [] }
emits = ["counts.>"]
start = "latest"
then = [{ name = "mask", module = "m/mask.wasm", config = { by = "*" } }]
"#;

    fn parse(text: &str) -> Result<App, String> {
        App::parse(text)
    }

    #[test]
    fn a_function_has_events_or_a_schedule() {
        let text = "[functions.report.schedule]\nevery = \"10s\"\ntenant = \"demo\"\n\
                    channel = \"reports.tick\"";
        let app = parse(text).unwrap();
        let report = &app.functions[&FunctionName::parse("report").unwrap()];
        assert_eq!(report.trigger().kind(), "schedule");
        assert_eq!(parse(&toml::to_string(&app).unwrap()), Ok(app));
        let both = format!("[functions.report]\non = [\"chat.>\"]\n{text}");
        assert!(
            parse(&both)
                .unwrap_err()
                .contains("functions.report: has `on`")
        );
        let problem = parse(&text.replace("10s", "10")).unwrap_err();
        assert!(
            problem.contains("every: ") && problem.contains("line"),
            "{problem}"
        );
    }

    #[test]
    fn what_is_not_said_has_its_usual_value() {
        let app = parse(TEXT).unwrap();
        let shout = &app.functions[&FunctionName::parse("shout").unwrap()];
        assert_eq!(shout.lang, Some(Language::Rust));
        assert_eq!((shout.limits.deadline_ms, shout.limits.attempts), (100, 10));
        assert!(shout.on.is_empty() && shout.store.as_str() == "main");
        let count = &app.functions[&FunctionName::parse("count").unwrap()];
        assert_eq!(count.headers.to_string(), "room = blue, urgent");
        assert_eq!(count.then[0].name.as_str(), "mask");
        assert!(shout.then.is_empty() && count.then[0].config["by"] == "*");
        let chat = &app.namespaces[&Namespace::parse("chat").unwrap()];
        assert_eq!((chat.store.as_str(), &chat.gate), ("main", &None));
        assert_eq!(chat.classes, None);
        let cursor = &app.namespaces[&Namespace::parse("cursor").unwrap()];
        assert!(!cursor.classes.unwrap().allows(Class::Durable));
        assert_eq!(parse(&toml::to_string(&app).unwrap()), Ok(app));
    }

    #[test]
    fn a_module_is_where_the_file_says_or_where_its_build_leaves_it() {
        let mut app = parse(TEXT).unwrap();
        let name = |text: &str| FunctionName::parse(text).unwrap();
        let file = |app: &App, text: &str| {
            let (name, root) = (name(text), Path::new("/app"));
            app.functions[&name].module_file(root, &name)
        };
        assert_eq!(file(&app, "count"), Path::new("/app/count.wasm"));
        assert_eq!(file(&app, "shout"), Path::new("/app/build/shout.wasm"));
        let shout = app.functions.get_mut(&name("shout")).unwrap();
        shout.folder = Some("src".into());
        assert_eq!(file(&app, "shout"), Path::new("/app/src/build/shout.wasm"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, names) in [
            ("[functions.shout]\nlang = \"cobol\"", "cobol"),
            ("[functions.shout]\ncolour = 1", "colour"),
            ("[functions.\"a b\"]", "a b"),
            ("[namespaces.x]\ngate = \"\"", "gate"),
            ("[namespaces.x]\nclasses = []", "names no class"),
            ("[namespaces.x]\nclasses = [\"lasting\"]", "lasting"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(
                problem.contains(names) && problem.contains("line"),
                "{problem}"
            );
        }
    }
}
