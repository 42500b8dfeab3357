//! Two texts, line by line: what both have, what only one has. Owns nothing.

/// Lines beyond which texts are shown one after the other: the table of a comparison
/// grows with the product of both.
const LINES_MAX: usize = 2_000;

/// Lines of both with `  ` before what is in both, `- ` before what only `old` has and
/// `+ ` before what only `new` has, by the longest common subsequence.
pub fn lines(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut told = Vec::new();
    if old.len() > LINES_MAX || new.len() > LINES_MAX {
        told.extend(old.iter().map(|line| format!("- {line}")));
        told.extend(new.iter().map(|line| format!("+ {line}")));
        return told;
    }
    let common = common(&old, &new);
    let (mut at, mut to) = (0, 0);
    while at < old.len() || to < new.len() {
        let both = at < old.len() && to < new.len();
        if both && old[at] == new[to] {
            told.push(format!("  {}", old[at]));
            (at, to) = (at + 1, to + 1);
        } else if to >= new.len() || (at < old.len() && common[at + 1][to] >= common[at][to + 1]) {
            told.push(format!("- {}", old[at]));
            at += 1;
        } else {
            told.push(format!("+ {}", new[to]));
            to += 1;
        }
    }
    told
}

/// For each pair of places: how many lines the rests have in common.
fn common(old: &[&str], new: &[&str]) -> Vec<Vec<u16>> {
    let mut table = vec![vec![0_u16; new.len() + 1]; old.len() + 1];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            table[at][to] = if old[at] == new[to] {
                table[at + 1][to + 1] + 1
            } else {
                table[at + 1][to].max(table[at][to + 1])
            };
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_common_stands_once() {
        let told = lines("a\nb\nc\nd", "a\nx\nc\nd\ne");
        assert_eq!(told, ["  a", "- b", "+ x", "  c", "  d", "+ e"]);
        assert!(lines("", "").is_empty());
        assert_eq!(lines("a", ""), ["- a"]);
        assert_eq!(lines("", "a"), ["+ a"]);
    }

    #[test]
    fn long_texts_are_shown_one_after_the_other() {
        let long = "a\n".repeat(LINES_MAX + 1);
        assert_eq!(lines(&long, "a").len(), LINES_MAX + 2);
        let fits = "a\n".repeat(LINES_MAX);
        assert_eq!(lines(&fits, "a").len(), LINES_MAX);
    }
}
