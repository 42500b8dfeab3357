//! The shape of generated sessions; that replicas converge is tested with the editor.

use super::*;

/// How many transactions do not have all earlier ones among their ancestors.
fn concurrent(trace: &Trace) -> usize {
    let mut seen: Vec<usize> = Vec::new();
    let mut ancestors = vec![Vec::new(); trace.txns.len()];
    for (index, txn) in trace.txns.iter().enumerate() {
        let mut own = vec![false; index];
        for &parent in &txn.parents {
            own[parent as usize] = true;
            for (earlier, &is) in ancestors[parent as usize].iter().enumerate() {
                own[earlier] |= is;
            }
        }
        seen.push(own.iter().filter(|&&is| is).count());
        ancestors[index] = own;
    }
    seen.iter()
        .enumerate()
        .filter(|&(index, &seen)| seen < index)
        .count()
}

fn session(seed: u64, txns: usize, overlap_percent: u8) -> Trace {
    let trace = generate(&Session {
        seed,
        txns,
        overlap_percent,
    });
    trace.check().unwrap();
    trace
}

#[test]
fn is_determined_by_the_seed() {
    assert_eq!(session(3, 300, 80), session(3, 300, 80));
    assert_ne!(session(3, 300, 80), session(4, 300, 80));
}

#[test]
fn has_the_asked_size_but_never_none() {
    for txns in [1, 2, 500] {
        assert_eq!(session(1, txns, 80).txns.len(), txns);
    }
    let empty = session(1, 0, 80);
    assert_eq!(empty.txns.len(), 1);
    assert_eq!(empty.txns[0].patches[0].ins, empty.end_content);
}

#[test]
fn overlaps_as_asked() {
    assert_eq!(concurrent(&session(5, 400, 0)), 0);
    let (some, most) = (
        concurrent(&session(5, 400, 50)),
        concurrent(&session(5, 400, 90)),
    );
    assert!(some > 100 && most > some, "{some} and {most} of 400");
    let never_merged = session(5, 400, 100);
    assert!(never_merged.txns.iter().all(|txn| txn.parents.len() <= 1));
    assert_eq!(never_merged, session(5, 400, 255));
}

#[test]
fn both_agents_type_delete_and_overtype_all_kinds_of_characters() {
    let trace = session(9, 1_000, 80);
    for agent in 0..AGENTS as u32 {
        let own = trace.txns.iter().skip(1).filter(|txn| txn.agent == agent);
        let patches: Vec<&Patch> = own.flat_map(|txn| &txn.patches).collect();
        assert!(patches.iter().any(|patch| patch.del == 0));
        assert!(patches.iter().any(|patch| patch.ins.is_empty()));
        assert!(
            patches
                .iter()
                .any(|patch| patch.del > 0 && !patch.ins.is_empty())
        );
        assert!(
            patches
                .iter()
                .all(|patch| patch.del > 0 || !patch.ins.is_empty())
        );
        for bytes in 1..=4 {
            let typed = |patch: &&Patch| patch.ins.chars().any(|char| char.len_utf8() == bytes);
            assert!(patches.iter().any(typed), "nothing of {bytes} bytes");
        }
    }
    assert!(trace.txns.iter().any(|txn| txn.patches.len() > 1));
    assert!(trace.txns.iter().any(|txn| txn.parents.len() > 1));
}
