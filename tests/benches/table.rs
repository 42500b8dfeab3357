//! Rows of figures, for people and for machines. Owns nothing.

use serde_json::json;

/// What every figure has in common.
const NOTE: &str = "The servers are as they are released. Load, services and servers share one machine and its cores. \
`sync_interval: always` on one NATS server. Medians over rounds in which ours and the yardstick take turns.";

/// How the program was built that measures, which is also what is measured.
const BUILD: &str = if cfg!(debug_assertions) {
    "Built for development: our own code at opt-level 1 with debug assertions. `make bench` builds it optimised."
} else {
    "Built optimised, with link-time optimisation within each crate alone."
};

/// One figure beside its yardstick.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// Unit of both figures.
    pub unit: &'static str,
    /// Ours.
    pub ours: f64,
    /// The yardstick's, where there is one.
    pub bare: Option<f64>,
    /// What the yardstick is, and what to bear in mind.
    pub note: String,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.bare.map(|bare| self.ours / bare)
    }
}

/// The middle of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The figure that this part of all figures does not exceed; `part` from 0 to 1.
pub fn quantile(figures: &mut [f64], part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let at = (figures.len() as f64 * part) as usize;
    figures
        .get(at.min(figures.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

fn figure(value: f64) -> String {
    match value {
        large if large >= 1_000.0 => {
            let digits = format!("{large:.0}");
            let groups: Vec<&str> = digits
                .as_bytes()
                .rchunks(3)
                .rev()
                .filter_map(|group| std::str::from_utf8(group).ok())
                .collect();
            groups.join(",")
        }
        middle if middle >= 10.0 => format!("{middle:.1}"),
        small => format!("{small:.2}"),
    }
}

/// The table as markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| What | Unit | Ours | Yardstick | Ratio | Note |\n|---|---|---:|---:|---:|---|\n",
    );
    for row in rows {
        let bare = row.bare.map_or("-".into(), figure);
        let ratio = row.ratio().map_or("-".into(), figure);
        text += &format!(
            "| {} | {} | {} | {bare} | {ratio} | {} |\n",
            row.what,
            row.unit,
            figure(row.ours),
            row.note
        );
    }
    format!("{text}\n{BUILD} {NOTE}\n")
}

/// The table as JSON.
pub fn json(rows: &[Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| json!({ "what": row.what, "unit": row.unit, "ours": row.ours, "bare": row.bare, "ratio": row.ratio(), "note": row.note }))
        .collect();
    format!(
        "{}\n",
        json!({ "rows": rows, "build": BUILD, "note": NOTE })
    )
}
