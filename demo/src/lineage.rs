//! Which transactions are among the ancestors of an agent's latest one. Owns that set;
//! must not know who asks, nor what the transactions do.

use super::txn::Txn;

/// What one agent's latest transaction has among its ancestors.
///
/// It only ever grows along the agent's own chain. So each step walks from the
/// new transaction back to what is merged already, and a whole trace costs one
/// visit per transaction and agent.
pub struct Lineage {
    /// By transaction index.
    merged: Vec<bool>,
    latest: Option<u32>,
}

impl Lineage {
    /// The lineage of an agent that has typed nothing yet, in a trace of `txns` transactions.
    pub fn new(txns: usize) -> Self {
        Self {
            merged: vec![false; txns],
            latest: None,
        }
    }

    /// Goes on to the agent's next own transaction: merges it with all its
    /// ancestors, and returns those that were not merged before, without itself,
    /// in ascending order (parents first). Each parent must be earlier than its child.
    ///
    /// # Errors
    /// The agent's previous transaction, when it is not an ancestor of this one.
    pub fn advance(&mut self, txns: &[Txn], txn: u32) -> Result<Vec<u32>, u32> {
        self.merged[txn as usize] = true;
        let mut seen_latest = self.latest.is_none();
        let mut fresh = Vec::new();
        let mut open = vec![txn];
        while let Some(child) = open.pop() {
            for &parent in &txns[child as usize].parents {
                // Whatever lies between the latest and this one descends from the
                // latest, so it is not merged: the walk cannot stop short of it.
                seen_latest |= self.latest == Some(parent);
                let merged = &mut self.merged[parent as usize];
                if !std::mem::replace(merged, true) {
                    fresh.push(parent);
                    open.push(parent);
                }
            }
        }
        match self.latest.replace(txn) {
            Some(previous) if !seen_latest => Err(previous),
            _ => {
                fresh.sort_unstable();
                Ok(fresh)
            }
        }
    }
}
