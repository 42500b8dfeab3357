//! Editors among themselves: the real session, generated ones, and small ones by hand.

use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::generator::{Session, generate};
use super::*;
use crate::txn::{Patch, Txn};

/// What is stored, in the order in which it was published.
type Log = Vec<(u32, Vec<u8>)>;

/// One editor and what is on its way to it.
struct Desk {
    editor: Editor,
    /// Indexes into the log that are not delivered yet.
    coming: Vec<usize>,
}

impl Desk {
    /// Delivers a few, chosen among the oldest `disorder` of those on their way.
    fn deliver(&mut self, log: &Log, disorder: usize, rng: &mut StdRng) {
        for _ in 0..rng.random_range(0..20) {
            if self.coming.is_empty() {
                return;
            }
            let chosen = rng.random_range(0..self.coming.len().min(disorder));
            let (txn, update) = &log[self.coming.remove(chosen)];
            self.editor.received(*txn, update.clone()).unwrap();
            if rng.random_range(0..50) == 0 {
                let again = self.editor.received(*txn, update.clone()).unwrap();
                assert_eq!(again, Arrival::Duplicate);
            }
        }
    }
}

/// Lets the editors of a trace exchange updates with random delays, and checks that
/// each of them and a replica rebuilt from the log end with the trace's text.
fn check_converges(trace: Trace, seed: u64, disorder: usize) {
    let trace = Arc::new(trace);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut log = Log::new();
    let desk = |agent| Desk {
        editor: Editor::new(&trace, agent),
        coming: Vec::new(),
    };
    let mut desks: Vec<Desk> = (0..trace.agents as u32).map(desk).collect();
    while !desks
        .iter()
        .all(|desk| desk.editor.has_typed_all() && desk.editor.has_received_all())
    {
        let chosen = rng.random_range(0..desks.len());
        desks[chosen].deliver(&log, disorder, &mut rng);
        for _ in 0..rng.random_range(0..8) {
            let Some(typed) = desks[chosen].editor.next_local().unwrap() else {
                break;
            };
            desks
                .iter_mut()
                .for_each(|desk| desk.coming.push(log.len()));
            log.push(typed);
        }
    }
    assert_eq!(log.len(), trace.txns.len());
    for (desk, agent) in desks.into_iter().zip(0u32..) {
        let arrivals = desk.editor.arrivals();
        assert_eq!(arrivals.own, trace.typed_by(agent).count());
        assert_eq!(arrivals.remote, trace.txns.len() - arrivals.own);
        let text = desk.editor.finish().unwrap();
        assert!(
            text == trace.end_content,
            "agent {agent}, seed {seed}: another text"
        );
    }
    let mut rebuilt = Document::reader();
    log.iter()
        .for_each(|(_, update)| rebuilt.apply_remote(update).unwrap());
    assert!(
        !rebuilt.is_waiting(),
        "seed {seed}: the log does not stand on its own"
    );
    assert!(
        rebuilt.text() == trace.end_content,
        "seed {seed}: another text in the log"
    );
}

#[test]
fn a_real_session_converges() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/friendsforever.json.gz");
    if !path.exists() {
        eprintln!(
            "SKIPPED a_real_session_converges: no recorded session at {}",
            path.display()
        );
        return;
    }
    check_converges(Trace::load(&path).unwrap(), 1, 1);
}

#[test]
fn generated_sessions_converge_whatever_the_delays() {
    for seed in 0..20 {
        let overlap_percent = [0, 50, 80, 95, 100][seed as usize % 5];
        let trace = generate(&Session {
            seed,
            txns: 600,
            overlap_percent,
        });
        trace.check().unwrap();
        // In order, as a channel delivers, and out of order.
        check_converges(trace.clone(), seed, 1);
        check_converges(trace, seed, 9);
    }
}

fn by_hand(end_content: &str, txns: &[(u32, &[u32], usize, &str)]) -> Arc<Trace> {
    let txn = |&(agent, parents, pos, ins): &(u32, &[u32], usize, &str)| Txn {
        parents: parents.to_vec(),
        agent,
        patches: vec![Patch {
            pos,
            del: 0,
            ins: ins.into(),
        }],
    };
    let txns = txns.iter().map(txn).collect();
    let trace = Trace {
        end_content: end_content.into(),
        agents: 3,
        txns,
    };
    trace.check().unwrap();
    Arc::new(trace)
}

