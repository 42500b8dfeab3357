//! The command line of `simulate`.
//!
//! Owns the arguments and what is printed.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use simulation::campaign::{Failure, Summary};
use simulation::plan::{Scenario, Schedule, read_steps};
use tokio::time::Instant;

/// Steps of a run unless asked otherwise: long enough for faults to meet, short enough
/// that a failing run is soon shrunk.
const STEPS_DEFAULT: usize = 150;
/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(10);

/// Seeded simulations over the bus's model.
#[derive(Debug, Parser)]
struct Args {
    /// How long: 30s, 10m, 2h
    #[arg(long = "for", default_value = "1m", value_parser = duration)]
    lasts: Duration,
    /// The first seed; the next run takes the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this scenario: publisher, feed, lane, mirror or lease
    #[arg(long)]
    scenario: Option<Scenario>,
    /// Steps of each run
    #[arg(long, default_value_t = STEPS_DEFAULT)]
    length: usize,
    /// One schedule, as a failure prints it; needs --scenario
    #[arg(long, requires = "scenario")]
    steps: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} has no number"))?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(format!("{text:?} does not end in s, m or h")),
    };
    Ok(Duration::from_secs(number * seconds))
}

/// Runs what the arguments ask for: 0 if nothing fails, 1 otherwise.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let mut summary = Summary::default();
    let failed = match (&args.steps, args.scenario) {
        (Some(steps), Some(scenario)) => match read_steps(steps) {
            Ok(steps) => again(&mut summary, scenario, args.seed, steps),
            Err(problem) => {
                eprintln!("{problem}");
                return ExitCode::from(64);
            }
        },
        _ => seeds(&mut summary, &args),
    };
    println!("{summary}");
    match failed {
        Some(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn again(
    summary: &mut Summary,
    scenario: Scenario,
    seed: u64,
    steps: Vec<simulation::plan::Step>,
) -> Option<Box<Failure>> {
    let schedule = Schedule {
        scenario,
        seed,
        steps,
    };
    summary.run(schedule, None).err()
}

fn seeds(summary: &mut Summary, args: &Args) -> Option<Box<Failure>> {
    let (start, mut told) = (Instant::now(), Instant::now());
    let scenarios = args
        .scenario
        .map_or(Scenario::ALL.to_vec(), |one| vec![one]);
    for seed in args.seed.. {
        for scenario in &scenarios {
            let schedule = Schedule::of(*scenario, seed, args.length);
            if let Err(failure) = summary.run(schedule, None) {
                return Some(failure);
            }
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            println!(
                "seed {seed}: {} runs, {} steps",
                summary.runs, summary.steps
            );
        }
        if start.elapsed() >= args.lasts {
            break;
        }
    }
    None
}
