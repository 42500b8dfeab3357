//! Files under 500 lines, functions under 70, a first comment in every file.

use super::tree;

/// Longest Rust file, in lines.
const FILE_LINES_MAX: usize = 500;
/// Longest function, in lines from its head to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn files_are_short() {
    let long: Vec<String> = tree::files("rs")
        .iter()
        .map(|path| (path, tree::read(path).lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", tree::short(path)))
        .collect();
    assert!(
        long.is_empty(),
        "over {FILE_LINES_MAX} lines:\n{}",
        long.join("\n")
    );
}

#[test]
fn functions_are_short() {
    let long: Vec<String> = tree::files("rs")
        .iter()
        .flat_map(|path| {
            let text = tree::read(path);
            long_functions(&text)
                .into_iter()
                .map(|(line, name, lines)| {
                    format!("{}:{line}: {name} has {lines} lines", tree::short(path))
                })
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(
        long.is_empty(),
        "over {FUNCTION_LINES_MAX} lines:\n{}",
        long.join("\n")
    );
}

/// Functions over the limit: first line, name, lines. Relies on rustfmt: the
/// closing brace of an item stands in the column of its head.
fn long_functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut long = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        // A declaration without a body, as in a trait.
        if lines[at..].iter().find_map(|l| {
            l.trim_end()
                .chars()
                .last()
                .filter(|c| matches!(c, ';' | '{'))
        }) == Some(';')
        {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let closing = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[at..].iter().position(|l| *l == closing) else {
            continue;
        };
        if length + 1 > FUNCTION_LINES_MAX {
            long.push((at + 1, name, length + 1));
        }
    }
    long
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|w| {
        w.starts_with("pub") || matches!(*w, "async" | "const" | "unsafe" | "extern" | "\"C\"")
    });
    (words.next()? == "fn").then(|| {
        words
            .next()
            .unwrap_or_default()
            .split(['(', '<'])
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}

#[test]
fn a_long_function_is_found() {
    let body = "    let x = 1;\n".repeat(FUNCTION_LINES_MAX - 2);
    assert!(long_functions(&format!("fn fits() {{\n{body}}}\n")).is_empty());
    let found = long_functions(&format!(
        "pub async fn grows() {{\n{body}    let y = 2;\n}}\n"
    ));
    assert_eq!(found, [(1, "grows".to_owned(), FUNCTION_LINES_MAX + 1)]);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = tree::files("rs")
        .iter()
        .filter(|path| !tree::is_test(path))
        .filter(|path| !tree::read(path).starts_with("//!"))
        .map(|path| tree::short(path))
        .collect();
    assert!(
        silent.is_empty(),
        "files without a first `//!` comment:\n{}",
        silent.join("\n")
    );
}
