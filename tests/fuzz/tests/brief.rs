//! Each target for a bounded number of inputs, from a seed; and that a search finds what
//! is there to be found.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

use fuzz::meter::{self, Meter};
use fuzz::property::Target;
use fuzz::search::{Failure, Search, attempt};
use fuzz::target::TARGETS;
use rand::Rng;

#[global_allocator]
static METER: Meter = Meter;

/// Inputs of each target: some seconds of all of them on a slow machine.
const INPUTS: u64 = 20_000;
/// Where the seed is told, if it is not to be another one each time.
const SEED: &str = "EDDYLINE_SEED";

#[allow(
    clippy::disallowed_methods,
    reason = "the seed of a test is no setting of ours"
)]
fn seed() -> u64 {
    let told = std::env::var(SEED).ok();
    told.map_or_else(|| rand::rng().random(), |seed| seed.parse().unwrap())
}

#[test]
fn every_target_holds() {
    let seed = seed();
    let mut failures = Vec::new();
    std::thread::scope(|scope| {
        let searches = TARGETS.iter().map(|target| {
            let search = scope.spawn(move || -> Result<usize, Failure> {
                let committed = fuzz::corpus::read(target.name).unwrap();
                assert!(committed.len() > 2, "{} has no corpus", target.name);
                let mut search = Search::new(target, committed, seed)?;
                search.run(INPUTS)?;
                Ok(search.outcomes())
            });
            (target.name, search)
        });
        for (name, search) in searches.collect::<Vec<_>>() {
            match search.join().unwrap() {
                Ok(outcomes) => println!("{name}: {outcomes} outcomes"),
                Err(Failure { input, problem }) => {
                    failures.push(format!("{name}: {problem}\n  {}", input.escape_ascii()));
                }
            }
        }
    });
    assert!(failures.is_empty(), "seed {seed}:\n{}", failures.join("\n"));
}

#[test]
fn each_target_tells_outcomes_apart() {
    for target in &TARGETS {
        let committed = fuzz::corpus::read(target.name).unwrap();
        let mut search = Search::new(target, committed, 7)
            .map_err(|failure| failure.problem)
            .unwrap();
        let before = search.outcomes();
        search
            .run(2_000)
            .map_err(|failure| failure.problem)
            .unwrap();
        assert!(search.outcomes() > before, "{}: {before}", target.name);
    }
}

/// A reader with a fault three steps deep: each step is another outcome.
fn planted(input: &[u8]) -> Result<u64, String> {
    let depth = [b'f', b'u', b'z', b'z'].iter().zip(input);
    match depth.take_while(|(wanted, byte)| wanted == byte).count() {
        4 => Err("the planted fault".into()),
        depth => Ok(depth as u64),
    }
}

const PLANTED: Target = Target {
    name: "planted",
    words: &[],
    make: None,
    check: planted,
};

#[test]
fn a_planted_fault_is_found_and_shrunk() {
    let mut search = Search::new(&PLANTED, vec![b"some".to_vec()], 1).unwrap();
    let failure = search.run(400_000).unwrap_err();
    assert_eq!(failure.input, b"fuzz");
    let panics = Target {
        check: |input| match input.len() {
            3 => panic!("three"),
            length => Ok(length as u64),
        },
        ..PLANTED
    };
    let failed = attempt(&panics, b"abc").unwrap_err();
    assert_eq!(failed, "it panics: three");
}

#[test]
fn what_is_allocated_at_a_time_is_counted() {
    let (bytes, peak) = meter::peak(|| vec![0_u8; 1_000_000]);
    assert!((1_000_000..1_100_000).contains(&peak), "{peak}");
    drop(bytes);
    let (_, peak) = meter::peak(|| (0..10).map(|_| vec![0_u8; 1_000].len()).sum::<usize>());
    assert!((1_000..10_000).contains(&peak), "{peak}");
}
