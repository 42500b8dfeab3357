//! What a check found: violations, capped per kind, with full totals, and what was compared.
//!
//! State: a [`Sink`] collects during a check and becomes a [`Report`].
//! Must not know: how a violation is found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::history::History;
use crate::violation::Violation;

/// Violations kept of each kind: enough to see a pattern, few enough to read. The totals count
/// all of them, and a flood of one kind never hides another.
pub const KEPT_PER_KIND: u64 = 20;

/// How many records there were, and how many comparisons a clean report rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Events sent.
    pub sent: u64,
    /// Acknowledgements.
    pub acked: u64,
    /// Acknowledgements that said `duplicate`.
    pub duplicates: u64,
    /// Refusals.
    pub refused: u64,
    /// Stored messages.
    pub stored: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Mirrored records.
    pub mirrored: u64,
    /// Deliveries that subscribers were owed.
    pub deliveries_owed: u64,
    /// Function inputs whose answer was judged.
    pub inputs_judged: u64,
    /// Stored messages that the mirror owed.
    pub mirror_owed: u64,
}

impl Counts {
    pub(crate) fn of(history: &History) -> Self {
        Self {
            sent: history.sent.len() as u64,
            acked: history.acked.len() as u64,
            duplicates: history.acked.iter().filter(|ack| ack.duplicate).count() as u64,
            refused: history.refused.len() as u64,
            stored: history.stored.len() as u64,
            delivered: history.delivered.len() as u64,
            mirrored: history.mirrored.len() as u64,
            ..Self::default()
        }
    }
}

/// The result of a check. A test asserts [`Report::is_clean`] and, so that the check was not
/// empty, the counts that it relies on; printed, it is a summary for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// At most [`KEPT_PER_KIND`] of each kind, in the order found.
    pub violations: Vec<Violation>,
    /// All violations by kind, kept or not.
    pub totals: BTreeMap<&'static str, u64>,
    /// What was looked at.
    pub counts: Counts,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.totals.is_empty()
    }

    /// All violations, kept or not.
    pub fn total(&self) -> u64 {
        self.totals.values().sum()
    }

    /// Whether there is a violation of this kind (see [`Violation::KINDS`]).
    pub fn has(&self, kind: &str) -> bool {
        self.totals.contains_key(kind)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.counts;
        if self.is_clean() {
            writeln!(f, "the history is clean")?;
        } else {
            let kinds: Vec<_> = self
                .totals
                .iter()
                .map(|(k, n)| format!("{k} {n}"))
                .collect();
            let total = self.total();
            let noun = if total == 1 {
                "violation"
            } else {
                "violations"
            };
            writeln!(f, "{total} {noun}: {}", kinds.join(", "))?;
        }
        writeln!(
            f,
            "sent {}, acknowledged {} ({} as duplicates), refused {}, stored {}, delivered {}, mirrored {}",
            c.sent, c.acked, c.duplicates, c.refused, c.stored, c.delivered, c.mirrored
        )?;
        write!(
            f,
            "judged {} owed deliveries, {} function inputs, {} owed mirror records",
            c.deliveries_owed, c.inputs_judged, c.mirror_owed
        )?;
        for violation in &self.violations {
            write!(f, "\n- {}: {violation}", violation.kind())?;
        }
        let hidden = self.total() - self.violations.len() as u64;
        if hidden > 0 {
            write!(f, "\n- and {hidden} more of the same kinds")?;
        }
        Ok(())
    }
}

/// Where checks put what they find.
#[derive(Debug)]
pub(crate) struct Sink {
    report: Report,
}

impl Sink {
    pub(crate) fn new(counts: Counts) -> Self {
        Self {
            report: Report {
                counts,
                ..Report::default()
            },
        }
    }

    /// Counts a violation, and keeps it while there are few of its kind.
    pub(crate) fn push(&mut self, violation: Violation) {
        let total = self.report.totals.entry(violation.kind()).or_default();
        *total += 1;
        if *total <= KEPT_PER_KIND {
            self.report.violations.push(violation);
        }
    }

    pub(crate) fn counts(&mut self) -> &mut Counts {
        &mut self.report.counts
    }

    pub(crate) fn into_report(self) -> Report {
        self.report
    }
}
