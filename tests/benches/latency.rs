//! What one waits for at a steady pace, beside bare publishes at the same pace, round by
//! round in turn. Owns nothing.

use std::time::Duration;

use bytes::Bytes;

use crate::bare::Bare;
use crate::options::Options;
use crate::table::{Row, median, quantile};

/// What is measured.
pub struct Paced<'a> {
    /// The path, as the table calls it.
    pub what: &'a str,
    /// Events a second.
    pub pace: usize,
    /// How long the pace is kept, seconds.
    pub seconds: usize,
    /// What the yardstick publishes.
    pub data: Bytes,
    /// What stands beside the figures.
    pub note: &'a str,
}

impl Paced<'_> {
    /// The median and the slowest hundredth. `ours` makes so many calls with such pauses,
    /// and says how long each took, milliseconds.
    ///
    /// # Errors
    /// A call fails.
    pub async fn rows(
        &self,
        options: &Options,
        bare: &Bare,
        mut ours: impl AsyncFnMut(usize, Duration) -> anyhow::Result<Vec<f64>>,
    ) -> anyhow::Result<[Row; 2]> {
        let count = options.count(self.pace * self.seconds);
        let pause = Duration::from_secs(1) / self.pace as u32;
        let mut figures: [Vec<f64>; 4] = Default::default();
        for _ in 0..options.rounds() {
            let mut theirs = bare.paced(count, pause, &self.data).await?;
            let mut ours = ours(count, pause).await?;
            let round = [
                quantile(&mut ours, 0.5),
                quantile(&mut theirs, 0.5),
                quantile(&mut ours, 0.99),
                quantile(&mut theirs, 0.99),
            ];
            let lists = figures.iter_mut().zip(round);
            lists.for_each(|(list, figure)| list.push(figure));
        }
        let [ours_50, bare_50, ours_99, bare_99] = figures.map(median);
        let row = |part: &str, ours, bare| Row {
            what: format!("{}, {}/s, {part}", self.what, self.pace),
            unit: "ms",
            ours,
            bare: Some(bare),
            note: format!("less is better; {}", self.note),
        };
        Ok([row("p50", ours_50, bare_50), row("p99", ours_99, bare_99)])
    }
}
