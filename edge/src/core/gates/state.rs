//! Which lanes of which gates are late, and which have to be looked at: a state machine.
//!
//! A lane is late if an input that is not settled is older than half of what INGRESS
//! keeps. Owns what was found of each lane. A lane that is known to have settled every
//! input up to a sequence need not be looked at before that one is old: one that keeps
//! up is read once in half a retention. It must not know how one looks.

use std::collections::{BTreeMap, BTreeSet};

use protocol::lane::Lane;
use protocol::name::FunctionName;

/// Which lane of which gate.
pub type Key = (FunctionName, Lane);

/// The lanes that are late.
pub type Late = BTreeSet<Key>;

/// What a look at a lane found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Every input up to this sequence is settled.
    Settled(u64),
    /// This one is the first that is not.
    Open(u64),
}

/// The lanes of one store's gates.
#[derive(Debug, Default)]
pub struct Gates {
    /// The first sequence of each lane that may be open.
    open_from: BTreeMap<Key, u64>,
    late: Late,
}

impl Gates {
    /// The gates that are deployed now, with the first sequence that each handles; others
    /// are forgotten.
    pub fn deployed(&mut self, gates: &BTreeMap<FunctionName, u64>, lanes: u16) {
        self.open_from
            .retain(|(gate, _), _| gates.contains_key(gate));
        self.late.retain(|(gate, _)| gates.contains_key(gate));
        for (gate, start_seq) in gates {
            for lane in (0..lanes).map(Lane) {
                let open_from = self.open_from.entry((gate.clone(), lane));
                open_from.or_insert(*start_seq);
            }
        }
    }

    /// The lanes that may have an open input before `mark`, the first that is not old;
    /// each with the first sequence that may be open.
    pub fn due(&self, mark: u64) -> Vec<(Key, u64)> {
        let due = self.open_from.iter().filter(|(_, from)| **from < mark);
        due.map(|(key, from)| (key.clone(), *from)).collect()
    }

    /// What a look at a lane found, when the first input that was not old was `mark`.
    pub fn looked(&mut self, key: &Key, found: Found, mark: u64) {
        let Some(open_from) = self.open_from.get_mut(key) else {
            return;
        };
        *open_from = match found {
            Found::Settled(seq) => seq + 1,
            Found::Open(seq) => seq,
        };
        if found_is_late(found, mark) {
            self.late.insert(key.clone());
        } else {
            self.late.remove(key);
        }
    }

    /// The lanes that are late.
    pub fn late(&self) -> &Late {
        &self.late
    }
}

fn found_is_late(found: Found, mark: u64) -> bool {
    matches!(found, Found::Open(seq) if seq < mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> FunctionName {
        FunctionName::parse("gate").unwrap()
    }

    fn gates(start_seq: u64) -> Gates {
        let mut gates = Gates::default();
        gates.deployed(&[(gate(), start_seq)].into(), 2);
        gates
    }

    fn key(lane: u16) -> Key {
        (gate(), Lane(lane))
    }

    #[test]
    fn a_lane_is_late_once_an_open_input_is_old_and_until_it_is_settled() {
        let mut gates = gates(1);
        assert_eq!(gates.due(1), [], "nothing is old");
        assert_eq!(gates.due(11), [(key(0), 1), (key(1), 1)]);
        gates.looked(&key(0), Found::Open(10), 11);
        gates.looked(&key(1), Found::Open(11), 11);
        assert_eq!(gates.late(), &[key(0)].into(), "old, and just not old");
        assert_eq!(gates.due(11), [(key(0), 10)]);
        gates.looked(&key(0), Found::Settled(30), 11);
        assert!(gates.late().is_empty());
    }

    #[test]
    fn a_lane_that_keeps_up_is_looked_at_when_what_it_settled_is_old() {
        let mut gates = gates(1);
        gates.looked(&key(0), Found::Settled(500), 11);
        gates.looked(&key(1), Found::Settled(0), 11);
        assert_eq!(gates.due(501), [(key(1), 1)]);
        assert_eq!(gates.due(502).len(), 2);
    }

    #[test]
    fn a_gate_that_is_withdrawn_is_forgotten_and_one_that_starts_late_not_blamed() {
        let mut gates = gates(100);
        assert_eq!(gates.due(100), [], "what was before is not its own");
        gates.looked(&key(0), Found::Open(100), 101);
        gates.deployed(&BTreeMap::new(), 2);
        assert!(gates.late().is_empty() && gates.due(1_000).is_empty());
    }
}
