//! The provider as registries have it: an archive, its checksums, its manifest, and found by
//! `terraform init`.

use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use super::files::{FREE, config, hall};
use super::shell::{CHANGES, PROVIDER, Terraform};

fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {errors}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_is_packaged_is_what_registries_expect() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = harness::environment::program(PROVIDER);
    let out = folder.path().to_str().unwrap();
    let version = "9.8.7";
    run(
        &root.join("terraform/package.sh"),
        &[built.to_str().unwrap(), version, out],
    );
    let platform = format!("{}_{}", std::env::consts::OS, go_architecture());
    let archive = format!("{PROVIDER}_{version}_{platform}.zip");
    let sums = std::fs::read_to_string(
        folder
            .path()
            .join(format!("{PROVIDER}_{version}_SHA256SUMS")),
    );
    let sums = sums.unwrap();
    let manifest = format!("{PROVIDER}_{version}_manifest.json");
    for file in [&archive, &manifest] {
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        let line = format!("{}  {file}", hex(&Sha256::digest(bytes)));
        assert!(
            sums.lines().any(|found| found == line),
            "{line} is not in {sums}"
        );
    }
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join(manifest)).unwrap()).unwrap();
    let expected = serde_json::json!({"version": 1, "metadata": {"protocol_versions": ["6.0"]}});
    assert_eq!(told, expected);

    // Found in a mirror: what `init` unpacks is what is built.
    let main = config("nats://127.0.0.1:1", &hall("", FREE));
    let Some(terraform) = Terraform::new(&main).await else {
        return;
    };
    let mirror = terraform.folder().join("mirror");
    let place = mirror.join("registry.terraform.io/eddyline/eddyline");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::copy(folder.path().join(&archive), place.join(&archive)).unwrap();
    let mirror = mirror.display();
    terraform.write(
        "rc",
        &format!(
            "provider_installation {{\n  filesystem_mirror {{\n    path = \"{mirror}\"\n    include \
             = [\"registry.terraform.io/eddyline/*\"]\n  }}\n}}\n"
        ),
    );
    let told = terraform.done(&["init", "-no-color"]).await;
    assert!(told.contains(&format!("v{version}")), "{told}");
    terraform.done(&["validate", "-no-color"]).await;
    assert_eq!(terraform.plan().await.code, CHANGES);
}

/// The architecture, as Terraform calls it.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
