//! Kafka: the class files of a pinned POM, each checked against a committed list
//! of hashes. Owns nothing but its cache entry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache::Entry;
use super::progress::{OnProgress, Progress};
use crate::config::Config;
use crate::error::{DevstackError, Result};
use crate::hash::{self, PinList};
use crate::programs;
use crate::programs::KAFKA_VERSION;
use crate::tool;

const COMPONENT: &str = "kafka";
/// What to fetch, in Maven's words.
const POM: &str = include_str!("../../kafka-pom.xml");
/// Maven first fetches some three hundred small files of its own; a step is shown
/// for so many of them.
const OTHERS_PER_STEP: u32 = 25;
/// What must arrive.
const PINS: &str = include_str!("../../kafka.sha256");

/// What runs Kafka.
#[derive(Debug, Clone)]
pub struct KafkaRuntime {
    /// The Java launcher.
    pub java: PathBuf,
    /// Folder of Kafka's jars.
    pub jars: PathBuf,
}

pub(super) fn is_cached(config: &Config) -> bool {
    entry(config).is_current()
}

pub(super) fn find_or_fetch(config: &Config, progress: OnProgress<'_>) -> Result<KafkaRuntime> {
    let java = programs::java(config).map_err(|missing| DevstackError::Missing(vec![missing]))?;
    let jars = entry(config).ensure(progress, |folder| fetch(config, progress, folder))?;
    progress(Progress::Ready {
        component: COMPONENT,
        path: jars.clone(),
    });
    Ok(KafkaRuntime { java, jars })
}

fn entry(config: &Config) -> Entry {
    let pinned = hash::sha256(format!("{POM}{PINS}").as_bytes());
    Entry {
        component: COMPONENT,
        cache: config.cache.clone(),
        folder: format!("{COMPONENT}-{KAFKA_VERSION}"),
        header: format!("{COMPONENT} {KAFKA_VERSION} {pinned}"),
    }
}

fn fetch(config: &Config, progress: OnProgress<'_>, folder: &Path) -> Result<()> {
    let step = |text: String| {
        progress(Progress::Step {
            component: COMPONENT,
            text,
        });
    };
    let maven = programs::maven(config).map_err(|missing| DevstackError::Missing(vec![missing]))?;
    let pins = PinList::parse(PINS)?;
    step(format!(
        "fetching version {KAFKA_VERSION} ({} files, 43 MB)",
        pins.len()
    ));
    // Outside the folder that is cached, which must hold jars alone.
    let work = tempfile::tempdir().map_err(DevstackError::io("create a folder in", folder))?;
    let pom = work.path().join("pom.xml");
    fs::write(&pom, POM).map_err(DevstackError::io("write", &pom))?;
    let mut command = Command::new(maven);
    command
        .args(["-B", "dependency:copy-dependencies", "-f"])
        .arg(&pom)
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .current_dir(work.path());
    let (mut arrived, mut others) = (0, 0);
    tool::run(command, |line| match downloaded_file(line) {
        Some(name) if pins.contains(name) => {
            arrived += 1;
            step(format!("{name} ({arrived} of {})", pins.len()));
        }
        Some(_) => {
            others += 1;
            if others % OTHERS_PER_STEP == 0 {
                step(format!("{others} files of Maven's own"));
            }
        }
        None => (),
    })?;
    step("checking hashes".to_owned());
    pins.verify_folder(folder)
}

/// The file that a line of Maven's output says has arrived:
/// `Downloaded from central: .../name.jar (9 kB at ..)`. Files that Maven
/// already had are not announced; then there is nothing to wait for.
fn downloaded_file(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("Downloaded from ")?;
    let (_, address) = rest.split_once(": ")?;
    address.split(' ').next()?.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_lists_are_well_formed() {
        let pins = PinList::parse(PINS).unwrap();
        assert_eq!(pins.len(), 46);
        assert!(pins.contains(&format!("kafka_2.13-{KAFKA_VERSION}.jar")));
        assert!(POM.contains(&format!("<version>{KAFKA_VERSION}</version>")));
    }

    #[test]
    fn arrivals_are_read_from_the_output_of_maven() {
        let check = |line, expected| assert_eq!(downloaded_file(line), expected, "{line}");
        check(
            "[INFO] Downloaded from central: maven://host/g/re2j-1.8.jar (9 kB at 3 kB/s)",
            Some("re2j-1.8.jar"),
        );
        check(
            "[INFO] Downloading from central: maven://h/re2j-1.8.jar",
            None,
        );
        check("[INFO] BUILD SUCCESS", None);
    }
}
