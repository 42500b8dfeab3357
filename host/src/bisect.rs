//! Finds the event that a call fails on, by halving the batch. Splitting costs no
//! event an attempt: only the culprit, alone in its call, is blamed.
//!
//! Owns nothing. Must not know how a call is made.

use super::fault::{Broken, Fault};
use super::pack::Item;
use super::reply::Handled;

/// Culprits looked for in one run. A guest that fails on everything would hold its
/// thread for a deadline per event: what is left comes back unhandled instead, and
/// other lanes get their turn.
pub const CULPRITS_MAX: usize = 4;

/// Runs a batch, halved where it fails. The answer is for the first events of the
/// batch, in order: all of them unless [`CULPRITS_MAX`] was reached, never none.
///
/// # Errors
/// [`Broken`] when the function cannot be called; no event is to blame.
pub fn run(
    items: &[Item],
    mut call: impl FnMut(&[Item]) -> Result<Result<Vec<Handled>, Fault>, Broken>,
) -> Result<Vec<Handled>, Broken> {
    let mut handled = Vec::with_capacity(items.len());
    // Ranges still to run, the next one last.
    let mut ranges = Vec::new();
    ranges.push(0..items.len());
    let mut culprits = 0;
    while let Some(range) = ranges.pop() {
        match call(&items[range.clone()])? {
            Ok(outcomes) => handled.extend(outcomes),
            Err(fault) if range.len() == 1 => {
                handled.push(Handled::Fault(fault));
                culprits += 1;
                if culprits == CULPRITS_MAX {
                    break;
                }
            }
            Err(_) => {
                let middle = range.start + range.len() / 2;
                ranges.push(middle..range.end);
                ranges.push(range.start..middle);
            }
        }
    }
    Ok(handled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::item;

    fn check(culprits: &[u64], events: u64) {
        let items: Vec<Item> = (1..=events).map(|seq| item(seq, "doc.a", "{}")).collect();
        let mut calls = 0;
        let handled = run(&items, |items| {
            calls += 1;
            let fails = items
                .iter()
                .any(|item| culprits.contains(&item.event.seq()));
            Ok(if fails {
                Err(Fault::Trap("no".into()))
            } else {
                Ok(vec![Handled::Ack(Vec::new()); items.len()])
            })
        });
        let handled = handled.unwrap();
        let found = culprits.iter().filter(|seq| **seq <= events).count();
        let complete = found < CULPRITS_MAX;
        assert!(handled.len() == items.len() || !complete);
        for (item, handled) in items.iter().zip(&handled) {
            assert_eq!(
                culprits.contains(&item.event.seq()),
                matches!(handled, Handled::Fault(_))
            );
        }
        let deep = 2 + usize::try_from(events.ilog2()).unwrap() * 2;
        assert!(
            calls <= 1 + found * deep,
            "{calls} calls for {found} culprits of {events}"
        );
    }

    proptest! {
        #[test]
        fn exactly_the_culprits_are_blamed(culprits in prop::collection::btree_set(1_u64..64, 0..8), events in 1_u64..64) {
            check(&culprits.into_iter().collect::<Vec<_>>(), events);
        }
    }

    #[test]
    fn a_broken_function_blames_nobody() {
        let result = run(&[item(1, "doc.a", "{}")], |_| {
            Err(Broken::Init("no".into()))
        });
        assert_eq!(result, Err(Broken::Init("no".into())));
    }
}
