//! Licences, sources and banned crates of everything that is built in, by the rules of
//! `deny.toml`: what cargo-deny checks where it is installed holds everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, ParseMode};

use super::tree;

/// Where every dependency comes from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The texts in quotes between `start` and the `]` that follows it in `deny.toml`.
fn listed(start: &str) -> BTreeSet<String> {
    let text = tree::read(&tree::root().join("deny.toml"));
    let (_, rest) = text.split_once(start).expect("deny.toml has the list");
    let list = rest.split_once("\n]").map_or(rest, |(list, _)| list);
    let quoted = list.lines().filter_map(|line| line.split('"').nth(1));
    quoted.map(str::to_owned).collect()
}

fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(tree::root()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} does not run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    output.stdout
}

/// Every package that this machine may build, our own left out; those of other systems
/// are not here to be looked at.
fn packages() -> Vec<Value> {
    let version = String::from_utf8(output("rustc", &["-vV"])).expect("rustc writes text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.expect("rustc names its host");
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let arguments = [&arguments[..], &["--filter-platform", host]].concat();
    let metadata = output(env!("CARGO"), &arguments);
    let metadata: Value = serde_json::from_slice(&metadata).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let foreign = packages
        .into_iter()
        .filter(|package| !package["source"].is_null());
    foreign.collect()
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

#[test]
fn every_licence_is_allowed() {
    let allowed = listed("allow = [");
    assert!(allowed.contains("MIT"), "the list is read: {allowed:?}");
    let mut refused = Vec::new();
    for package in packages() {
        let licence = text(&package, "license");
        let fits = Expression::parse_mode(licence, ParseMode::LAX)
            .is_ok_and(|parsed| parsed.evaluate(|one| allowed.contains(&one.to_string())));
        if !fits {
            refused.push(format!("{}: {licence:?}", text(&package, "name")));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn nothing_comes_from_elsewhere_and_nothing_is_banned() {
    let banned = listed("deny = [");
    assert!(banned.contains("openssl"), "the list is read: {banned:?}");
    let packages = packages();
    assert!(packages.len() > 100, "the packages are read");
    for package in packages {
        let name = text(&package, "name");
        assert_eq!(text(&package, "source"), REGISTRY, "{name}");
        assert!(!banned.contains(name), "{name} is banned by deny.toml");
    }
}

/// Versions of crates that stand beside a newer one.
fn second_versions(packages: &[Value]) -> BTreeSet<String> {
    let mut versions: BTreeMap<&str, Vec<(Vec<u64>, &str)>> = BTreeMap::new();
    for package in packages {
        let (name, version) = (text(package, "name"), text(package, "version"));
        let numbers = version.split(['.', '+', '-']);
        let numbers = numbers.map(|part| part.parse().unwrap_or(0)).collect();
        versions.entry(name).or_default().push((numbers, version));
    }
    let mut found = BTreeSet::new();
    for (name, mut versions) in versions {
        versions.sort();
        versions.pop();
        found.extend(
            versions
                .iter()
                .map(|(_, version)| format!("{name}@{version}")),
        );
    }
    found
}

#[test]
fn every_second_version_of_a_crate_has_its_reason() {
    let reasoned = listed("skip = [");
    assert!(reasoned.contains("rand@0.8.8"), "the list is read");
    let found = second_versions(&packages());
    let new: Vec<_> = found.difference(&reasoned).collect();
    assert!(new.is_empty(), "not in deny.toml: {new:?}");
    let gone: Vec<_> = reasoned.difference(&found).collect();
    assert!(
        gone.is_empty(),
        "not needed in deny.toml any more: {gone:?}"
    );
}
