//! Whose a lane is: a pure function of who is there.
//!
//! Owns nothing. Every worker computes the same from the same reports, so nobody has to
//! hand lanes out.

use protocol::lane::Lane;
use protocol::name::FunctionName;
use xxhash_rust::xxh3::xxh3_64;

/// The worker whose a function's lane is, among those that run the function, sorted by
/// name; `None` if there are none. Each gets the same number of a function's lanes, or
/// one more; who gets more depends on the function, so that it is not always the same.
pub fn owner_of<'a, S: AsRef<str>>(
    workers: &'a [S],
    function: &FunctionName,
    lane: Lane,
) -> Option<&'a str> {
    let count = workers.len() as u64;
    let turn = xxh3_64(function.as_str().as_bytes());
    let at = (turn % count.max(1) + u64::from(lane.0)).checked_rem(count)?;
    let owner = workers.get(usize::try_from(at).ok()?)?;
    Some(owner.as_ref())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const WORKERS: [&str; 3] = ["a", "b", "c"];

    fn shares(functions: usize, lanes: u16) -> Vec<BTreeMap<&'static str, usize>> {
        let share = |n: usize| {
            let function = FunctionName::parse(&format!("f{n}")).unwrap();
            let mut counts: BTreeMap<_, usize> = WORKERS.map(|worker| (worker, 0)).into();
            for lane in 0..lanes {
                let owner = owner_of(&WORKERS, &function, Lane(lane)).unwrap();
                *counts.get_mut(owner).unwrap() += 1;
            }
            counts
        };
        (0..functions).map(share).collect()
    }

    #[test]
    fn every_worker_has_the_same_number_of_a_functions_lanes_or_one_more() {
        for lanes in [1, 2, 3, 16, 1_024] {
            for counts in shares(20, lanes) {
                let (least, most) = (counts.values().min(), counts.values().max());
                assert!(most.unwrap() - least.unwrap() <= 1, "{counts:?}");
            }
        }
    }

    #[test]
    fn who_has_one_more_changes_with_the_function() {
        let mut more: BTreeMap<&str, usize> = BTreeMap::new();
        for counts in shares(300, 16) {
            let (owner, _) = counts.into_iter().find(|(_, count)| *count == 6).unwrap();
            *more.entry(owner).or_default() += 1;
        }
        assert!(
            more.len() == 3 && more.values().all(|count| *count > 50),
            "{more:?}"
        );
    }

    #[test]
    fn nobody_owns_a_lane_where_nobody_is() {
        let function = FunctionName::parse("f").unwrap();
        assert_eq!(owner_of::<&str>(&[], &function, Lane(3)), None);
    }
}
