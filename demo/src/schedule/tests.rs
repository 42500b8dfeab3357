//! The order of merging and typing, without any text.

use super::*;
use crate::txn::Txn;

fn trace(txns: &[(u32, &[u32])]) -> Arc<Trace> {
    let txn = |&(agent, parents): &(u32, &[u32])| Txn {
        parents: parents.to_vec(),
        agent,
        patches: Vec::new(),
    };
    let trace = Trace {
        end_content: String::new(),
        agents: 3,
        txns: txns.iter().map(txn).collect(),
    };
    trace.check().unwrap();
    Arc::new(trace)
}

fn steps(trace: &Arc<Trace>, agent: u32) -> Vec<Step> {
    let mut schedule = Schedule::new(trace, agent);
    let mut steps = Vec::new();
    while schedule.step() != Step::Rest {
        steps.push(schedule.step());
        schedule.done();
    }
    schedule.done();
    assert_eq!(schedule.step(), Step::Rest, "rest is for ever");
    steps
}

#[test]
fn merges_ancestors_only_and_parents_first() {
    use Step::{Merge, Type};
    // 0 and 1 are concurrent; 2 knows both; 3 knows only 1; 4 knows all.
    let trace = trace(&[(0, &[]), (1, &[]), (2, &[0, 1]), (1, &[1]), (0, &[2, 3])]);
    assert_eq!(
        steps(&trace, 0),
        [Type(0), Merge(1), Merge(2), Merge(3), Type(4)]
    );
    assert_eq!(steps(&trace, 1), [Type(1), Type(3)]);
    assert_eq!(steps(&trace, 2), [Merge(0), Merge(1), Type(2)]);
}

#[test]
fn an_agent_that_types_nothing_rests_at_once() {
    assert_eq!(Schedule::new(&trace(&[(0, &[])]), 1).step(), Step::Rest);
    assert_eq!(Schedule::new(&trace(&[]), 0).step(), Step::Rest);
}

#[test]
fn a_chain_through_others_counts_as_seen() {
    let trace = trace(&[(0, &[]), (1, &[0]), (2, &[1]), (0, &[2])]);
    let mut lineage = Lineage::new(trace.txns.len());
    assert_eq!(lineage.advance(&trace.txns, 0), Ok(vec![]));
    assert_eq!(lineage.advance(&trace.txns, 3), Ok(vec![1, 2]));
}

#[test]
fn a_forgotten_transaction_is_named() {
    let parents: [&[u32]; 3] = [&[], &[], &[1]];
    let txns = parents.map(|parents| Txn {
        parents: parents.to_vec(),
        agent: 0,
        patches: Vec::new(),
    });
    let mut lineage = Lineage::new(txns.len());
    assert_eq!(lineage.advance(&txns, 0), Ok(vec![]));
    assert_eq!(lineage.advance(&txns, 2), Err(0));
}
