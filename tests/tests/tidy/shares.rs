//! No crate holds more than its share of the production code: one that grows past it has
//! become two.

use std::collections::BTreeMap;

use super::tree;

/// The most that one crate may hold, in hundredths: about a sixth.
const SHARE_MAX: usize = 17;

#[test]
fn no_crate_holds_more_than_its_share() {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for path in tree::files("rs") {
        let short = tree::short(&path);
        if short.starts_with("tests/") || tree::is_test(&path) {
            continue;
        }
        if let Some((package, _)) = short.split_once("/src/") {
            *lines.entry(package.to_owned()).or_default() += code_lines(&tree::read(&path));
        }
    }
    let all: usize = lines.values().sum();
    let large: Vec<String> = lines
        .iter()
        .filter(|(_, lines)| *lines * 100 > all * SHARE_MAX)
        .map(|(package, lines)| format!("{package}: {lines} of {all} lines"))
        .collect();
    assert!(
        large.is_empty(),
        "over {SHARE_MAX} hundredths of the code:\n{}",
        large.join("\n")
    );
}

/// Lines of code before a file's own tests: no blank ones, no comments.
fn code_lines(text: &str) -> usize {
    let code = text
        .split_once("#[cfg(test)]\nmod tests {")
        .map_or(text, |(code, _)| code);
    let counts = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    code.lines().filter(counts).count()
}

#[test]
fn comments_blanks_and_tests_do_not_count() {
    let text =
        "//! What.\n\nfn a() {} // b\n    // c\n#[cfg(test)]\nmod tests {\n    fn d() {}\n}\n";
    assert_eq!(code_lines(text), 1);
}
