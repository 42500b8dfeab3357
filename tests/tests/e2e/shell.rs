//! The command line as a deployer uses it, against the NATS of a test.

use std::path::Path;
use std::process::Stdio;

use bus::Bus;
use harness::{Deployment, FunctionChoice, environment, wait};
use protocol::name::FunctionName;
use protocol::spec::FunctionLimits;
use protocol::stream::Bucket;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub told: String,
    /// What it told beside that.
    pub errors: String,
}

/// A command that goes on.
pub struct Running {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Running {
    /// Its next line.
    pub async fn line(&mut self) -> String {
        let line = wait::within("the next line", self.lines.next_line()).await;
        line.unwrap().expect("the command goes on")
    }
}

/// A deployer's shell.
pub struct Shell {
    nats: String,
}

impl Shell {
    /// A shell whose commands go to this NATS.
    pub fn new(nats: &str) -> Self {
        Self {
            nats: nats.to_owned(),
        }
    }

    /// A shell beside a deployment of the probe, with one edge node; `limits` changes the
    /// probe's. `None` where no server can be had.
    pub async fn beside_a_probe(
        limits: impl FnOnce(&mut FunctionLimits),
    ) -> Option<(Deployment, Self)> {
        let builder = Deployment::builder()
            .without_mirror()
            .functions(&[FunctionChoice::Probe])
            .limits(limits)
            .edges(1);
        let deployment = builder.start().await?;
        let shell = Self::new(deployment.servers.nats_url());
        Some((deployment, shell))
    }

    /// Runs a command to its end.
    pub async fn run(&self, line: &[&str]) -> Ended {
        let mut command = tokio::process::Command::new(environment::program("eddyline"));
        command
            .args(line)
            .env("EDDYLINE_NATS_URL", &self.nats)
            .env("USER", "ann");
        let what = format!("eddyline {}", line.join(" "));
        let output = wait::within(&what, command.output()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code().unwrap(),
            told: text(&output.stdout),
            errors: text(&output.stderr),
        }
    }

    /// Starts a command that goes on, and ends with what is returned; its lines.
    pub fn start(&self, line: &[&str]) -> Running {
        let mut command = tokio::process::Command::new(environment::program("eddyline"));
        command
            .args(line)
            .env("EDDYLINE_NATS_URL", &self.nats)
            .env("USER", "ann")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running {
            lines,
            _child: child,
        }
    }

    /// Runs a command that succeeds; what it printed.
    #[track_caller]
    pub fn done<'a>(&'a self, line: &'a [&'a str]) -> impl Future<Output = String> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let ended = self.run(line).await;
            assert_eq!(ended.code, 0, "{caller}: {line:?}: {ended:?}");
            ended.told
        }
    }

    /// Runs a command that succeeds, and reads its lines of JSON.
    pub async fn json(&self, line: &[&str]) -> Vec<Value> {
        let line = [&["--json"], line].concat();
        let told = self.done(&line).await;
        let lines = told.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Runs a command that is refused with a sentence that says this.
    pub async fn refused(&self, line: &[&str], says: &str) {
        let ended = self.run(line).await;
        assert_eq!(ended.code, 1, "{line:?}: {ended:?}");
        assert!(ended.errors.contains(says), "{line:?}: {ended:?}");
    }
}

/// The file of a function's module.
pub fn module(name: &str) -> String {
    environment::module_path(name).display().to_string()
}

/// The keys of `FUNCTIONS` that begin with a name, sorted.
pub async fn keys(bus: &Bus, name: &str) -> Vec<String> {
    let functions = bus.kv(Bucket::Functions).await.unwrap();
    let mut keys = functions.keys().await.unwrap();
    keys.retain(|key| key.split('.').next() == Some(name));
    keys.sort();
    keys
}

/// Waits until nobody owns a lane of a function.
pub async fn is_given_back(bus: &Bus, name: &FunctionName) {
    let lanes = bus.kv(Bucket::Lanes).await.unwrap();
    harness::until("every lane is given back", async || {
        let held = lanes.keys().await.map_err(|error| error.to_string())?;
        let held: Vec<_> = held
            .into_iter()
            .filter(|key| key.contains(name.as_str()))
            .collect();
        match held.is_empty() {
            true => Ok(()),
            false => Err(format!("{held:?}")),
        }
    })
    .await;
}

/// Writes a file.
pub fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}
