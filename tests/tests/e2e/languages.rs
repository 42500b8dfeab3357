//! The first five minutes of an author in JavaScript, TypeScript, Python and Go: from `new` to
//! the first own event, and the golden file. Owns what `function` does.

use std::path::Path;
use std::process::Command;

use harness::environment;

use super::function::{Desk, interrupt, says, told};
use super::run::{family, nothing_is_left};

/// Puts the tools of a language into a new folder, as the tests have fetched them once
/// (`functions/tools.sh`); without them `dev` fetches them itself. `false`: neither can be.
fn tools(desk: &Desk, folder: &Path, program: &str, fetched: &str, place: &str) -> bool {
    let fetched = desk.cache.join("guest-tools").join(fetched);
    if fetched.exists() {
        std::os::unix::fs::symlink(fetched, folder.join(place)).unwrap();
        return true;
    }
    let found = is_there(program, "--version");
    assert!(
        found || !environment::requires_e2e(),
        "{program} is missing"
    );
    found
}

/// Whether a program is on the search path; says so if not.
fn is_there(program: &str, asked: &str) -> bool {
    let found = Command::new(program).arg(asked).output().is_ok();
    if !found {
        eprintln!("skipped: {program} is missing");
    }
    found
}

/// From `new` to the first own event in another language, and its golden file.
async fn first_event(language: &str, tools: impl FnOnce(&Desk, &Path) -> bool) {
    let templates = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/templates");
    if !Path::new(templates).join(language).is_dir() {
        eprintln!("skipped: there is no template for {language}");
        return;
    }
    let Some(desk) = Desk::new().await else {
        return;
    };
    let new = ["function", "new", "shout", "--lang", language];
    let made = desk.run(&desk.work, &new).await;
    assert!(made.status.success(), "{}", told(&made));
    let shout = desk.work.join("shout");
    if !tools(&desk, &shout) {
        return;
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_in_javascript() {
    let tools =
        |desk: &Desk, shout: &Path| tools(desk, shout, "npm", "js/node_modules", "node_modules");
    first_event("js", tools).await;
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
