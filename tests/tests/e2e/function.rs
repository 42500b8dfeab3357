//! What an author of a function does first, to the letter of `functions/README.md`: new,
//! dev, pub, a change on save, test; in a folder outside of the checkout.
//!
//! Owns the processes and the folder. The state of a `dev` that somebody runs here is left
//! alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use devstack::ServerProcess;
use harness::{KafkaChoice, Servers, environment, wait};
use tempfile::TempDir;

use super::run::{cache_in, family, nothing_is_left};

/// From `new` to the first own event, the build of all dependencies included: the promise
/// of the page.
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// An author's machine: a folder for functions, and one for what is fetched.
pub(super) struct Desk {
    _folder: TempDir,
    pub(super) cache: PathBuf,
    pub(super) work: PathBuf,
}

impl Desk {
    /// `None` where no server can be had.
    pub(super) async fn new() -> Option<Self> {
        Servers::start(KafkaChoice::None).await?;
        let folder = tempfile::tempdir().unwrap();
        let (cache, work) = (folder.path().join("cache"), folder.path().join("work"));
        fs::create_dir(&cache).unwrap();
        fs::create_dir(&work).unwrap();
        cache_in(&cache);
        Some(Self {
            _folder: folder,
            cache,
            work,
        })
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(environment::program("eddyline"));
        command
            .args(arguments)
            .current_dir(folder)
            .env("EDDYLINE_CACHE", &self.cache);
        // What cargo tells a test is not for another cargo; neither Java nor Maven is
        // there.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_") && name != "CARGO_HOME" || name == "JAVA_HOME" {
                command.env_remove(&*name);
            }
        }
        command
    }

    /// Runs a command in the folder of a function to its end.
    pub(super) async fn run(&self, folder: &Path, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(self.command(folder, arguments));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ended = tokio::time::timeout(FIVE_MINUTES, command.output()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{arguments:?} has not ended"));
        ended.unwrap()
    }

    pub(super) fn start(&self, folder: &Path, arguments: &[&str], log: &str) -> ServerProcess {
        let command = self.command(folder, arguments);
        ServerProcess::start("eddyline", command, &self.work.join(log)).unwrap()
    }
}

pub(super) fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Waits until a process has said a thing so many times.
pub(super) async fn says(process: &mut ServerProcess, what: &str, times: usize) {
    let said = wait::look(what, FIVE_MINUTES, async || {
        let log = process.log_text();
        assert!(process.exit_status().is_none(), "it has ended:\n{log}");
        match log.matches(what).count() >= times {
            true => Ok(()),
            false => Err(process.log_tail()),
        }
    });
    said.await.unwrap_or_else(|problem| panic!("{problem}"));
}

/// Publishes as the page says, with more patience for a busy machine; what came of it.
async fn publishes(desk: &Desk, channel: &str, data: &str, passes: bool) -> String {
    let output = desk
        .run(&desk.work, &["pub", channel, data, "--wait", "60s"])
        .await;
    assert_eq!(output.status.success(), passes, "{}", told(&output));
    told(&output)
}

