//! Sets of sequences as sorted, merged, inclusive ranges.
//!
//! State: a value, built once.
//! Must not know: what the sequences stand for.

/// Inclusive ranges that neither overlap nor touch, in order.
#[derive(Debug, Default)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Sorts and merges; a range whose end precedes its start is empty.
    pub(crate) fn new(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().filter(|(from, to)| from <= to).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for (from, to) in sorted {
            match merged.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    /// Whether a sequence is in the set.
    pub(crate) fn contains(&self, seq: u64) -> bool {
        let next = self.0.partition_point(|(from, _)| *from <= seq);
        next > 0 && self.0[next - 1].1 >= seq
    }

    /// The end of the last range that ends before `seq`, or 0.
    pub(crate) fn end_before(&self, seq: u64) -> u64 {
        let next = self.0.partition_point(|(_, to)| *to < seq);
        next.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}
