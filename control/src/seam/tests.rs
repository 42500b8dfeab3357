//! Every event once and in order, whatever retention does meanwhile.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// A stream that ends with 100; the event of each sequence was stored at ten times that.
fn keeps(first_seq: u64) -> StreamState {
    StreamState {
        first_seq,
        last_seq: 100,
        first_time_us: if first_seq <= 100 { first_seq * 10 } else { 0 },
        created_us: 0,
        bytes: 0,
        max_age: Duration::ZERO,
        max_bytes: None,
        duplicate_window: Duration::ZERO,
    }
}

fn step(at: Place, first_seq: u64) -> Step {
    Seam::new(at, 100).step(&keeps(first_seq))
}

#[test]
fn what_jetstream_has_is_read_there_and_the_rest_in_the_mirror() {
    use Place::{Earliest, Sequence, Time};
    for whole in [Earliest, Time(5), Time(700), Sequence(1), Sequence(60)] {
        assert_eq!(step(whole, 1), Step::Kept(whole));
    }
    let older = |from, to| Step::Older { from, to };
    assert_eq!(step(Earliest, 61), older(Earliest, 60));
    assert_eq!(step(Time(609), 61), older(Time(609), 60));
    assert_eq!(step(Time(610), 61), Step::Kept(Time(610)));
    assert_eq!(step(Sequence(60), 61), older(Sequence(60), 60));
    assert_eq!(step(Sequence(61), 61), Step::Kept(Sequence(61)));
    // Nothing is kept at all.
    for at in [Earliest, Time(609), Time(5_000), Sequence(7)] {
        assert_eq!(step(at, 101), older(at, 100));
    }
    assert_eq!(step(Sequence(101), 101), Step::Done);
    assert_eq!(Seam::new(Earliest, 0).step(&keeps(1)), Step::Done);
    // What is stored after the beginning is not wanted.
    assert_eq!(
        Seam::new(Earliest, 30).step(&keeps(61)),
        older(Earliest, 30)
    );
}

/// Reads as the caller does: from JetStream some events at a time, looked at again behind
/// them; retention moves to the next of `moves` at each look.
fn read(at: Place, mut moves: impl Iterator<Item = u64>, chunk: u64) -> Vec<(u64, bool)> {
    let mut seam = Seam::new(at, 100);
    let begin = |place| match place {
        Place::Earliest => 1,
        Place::Time(since) => since.div_ceil(10).max(1),
        Place::Sequence(seq) => seq,
    };
    let mut first = 1;
    let mut look = || {
        first = moves.next().unwrap_or(first).clamp(first, 101);
        keeps(first)
    };
    let mut read = Vec::new();
    let mut kept = look();
    loop {
        match seam.step(&kept) {
            Step::Done => return read,
            Step::Older { from, to } => {
                read.extend((begin(from)..=to).map(|seq| (seq, true)));
                seam.reach(to);
                kept = look();
            }
            Step::Kept(from) => {
                let from = begin(from).max(kept.first_seq);
                let to = (from + chunk - 1).min(100);
                kept = look();
                if matches!(seam.step(&kept), Step::Kept(_)) {
                    assert!(from > to || kept.first_seq <= from);
                    read.extend((from..=to).map(|seq| (seq, false)));
                    seam.reach(to);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn every_event_comes_once_and_in_order(
        which in 0u64..3,
        at in 1u64..1_100,
        mut moves in proptest::collection::vec(1u64..110, 1..12),
        chunk in 1u64..40,
    ) {
        let (place, first) = match which {
            0 => (Place::Earliest, 1),
            1 => (Place::Time(at), at.div_ceil(10)),
            _ => (Place::Sequence(at), at),
        };
        moves.sort_unstable();
        let read: Vec<u64> = read(place, moves.into_iter(), chunk).into_iter().map(|(seq, _)| seq).collect();
        prop_assert_eq!(read, (first..=100).collect::<Vec<_>>());
    }
}
