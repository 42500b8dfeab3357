//! Tables and times for people. Owns nothing.

use std::time::Duration;

use protocol::spec::Written;

use crate::output::harmless;

/// What stands between two columns.
const GAP: &str = "  ";

/// Rows below their heads, each column as wide as its widest cell.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these heads.
    pub fn new(heads: &[&str]) -> Self {
        let heads = heads.iter().map(|head| (*head).to_owned()).collect();
        Self { rows: vec![heads] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The table as text; nothing stands behind the last cell of a line.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&widths);
            let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join(GAP);
            line.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// How long ago a time was, in one unit; both in microseconds since 1970.
pub fn ago(at_us: u64, now_us: u64) -> String {
    let seconds = Duration::from_micros(now_us.saturating_sub(at_us)).as_secs();
    match seconds {
        0..=4 => "now".to_owned(),
        5..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A share in a thousand, as people say it.
pub fn share(permille: u16) -> String {
    match (permille / 10, permille % 10) {
        (percent, 0) => format!("{percent} %"),
        (percent, tenth) => format!("{percent}.{tenth} %"),
    }
}

/// When something was written, and by whom.
pub fn when(written: Option<&Written>, now_us: u64) -> String {
    match written {
        Some(written) => format!(
            "{} by {}",
            ago(written.at_us, now_us),
            harmless(&written.by)
        ),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", "KIND"]);
        table.row(["a".into(), "gate".into()]);
        table.row(["longer".into(), String::new()]);
        assert_eq!(table.text(), "NAME    KIND\na       gate\nlonger");
    }

    #[test]
    fn shares_are_told_in_percent() {
        assert_eq!([5, 50, 125].map(share), ["0.5 %", "5 %", "12.5 %"]);
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let check = |seconds: u64, text: &str| assert_eq!(ago(0, seconds * 1_000_000), text);
        check(0, "now");
        check(90, "90 s ago");
        check(600, "10 min ago");
        check(7_200, "2 h ago");
        check(200_000, "2 days ago");
        // Clocks of two machines differ.
        assert_eq!(ago(10_000_000, 0), "now");
    }
}