pub(super) fn interrupt(process: &ServerProcess) {
    let pid = process.pid().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_minutes_as_the_page_says() {
    let Some(desk) = Desk::new().await else {
        return;
    };
    let made = desk
        .run(&desk.work, &["function", "new", "shout", "--lang", "rust"])
        .await;
    assert!(made.status.success(), "{}", told(&made));
    let shout = desk.work.join("shout");
    let mut dev = desk.start(&shout, &["function", "dev"], "log");
    says(&mut dev, "Try it in a second terminal", 1).await;
    let said = publishes(&desk, "shout.a", "hello", true).await;
    assert!(said.contains("has passed shout"), "{said}");
    says(&mut dev, "shout.a  dev  hello", 1).await;
    says(&mut dev, "ack -> shout.a  HELLO", 1).await;
    says(&mut dev, "info: 5 bytes on shout.a", 1).await;
    let long = "x".repeat(281);
    let said = publishes(&desk, "shout.a", &long, false).await;
    assert!(said.contains("rejected by shout: over 280 bytes"), "{said}");
    says(&mut dev, "reject: over 280 bytes", 1).await;
    changes_on_save(&desk, &shout, &mut dev).await;
    golden_files(&desk, &shout).await;
    halts(&desk, &shout, &mut dev).await;
    let family = family(dev.pid());
    interrupt(&dev);
    nothing_is_left(&family).await;
    let left = fs::read_dir(desk.cache.join("dev")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
    assert!(
        left.iter()
            .all(|path| path.extension().is_some_and(|end| end == "lock"))
    );
}

/// A version that does not build leaves the one that runs; the next one takes over.
async fn changes_on_save(desk: &Desk, shout: &Path, dev: &mut ServerProcess) {
    let source = shout.join("src/lib.rs");
    replace(&source, "to_uppercase", "to_oppercase");
    says(dev, "no method named `to_oppercase`", 1).await;
    says(dev, "the version before goes on", 1).await;
    publishes(desk, "shout.a", "still", true).await;
    says(dev, "ack -> shout.a  STILL", 1).await;
    replace(&source, "to_oppercase", "to_lowercase");
    says(dev, "runs on 4 of 4 lanes", 2).await;
    publishes(desk, "shout.b", "QUIET", true).await;
    says(dev, "ack -> shout.b  quiet", 1).await;
}

async fn golden_files(desk: &Desk, shout: &Path) {
    let test = ["function", "test"];
    let differs = desk.run(shout, &test).await;
    let said = told(&differs);
    assert_eq!(differs.status.code(), Some(1), "{said}");
    assert!(said.contains("-       \"text\": \"HELLO\""), "{said}");
    assert!(said.contains("+       \"text\": \"hello\""), "{said}");
    let written = desk.run(shout, &["function", "test", "--write"]).await;
    assert!(written.status.success(), "{}", told(&written));
    let same = desk.run(shout, &["function", "test", "--json"]).await;
    let said = told(&same);
    assert!(
        same.status.success() && said.contains(r#""verdict":"same""#),
        "{said}"
    );
}

/// Of what a halted function has before it, nothing comes, and `pub` says so.
async fn halts(desk: &Desk, shout: &Path, dev: &mut ServerProcess) {
    let emit = "out.emit().inherit_headers().data(capitals.as_bytes());";
    let halt = "drop(capitals);\n        return Outcome::halt(\"enough\");";
    replace(&shout.join("src/lib.rs"), emit, halt);
    says(dev, "runs on 4 of 4 lanes", 3).await;
    let publish = ["pub", "shout.c", "x", "--wait", "2s"];
    let output = desk.run(&desk.work, &publish).await;
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("nothing has come of an event within 2s"),
        "{said}"
    );
    says(dev, "nothing has become of it in", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reactive_function_joins_the_dev_that_runs() {
    let Some(desk) = Desk::new().await else {
        return;
    };
    let arguments = ["dev", "--without-mirror", "--json", "--port", "0"];
    let mut stack = desk.start(&desk.work, &arguments, "stack.log");
    let ready = super::run::ready(&mut stack).await;
    assert!(
        ready["kafka"].is_null() && ready["grpc"].is_null(),
        "{ready}"
    );
    let replay = desk.run(&desk.work, &["replay", "chat.>"]).await;
    assert!(
        told(&replay).contains("runs without a mirror"),
        "{}",
        told(&replay)
    );
    let new = ["function", "new", "sizes", "--reactive"];
    let made = desk.run(&desk.work, &new).await;
    assert!(made.status.success(), "{}", told(&made));
    let sizes = desk.work.join("sizes");
    let mut dev = desk.start(&sizes, &["function", "dev"], "log");
    says(&mut dev, "joining the running dev named dev", 1).await;
    says(&mut dev, "Try it in a second terminal", 1).await;
    publishes(&desk, "chat.a", "hello", true).await;
    says(&mut dev, "ack -> sizes.a  {\"bytes\":5}", 1).await;
    replace(
        &sizes.join("eddyline.toml"),
        "on = [",
        "headers = { room = [\"blue\", \"red\"], urgent = [] }\non = [",
    );
    says(&mut dev, "runs on 4 of 4 lanes", 2).await;
    publishes(&desk, "chat.a", "unwanted", true).await;
    let wanted = ["--header", "room=red", "--header", "urgent=yes"];
    let wanted = [&["pub", "chat.a", "wanted", "--wait", "60s"], &wanted[..]].concat();
    let stored = desk.run(&desk.work, &wanted).await;
    assert!(stored.status.success(), "{}", told(&stored));
    says(&mut dev, "ack -> sizes.a  {\"bytes\":6}", 1).await;
    assert!(
        !dev.log_text().contains("{\"bytes\":8}"),
        "{}",
        dev.log_text()
    );
    let processes = family(dev.pid());
    interrupt(&dev);
    nothing_is_left(&processes).await;
    let processes = family(stack.pid());
    interrupt(&stack);
    nothing_is_left(&processes).await;
}
