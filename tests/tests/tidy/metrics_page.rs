//! The table of a worker's metrics in step with the code.

use std::collections::BTreeSet;

use super::tree;

/// Where workers count.
const COUNTED_IN: [&str; 2] = ["workers/src/", "host/src/"];
/// What counts.
const MACROS: [&str; 3] = ["counter!(", "gauge!(", "histogram!("];

/// The names of metrics in a source, tests left out.
fn counted(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let uses = MACROS.iter().flat_map(|name| code.split(name).skip(1));
    let names = uses.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    names.map(str::to_owned).collect()
}

/// The names in the first column of a page's table of metrics.
fn told(page: &str) -> BTreeSet<String> {
    let table = page.split("| Metric |").nth(1).unwrap_or_default();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let firsts = rows.filter_map(|row| row.split('|').nth(1));
    let names = firsts.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn every_metric_of_a_worker_is_in_the_table() {
    let sources = tree::files("rs").into_iter().filter(|path| {
        let short = tree::short(path);
        COUNTED_IN.iter().any(|folder| short.starts_with(folder)) && !tree::is_test(path)
    });
    let counted: BTreeSet<String> = sources
        .flat_map(|path| counted(&tree::read(&path)))
        .collect();
    let told = told(&tree::read(&tree::root().join("docs/deploy-functions.md")));
    assert!(counted.len() > 20, "{counted:?}");
    assert_eq!(counted, told);
}

#[test]
fn names_are_found_on_either_line() {
    let text = "counter!(\"a\");\nmetrics::gauge!(\n    \"b\", x);\ngauge!(name);\n#[cfg(test)]counter!(\"c\")";
    assert_eq!(counted(text), ["a", "b"]);
    let page = "x\n| Metric | |\n|---|---|\n| `a`, `b` | `c` |\n\n| `d` |";
    assert_eq!(told(page), ["a", "b"].map(str::to_owned).into());
}
