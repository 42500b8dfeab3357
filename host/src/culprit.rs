//! Finds the event that a call fails on: the batch is gone through one by one, so that
//! a guest that never returns costs its thread two deadlines and no more. Splitting
//! costs no event an attempt: only the culprit, alone in its call, is blamed.
//!
//! Owns nothing. Must not know how a call is made.

use super::fault::{Broken, Fault};
use super::pack::Item;
use super::reply::Handled;

/// Culprits looked for in one run. A guest that fails on everything would hold its
/// thread for a deadline per event: what is left comes back unhandled instead, and
/// other lanes get their turn.
pub const CULPRITS_MAX: usize = 4;

/// What one call says about its events.
#[derive(Debug)]
pub struct Called {
    /// For the first events of the call, in order.
    pub handled: Vec<Handled>,
    /// Why the call failed: on the event after those, if that is `exact`, on any of them
    /// otherwise.
    pub fault: Option<Fault>,
    /// Whether the fault's event is known.
    pub exact: bool,
    /// Whether the run should end here, what is left unhandled.
    pub over: bool,
}

impl Called {
    /// A call that went well.
    pub fn all(handled: Vec<Handled>) -> Self {
        Self {
            handled,
            fault: None,
            exact: false,
            over: false,
        }
    }

    /// A call that failed on any of its events.
    pub fn failed(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::all(Vec::new())
        }
    }
}

/// Runs a batch. The answer is for the first events of the batch, in order: all of them
/// unless [`CULPRITS_MAX`] was reached or a call said that the run is over; never none.
///
/// # Errors
/// [`Broken`] when the function cannot be called; no event is to blame.
pub fn run(
    items: &[Item],
    mut call: impl FnMut(&[Item]) -> Result<Called, Broken>,
) -> Result<Vec<Handled>, Broken> {
    let mut handled = Vec::with_capacity(items.len());
    let (mut culprits, mut singly) = (0, false);
    while handled.len() < items.len() {
        let rest = &items[handled.len()..];
        let rest = if singly { &rest[..1] } else { rest };
        let called = call(rest)?;
        let exact = called.exact || rest.len() == 1;
        handled.extend(called.handled);
        match called.fault {
            Some(fault) if exact => {
                handled.push(Handled::Fault(fault));
                culprits += 1;
                singly = false;
                if culprits == CULPRITS_MAX {
                    break;
                }
            }
            Some(_) => singly = true,
            None => {}
        }
        // A run that handled nothing would be asked for again, for ever.
        if called.over && !handled.is_empty() {
            break;
        }
    }
    Ok(handled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reply::Done;
    use crate::tests::item;

    fn check(culprits: &[u64], events: u64) {
        let items: Vec<Item> = (1..=events).map(|seq| item(seq, "doc.a", "{}")).collect();
        let mut failed = 0;
        let handled = run(&items, |items| {
            let fails = items
                .iter()
                .any(|item| culprits.contains(&item.event.seq()));
            failed += usize::from(fails);
            Ok(if fails {
                Called::failed(Fault::Trap("no".into()))
            } else {
                Called::all(vec![Handled::Ack(Done::default()); items.len()])
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
        // Once whole and once alone for each culprit, once whole for what is left.
        assert!(
            failed <= 2 * found,
            "{failed} failed calls for {found} culprits of {events}"
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

    #[test]
    fn a_known_culprit_costs_one_call_and_the_rest_goes_on() {
        let items: Vec<Item> = (1..=6).map(|seq| item(seq, "doc.a", "{}")).collect();
        let mut calls = 0;
        let handled = run(&items, |items| {
            calls += 1;
            let ack = Handled::Ack(Done::default());
            let before = items.iter().take_while(|item| item.event.seq() != 3);
            let handled = before.map(|_| ack.clone()).collect::<Vec<_>>();
            let fault = (handled.len() < items.len()).then(|| Fault::Trap("no".into()));
            Ok(Called {
                exact: true,
                fault,
                ..Called::all(handled)
            })
        });
        let handled = handled.unwrap();
        assert_eq!((handled.len(), calls), (6, 2));
        assert!(matches!(handled[2], Handled::Fault(_)));
    }

    #[test]
    fn a_run_that_is_over_leaves_the_rest_but_handles_something() {
        let items: Vec<Item> = (1..=6).map(|seq| item(seq, "doc.a", "{}")).collect();
        let mut calls = 0;
        let handled = run(&items, |_| {
            calls += 1;
            let some = vec![Handled::Ack(Done::default()); if calls == 1 { 0 } else { 2 }];
            Ok(Called {
                over: true,
                ..Called::all(some)
            })
        });
        assert_eq!(handled.unwrap().len(), 2);
    }
}
