//! What is typed: transactions of patches. Plain values; they own nothing.

/// One replacement inside a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Where, in Unicode code points from the start of the text.
    pub pos: usize,
    /// How many code points are deleted from there on.
    pub del: usize,
    /// What is then inserted there.
    pub ins: String,
}

/// One step of one agent: all its patches take effect together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Txn {
    /// Indexes of the transactions that this one comes directly after; the text
    /// it was typed into has these and all their ancestors merged, nothing else.
    pub parents: Vec<u32>,
    /// Who typed it: from 0 to below the number of agents.
    pub agent: u32,
    /// Applied in order; each position counts in the text that its predecessor left.
    pub patches: Vec<Patch>,
}
