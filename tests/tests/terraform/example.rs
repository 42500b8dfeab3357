//! The first thing that somebody does: `terraform/README.md`, line by line, beside a running
//! `eddyline dev`.

use std::path::Path;
use std::process::Command;

use devstack::{Config, ServerProcess};
use harness::{KafkaChoice, Servers, environment, wait};

use super::shell::Terraform;

/// What `eddyline dev --json` says once it serves.
const READY: &str = r#"{"ready":"#;
/// An edit that the gate lets pass.
const EDIT: &str = r#"{"txn":1,"update":"AAA="}"#;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// As Terraform itself would write it.
#[tokio::test]
async fn every_configuration_is_formatted() {
    let Some(terraform) = Terraform::new("").await else {
        return;
    };
    let folder = root().join("terraform");
    let folder = folder.to_str().unwrap();
    let told = terraform
        .done(&["fmt", "-check", "-recursive", folder])
        .await;
    assert_eq!(told, "");
}

/// A cache that holds what this checkout's does, but for what runs here.
fn cache_in(folder: &Path) {
    let cache = Config::from_env().cache;
    let mut private = std::fs::DirBuilder::new();
    let private = std::os::unix::fs::DirBuilderExt::mode(private.recursive(true), 0o700);
    private.create(environment::compiled()).unwrap();
    for entry in std::fs::read_dir(&cache).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() && entry.file_name() != "dev" {
            std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
}

async fn eddyline(cache: &Path, line: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::new(environment::program("eddyline"));
    command.args(line).env("EDDYLINE_CACHE", cache);
    let output = wait::within("the command ends", command.output())
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout) + &text(&output.stderr),
    )
}

/// The example, with the module that was built for this run.
fn example() -> String {
    let main = std::fs::read_to_string(root().join("terraform/examples/local/main.tf")).unwrap();
    let module = "\"${path.module}/../../../target/wasm32-wasip2/release/document_gate.wasm\"";
    assert!(
        main.contains(module),
        "the example has the module that is built"
    );
    let built = format!("{:?}", environment::module_path("document-gate"));
    main.replace(module, &built)
}

/// A `dev` that serves.
async fn dev(cache: &Path) -> ServerProcess {
    let mut command = Command::new(environment::program("eddyline"));
    command
        .args(["dev", "--json", "--without-mirror", "--port", "0"])
        .env("EDDYLINE_CACHE", cache);
    let mut dev = ServerProcess::start("eddyline", command, &cache.join("log")).unwrap();
    harness::until("dev serves", async || {
        assert!(dev.exit_status().is_none(), "{}", dev.log_text());
        let ready = dev.log_text().lines().any(|line| line.starts_with(READY));
        ready.then_some(()).ok_or_else(|| dev.log_tail())
    })
    .await;
    dev
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_does_what_its_page_says() {
    // Fetched before, so that `dev` need not.
    if Servers::start(KafkaChoice::None).await.is_none() {
        return;
    }
    let main = example();
    let Some(terraform) = Terraform::new(&main).await else {
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    cache_in(cache.path());
    let terraform = terraform.variable("EDDYLINE_CACHE", cache.path().to_str().unwrap());
    let _dev = dev(cache.path()).await;
    terraform.apply().await;
    terraform.is_level().await;
    for page in ["README.md", "examples/local/README.md"] {
        let page = std::fs::read_to_string(root().join("terraform").join(page)).unwrap();
        let line = format!("eddyline pub drawing.a '{EDIT}'");
        assert!(page.contains(&line), "the page says what is done here");
    }
    let publish = ["pub", "drawing.a", EDIT];
    harness::until("the namespace is there", async || {
        let (stored, told) = eddyline(cache.path(), &publish).await;
        stored.then_some(()).ok_or(told)
    })
    .await;
    let read = [
        "sub",
        "drawing.a",
        "--from",
        "earliest",
        "--count",
        "1",
        "--json",
    ];
    let (_, told) = eddyline(cache.path(), &read).await;
    assert!(
        told.contains("drawing-gate"),
        "the function is at work: {told}"
    );
    let (_, told) = eddyline(cache.path(), &["pub", "drawing.a", "{}"]).await;
    assert!(
        told.contains("malformed edit"),
        "what is malformed is told: {told}"
    );

    // Changed: a limit so small that the same edit is too large.
    let changed = main.replace(
        "resource \"eddyline_function\" \"gate\" {",
        "resource \"eddyline_function\" \"gate\" {\n  config = { update_bytes_max = \"1\" }",
    );
    terraform.write("main.tf", &changed);
    let told = terraform.apply().await;
    assert!(told.contains("1 changed"), "{told}");
    harness::until("the change is at work", async || {
        let (_, told) = eddyline(cache.path(), &publish).await;
        told.contains("bytes").then_some(()).ok_or(told)
    })
    .await;
    terraform
        .done(&["destroy", "-auto-approve", "-no-color"])
        .await;
    let (_, told) = eddyline(cache.path(), &["function", "list"]).await;
    assert!(!told.contains("drawing-gate"), "{told}");
    let (_, told) = eddyline(cache.path(), &["namespace", "list"]).await;
    assert!(!told.contains("drawing"), "{told}");
}
