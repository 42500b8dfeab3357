//! The direction of dependencies, read from the manifests.

use std::collections::{BTreeMap, BTreeSet};

use super::tree;

/// What each part may depend on inside the workspace.
const MAY_USE: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("service", &["protocol"]),
    ("auth", &["protocol", "service"]),
    ("bus", &["protocol", "service"]),
    ("chain", &[]),
    ("presence", &["protocol"]),
    ("archive", &["protocol", "auth", "client"]),
    ("door", &["auth", "service"]),
    ("shares", &["protocol"]),
    ("websocket", &["protocol"]),
    (
        "edge",
        &[
            "protocol",
            "service",
            "archive",
            "auth",
            "bus",
            "chain",
            "door",
            "presence",
            "shares",
            "trace",
            "websocket",
        ],
    ),
    ("trace", &["protocol", "bus", "client", "shares"]),
    ("host", &["protocol", "service"]),
    ("workers", &["protocol", "service", "bus", "host"]),
    ("bridge", &["protocol", "service", "auth", "bus", "door"]),
    ("client", &["protocol"]),
    ("control", &["protocol", "service", "bus", "host"]),
    ("running", &["devstack"]),
    (
        "provider",
        &["protocol", "service", "bus", "control", "running"],
    ),
    (
        "local",
        &[
            "protocol", "service", "archive", "auth", "bus", "edge", "workers", "bridge",
            "control", "devstack", "running",
        ],
    ),
    ("demo", &["protocol", "client"]),
    ("workbench", &["protocol", "control", "host"]),
    (
        "cli",
        &[
            "protocol",
            "service",
            "auth",
            "bus",
            "client",
            "control",
            "local",
            "demo",
            "devstack",
            "running",
            "workbench",
        ],
    ),
    ("devstack", &[]),
    ("checker", &[]),
    ("released", &[]),
    ("fuzz", &["protocol", "auth", "edge"]),
    (
        "harness",
        &[
            "protocol", "service", "archive", "auth", "bus", "edge", "workers", "bridge", "client",
            "control", "local", "demo", "devstack", "checker",
        ],
    ),
    (
        "simulation",
        &[
            "protocol", "service", "bus", "edge", "host", "shares", "workers", "bridge", "checker",
        ],
    ),
    (
        "tests",
        &[
            "protocol", "service", "auth", "bus", "edge", "host", "workers", "bridge", "client",
            "control", "local", "demo", "devstack", "checker", "harness",
        ],
    ),
    ("sdk", &[]),
    ("document-gate", &["sdk"]),
    ("document-stats", &["sdk"]),
    ("probe", &["sdk"]),
    ("first", &[]),
    ("single", &[]),
    ("json-tree", &[]),
    ("settings", &["protocol", "json-tree", "sdk"]),
    ("recent-keys", &["sdk"]),
    ("json-schema", &["protocol", "sdk", "json-tree", "settings"]),
    ("redaction", &["sdk", "json-tree", "settings"]),
    ("moderation", &["sdk", "json-tree", "settings"]),
    ("enrichment", &["sdk", "json-tree", "settings"]),
    ("fan-out", &["protocol", "sdk", "json-tree", "settings"]),
    ("rate-limit", &["sdk", "recent-keys", "settings"]),
    (
        "deduplication",
        &["sdk", "json-tree", "recent-keys", "settings"],
    ),
    ("window", &["sdk", "json-tree", "settings"]),
    ("last-writer", &["sdk", "json-tree", "settings"]),
    ("text-sequencer", &["sdk", "json-tree", "settings"]),
];

/// Libraries that belong to one part; `tests` and `harness` look at the same wires.
const BELONGS_TO: [(&str, &[&str]); 10] = [
    ("axum", &["edge"]),
    ("hyper", &["edge", "service"]),
    (
        "tokio-tungstenite",
        &["edge", "websocket", "client", "harness", "tests"],
    ),
    (
        "tokio-rustls",
        &[
            "door", "edge", "service", "client", "harness", "provider", "tests",
        ],
    ),
    ("wasmtime", &["host"]),
    ("moka", &["host"]),
    ("rdkafka", &["bridge", "harness", "tests"]),
    ("rdkafka-sys", &["bridge"]),
    (
        "tonic",
        &["bridge", "client", "cli", "provider", "harness", "tests"],
    ),
    ("async-nats", &["bus", "harness", "tests"]),
];

/// The names of a manifest's dependencies of every kind.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if let (true, Some((name, _))) = (inside, line.split_once(['=', '.'])) {
            names.insert(name.trim().trim_matches('"').to_owned());
        }
    }
    names
}

/// Every member: name and dependencies.
fn members() -> BTreeMap<String, BTreeSet<String>> {
    tree::files("toml")
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml"))
        .map(|path| (path.clone(), tree::read(&path)))
        .filter(|(_, text)| text.contains("[package]"))
        .map(|(path, text)| {
            let name = text
                .lines()
                .find_map(|l| l.strip_prefix("name = \""))
                .and_then(|l| l.strip_suffix('"'))
                .expect("a package has a name");
            let folder = path
                .parent()
                .and_then(|f| f.file_name())
                .and_then(|f| f.to_str())
                .unwrap_or_default();
            assert_eq!(name, folder, "package and folder share a name");
            assert!(
                text.contains("[lints]\nworkspace = true"),
                "{name} takes the workspace's lints"
            );
            (name.to_owned(), dependencies(&text))
        })
        .collect()
}

#[test]
fn parts_depend_in_one_direction() {
    let members = members();
    let known: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    for (name, uses) in &members {
        let allowed = known
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no rule in this test"));
        for used in uses.iter().filter(|used| known.contains_key(used.as_str())) {
            assert!(
                allowed.contains(&used.as_str()),
                "{name} must not depend on {used}"
            );
        }
    }
    assert_eq!(members.len(), MAY_USE.len(), "every rule has its package");
}

#[test]
fn libraries_stay_where_they_belong() {
    for (name, uses) in members() {
        for (library, owners) in BELONGS_TO {
            assert!(
                !uses.contains(library) || owners.contains(&name.as_str()),
                "{library} belongs to {owners:?}, not to {name}"
            );
        }
    }
}

#[test]
fn the_reader_of_manifests_sees_every_form() {
    let manifest = "[dependencies]\na.workspace = true\nb = { path = \"x\" }\n[dev-dependencies]\nc = \"1\"\n[features]\nd = []\n";
    assert_eq!(
        dependencies(manifest),
        ["a", "b", "c"].map(String::from).into()
    );
}