#[test]
fn what_is_not_an_ancestor_is_held_back() {
    // 1 and 2 are concurrent; 3 has seen 1 and not 2; 4 has seen all.
    let trace = by_hand(
        "<acbd>!",
        &[
            (0, &[], 0, "<>"),
            (1, &[0], 1, "ab"),
            (0, &[0], 2, "!"),
            (1, &[1], 2, "c"),
            (0, &[2, 3], 4, "d"),
        ],
    );
    let (mut first, mut second) = (Editor::new(&trace, 0), Editor::new(&trace, 1));
    assert_eq!(
        second.next_local().unwrap(),
        None,
        "its ancestor has not arrived"
    );
    assert!(!second.has_typed_all());
    let zero = first.next_local().unwrap().unwrap();
    let two = first.next_local().unwrap().unwrap();
    assert_eq!((zero.0, two.0), (0, 2));
    assert_eq!(first.next_local().unwrap(), None);
    assert_eq!(second.received(zero.0, zero.1).unwrap(), Arrival::Remote);
    assert_eq!(
        second.received(two.0, two.1.clone()).unwrap(),
        Arrival::Remote
    );
    let one = second.next_local().unwrap().unwrap();
    let three = second.next_local().unwrap().unwrap();
    assert_eq!(
        second.text(),
        "<acb>",
        "2 is here, but nothing typed here comes after it"
    );
    assert!(second.has_typed_all());
    // Out of order: 3 alone is not enough for 4.
    first.received(three.0, three.1).unwrap();
    assert_eq!(first.next_local().unwrap(), None);
    first.received(one.0, one.1).unwrap();
    let four = first.next_local().unwrap().unwrap();
    assert_eq!(first.text(), "<acbd>!");
    assert!(first.has_typed_all() && !first.has_received_all());
    assert_eq!(first.received(two.0, two.1).unwrap(), Arrival::Own);
    second.received(four.0, four.1).unwrap();
    assert_eq!(second.finish().unwrap(), first.finish().unwrap());
}

#[test]
fn arrivals_that_cannot_be_are_told() {
    let trace = by_hand("a", &[(0, &[], 0, "a")]);
    let mut editor = Editor::new(&trace, 0);
    let fault = editor.received(1, Vec::new()).unwrap_err();
    assert!(
        matches!(fault, EditorError::Unknown { txn: 1, txns: 1 }),
        "{fault:?}"
    );
    let fault = editor.received(0, Vec::new()).unwrap_err();
    assert!(
        matches!(fault, EditorError::Untyped { txn: 0 }),
        "{fault:?}"
    );
    let (txn, update) = editor.next_local().unwrap().unwrap();
    assert_eq!(editor.received(txn, update.clone()).unwrap(), Arrival::Own);
    assert_eq!(editor.received(txn, update).unwrap(), Arrival::Duplicate);
    assert_eq!(
        editor.arrivals(),
        Arrivals {
            remote: 0,
            own: 1,
            duplicate: 1
        }
    );
    assert_eq!(editor.finish().unwrap(), "a");
}

#[test]
fn faults_name_the_transaction() {
    let trace = by_hand(
        "",
        &[(0, &[], 0, "a"), (0, &[0], 2, "b"), (1, &[0], 0, "c")],
    );
    let mut typing = Editor::new(&trace, 0);
    typing.next_local().unwrap();
    let fault = typing.next_local().unwrap_err();
    assert!(
        matches!(fault, EditorError::Document { txn: 1, .. }),
        "{fault:?}"
    );

    let mut merging = Editor::new(&trace, 1);
    merging.received(0, b"no update".to_vec()).unwrap();
    let fault = merging.next_local().unwrap_err();
    assert!(
        matches!(fault, EditorError::Document { txn: 0, .. }),
        "{fault:?}"
    );

    let fault = Editor::new(&trace, 1).finish().unwrap_err();
    assert_eq!(
        fault.to_string(),
        "3 transactions are neither typed nor arrived, the first is 0"
    );
}
