//! No circle of files inside a crate: a file that imports one that imports it cannot be
//! read alone.
//!
//! Reads `use` declarations and paths as text. A path is followed to the deepest file
//! that it names; test modules are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::imports::{self, Module};
use super::tree;

/// Files that reach one another, of a graph of files.
fn circles(arrows: &BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> Vec<Vec<PathBuf>> {
    let reach: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = arrows
        .keys()
        .map(|file| (file, reached(arrows, file)))
        .collect();
    let mut found: Vec<Vec<PathBuf>> = Vec::new();
    for (file, there) in &reach {
        let circle: Vec<PathBuf> = there
            .iter()
            .filter(|other| reach.get(**other).is_some_and(|back| back.contains(file)))
            .map(|other| (*other).clone())
            .collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

fn reached<'a>(
    arrows: &'a BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    from: &Path,
) -> BTreeSet<&'a PathBuf> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(file) = open.pop() {
        for next in arrows.get(&file).into_iter().flatten() {
            if seen.insert(next) {
                open.push(next.clone());
            }
        }
    }
    seen
}

/// Which file imports from which, in one crate.
fn arrows(root: &Path) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let modules = imports::modules(root);
    let file_of = |module: &Module| modules.get(module).cloned();
    let mut arrows: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for (module, file) in &modules {
        let targets = imports::paths(&tree::read(file), module, &modules);
        let targets = targets
            .iter()
            .filter_map(|target| imports::deepest(target, &modules));
        let targets = targets.filter_map(|target| file_of(&target));
        arrows
            .entry(file.clone())
            .or_default()
            .extend(targets.filter(|target| target != file));
    }
    arrows
}

#[test]
fn no_file_imports_one_that_imports_it() {
    let mut said = Vec::new();
    for root in imports::roots() {
        let arrows = arrows(&root);
        for circle in circles(&arrows) {
            let inside = |file: &PathBuf| arrows[file].iter().filter(|to| circle.contains(to));
            for file in &circle {
                for to in inside(file) {
                    said.push(format!("{} -> {}", tree::short(file), tree::short(to)));
                }
            }
            said.push(String::new());
        }
    }
    assert!(said.is_empty(), "files in circles:\n{}", said.join("\n"));
}

#[test]
fn a_circle_is_found_and_a_line_is_none() {
    let graph = |arrows: &[(&str, &str)]| {
        let mut graph: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        for (from, to) in arrows {
            graph.entry(from.into()).or_default().insert(to.into());
            graph.entry(to.into()).or_default();
        }
        graph
    };
    assert!(circles(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let found = circles(&graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]));
    assert_eq!(found, [["a", "b", "c"].map(PathBuf::from)]);
}
