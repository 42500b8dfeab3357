//! Terraform with a folder and a configuration of its own, and our provider in place.
//!
//! Owns the folder. What somebody has configured for Terraform on this machine is left out.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use devstack::Config;
use harness::{environment, wait};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The oldest version that knows all that the provider uses.
const OLDEST: (u64, u64) = (1, 11);
/// The name of the provider's program.
pub const PROVIDER: &str = "terraform-provider-eddyline";
/// What `plan -detailed-exitcode` says of a plan with something in it.
pub const CHANGES: i32 = 2;

/// Terraform in one folder.
pub struct Terraform {
    program: PathBuf,
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// All that it said.
    pub told: String,
}

/// Something that Terraform shows to people.
#[derive(Debug)]
pub struct Shown {
    /// Whether it is an error.
    pub is_error: bool,
    /// Its first line.
    pub summary: String,
    /// What follows.
    pub detail: String,
    /// The line of the configuration that it points at.
    pub code: String,
}

/// The program, if there is one that is new enough; else why not.
async fn program() -> Result<PathBuf, String> {
    let missing = "install Terraform 1.11 or newer: https://developer.hashicorp.com/terraform";
    let config = Config::from_env();
    let program = config.find("terraform").ok_or(missing)?;
    let mut version = Command::new(&program);
    let version = version
        .args(["version", "-json"])
        .env("CHECKPOINT_DISABLE", "1");
    let told = version.output().await.map_err(|error| error.to_string())?;
    let told: Value = serde_json::from_slice(&told.stdout).map_err(|error| error.to_string())?;
    let told = told["terraform_version"].as_str().unwrap_or_default();
    let mut parts = told.split('.').map(|part| part.parse().unwrap_or(0));
    match (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST {
        true => Ok(program),
        false => Err(format!("{told} is too old: {missing}")),
    }
}

impl Terraform {
    /// Terraform in a folder with this configuration. `None` where it is not installed.
    pub async fn new(main: &str) -> Option<Self> {
        match program().await {
            Ok(program) => Some(Self::with(program, main)),
            Err(reason) => {
                assert!(!environment::requires_e2e(), "cannot run: {reason}");
                eprintln!("SKIPPED: {reason}");
                None
            }
        }
    }

    fn with(program: PathBuf, main: &str) -> Self {
        let this = Self {
            program,
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        };
        let built = environment::program(PROVIDER);
        let built = built.parent().unwrap().display().to_string();
        this.write(
            "rc",
            &format!(
                "provider_installation {{\n  dev_overrides {{ \"eddyline/eddyline\" = \"{built}\" \
                 }}\n  direct {{}}\n}}\n"
            ),
        );
        this.write("main.tf", main);
        this
    }

    /// A variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into its folder.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder().join(name), text).unwrap();
    }

    /// Another one with the same state and configuration.
    pub fn twin(&self) -> Self {
        let twin = Self::with(self.program.clone(), "");
        for file in ["main.tf", "terraform.tfstate"] {
            std::fs::copy(self.folder().join(file), twin.folder().join(file)).unwrap();
        }
        twin
    }

    /// A command, not started yet: what somebody's shell says of Terraform or of Eddyline
    /// is left out.
    pub fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let foreign = ["TF_", "EDDYLINE_", "TERRAFORM_"];
            if foreign.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command
            .args(line)
            .current_dir(self.folder())
            .env("TF_CLI_CONFIG_FILE", self.folder().join("rc"))
            .env("TF_DATA_DIR", self.folder().join("data"))
            .env("CHECKPOINT_DISABLE", "1")
            // What people are told is the same whatever their shell says.
            .env("RUST_BACKTRACE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env("EDDYLINE_CACHE", Config::from_env().cache)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts a command whose output is read by whoever asked for it.
    pub fn start(&self, line: &[&str]) -> Child {
        let mut command = self.command(line);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command.spawn().unwrap()
    }

    /// Runs a command to its end.
    pub async fn run(&self, line: &[&str]) -> Ended {
        let what = format!("terraform {}", line.join(" "));
        let output = wait::within(&what, self.command(line).output())
            .await
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code().unwrap_or(-1),
            told: text(&output.stdout) + &text(&output.stderr),
        }
    }

    /// Runs a command that succeeds; what it said.
    #[track_caller]
    pub fn done<'a>(&'a self, line: &'a [&'a str]) -> impl Future<Output = String> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let ended = self.run(line).await;
            assert_eq!(ended.code, 0, "{caller}: {line:?}: {}", ended.told);
            ended.told
        }
    }

    /// Applies the configuration; what it said.
    #[track_caller]
    pub fn apply(&self) -> impl Future<Output = String> + '_ {
        self.done(&["apply", "-auto-approve", "-no-color"])
    }

    /// Nothing is left to be done.
    pub async fn is_level(&self) {
        let ended = self.plan().await;
        assert_eq!(ended.code, 0, "there is something to do: {}", ended.told);
    }

    /// Plans: 0 for nothing to do, [`CHANGES`] for something.
    pub async fn plan(&self) -> Ended {
        self.run(&["plan", "-detailed-exitcode", "-no-color"]).await
    }

    /// What a command shows, in the order in which it comes.
    pub async fn shown(&self, line: &[&str]) -> Vec<Shown> {
        let ended = self.run(&[line, &["-json"]].concat()).await;
        let lines = ended.told.lines();
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut shown: Vec<Shown> = lines
            .filter_map(|line| {
                let diagnostic = line.get("diagnostic")?;
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                Some(Shown {
                    is_error: diagnostic["severity"] == "error",
                    summary: text(&diagnostic["summary"]),
                    detail: text(&diagnostic["detail"]),
                    code: text(&diagnostic["snippet"]["code"]).trim().to_owned(),
                })
            })
            .collect();
        shown.retain(|shown| !shown.summary.contains("development overrides"));
        shown
    }
}
