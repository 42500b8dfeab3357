//! The first five minutes of an author in JavaScript, TypeScript, Python, Go and C: from `new` to
//! the first own event, and the golden file. Owns what `function` does.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::environment;

use super::function::{Desk, interrupt, says, told};
use super::run::{family, nothing_is_left};

/// Puts the tools of a language into a new folder, as the tests have fetched them once
/// (`functions/tools.sh`); without them `dev` fetches them itself. `false`: neither can be.
fn tools(desk: &Desk, folder: &Path, program: &str, fetched: &str, place: &str) -> bool {
    if linked(desk, folder, fetched, place) {
        return true;
    }
    let found = is_there(program, "--version");
    assert!(
        found || !environment::requires_e2e(),
        "{program} is missing"
    );
    found
}

fn linked(desk: &Desk, folder: &Path, fetched: &str, place: &str) -> bool {
    let fetched = desk.cache.join("guest-tools").join(fetched);
    let is_there = fetched.exists();
    if is_there {
        std::os::unix::fs::symlink(fetched, folder.join(place)).unwrap();
    }
    is_there
}

/// Whether a program is on the search path; says so if not.
fn is_there(program: &str, asked: &str) -> bool {
    let found = Command::new(program).arg(asked).output().is_ok();
    if !found {
        eprintln!("skipped: {program} is missing");
    }
    found
}

/// From `new` to the first own event in another language, and its golden file. The desk,
/// where all that could be done.
async fn first_event(language: &str, tools: impl FnOnce(&Desk, &Path) -> bool) -> Option<Desk> {
    let templates = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/templates");
    if !Path::new(templates).join(language).is_dir() {
        eprintln!("skipped: there is no template for {language}");
        return None;
    }
    let desk = Desk::new().await?;
    let new = ["function", "new", "shout", "--lang", language];
    let made = desk.run(&desk.work, &new).await;
    assert!(made.status.success(), "{}", told(&made));
    let shout = desk.work.join("shout");
    if !tools(&desk, &shout) {
        return None;
    }
    let golden = desk.run(&shout, &["function", "test"]).await;
    assert!(golden.status.success(), "{}", told(&golden));
    let mut dev = desk.start(&shout, &["function", "dev"], "log");
    says(&mut dev, "Try it in a second terminal", 1).await;
    let publish = ["pub", "shout.a", "hello", "--wait", "120s"];
    let published = desk.run(&desk.work, &publish).await;
    assert!(published.status.success(), "{}", told(&published));
    says(&mut dev, "ack -> shout.a  HELLO", 1).await;
    says(&mut dev, "info: 5 bytes on shout.a", 1).await;
    let family = family(dev.pid());
    interrupt(&dev);
    nothing_is_left(&family).await;
    Some(desk)
}

/// Everybody who needs the function's code, the build, the test, the deployment and the
/// worker, finds what the first of them has compiled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_in_javascript() {
    let tools = |desk: &Desk, shout: &Path| {
        // What other tests have compiled is not seen here.
        std::fs::remove_file(desk.cache.join("compiled")).unwrap();
        tools(desk, shout, "npm", "js/node_modules", "node_modules")
    };
    if let Some(desk) = first_event("js", tools).await {
        // The check of what `dev` has built, that of its deployment, and the worker.
        assert_eq!(uses(&desk.cache.join("compiled/code")).max(), Some(3));
    }
}

/// How often each module was used, as Wasmtime has written beside it.
fn uses(folder: &Path) -> impl Iterator<Item = u32> {
    let entries = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let kinds = entries(folder.to_owned());
    let compilers = kinds.flat_map(move |kind| entries(kind.path()));
    let files = compilers.flat_map(move |compiler| entries(compiler.path()));
    files.filter_map(|file| {
        let text = std::fs::read_to_string(file.path()).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("usages = "))?;
        line.parse().ok()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_in_typescript() {
    let tools =
        |desk: &Desk, shout: &Path| tools(desk, shout, "npm", "js/node_modules", "node_modules");
    first_event("ts", tools).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_in_python() {
    let tools = |desk: &Desk, shout: &Path| tools(desk, shout, "python3", "python", ".venv");
    first_event("python", tools).await;
}

/// Go needs nothing but itself. It is not asked of every machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_in_go() {
    first_event("go", |_, _| is_there("go", "version")).await;
}

/// C needs a compiler for WebAssembly. It is not asked of every machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_in_c() {
    let tools =
        |desk: &Desk, shout: &Path| linked(desk, shout, "c", ".venv") || is_there("zig", "version");
    first_event("c", tools).await;
}
