//! `fuzz`: searches one target, or all of them by turns, for as long as asked; or tries a
//! file again.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use fuzz::corpus;
use fuzz::meter::Meter;
use fuzz::property::Target;
use fuzz::search::{Failure, Search, attempt};
use fuzz::target::{self, TARGETS};
use rand::Rng;
use tokio::time::Instant;

#[global_allocator]
static METER: Meter = Meter;

/// Inputs between two looks at the clock.
const PORTION: u64 = 5_000;

/// Searches for inputs of which something does not hold.
#[derive(Debug, Parser)]
struct Arguments {
    /// The target; all of them unless given.
    target: Option<String>,
    /// How long each is searched.
    #[arg(long = "for", value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    lasts: Duration,
    /// The number from which everything follows.
    #[arg(long)]
    seed: Option<u64>,
    /// A file to try instead.
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let wanted: Vec<&Target> = match &arguments.target {
        None => TARGETS.iter().collect(),
        Some(name) => {
            let names = TARGETS.map(|target| target.name).join(", ");
            let unknown = || anyhow::anyhow!("there is no target {name}; these are: {names}");
            vec![target::named(name).ok_or_else(unknown)?]
        }
    };
    if let Some(path) = &arguments.input {
        let outcome = attempt(wanted[0], &std::fs::read(path)?);
        println!("{outcome:?}");
        return Ok(code(outcome.is_ok()));
    }
    let seed = arguments.seed.unwrap_or_else(|| rand::rng().random());
    println!("seed {seed}");
    let mut holds = true;
    for target in wanted {
        match searched(target, seed, arguments.lasts)? {
            Ok((tried, outcomes)) => {
                println!("{}: {tried} inputs, {outcomes} outcomes", target.name);
            }
            Err(Failure { input, problem }) => {
                holds = false;
                let path = std::env::temp_dir().join(format!("{}-{seed}", target.name));
                std::fs::write(&path, &input)?;
                println!("{}: {problem}\n  {}", target.name, input.escape_ascii());
                println!("  kept in {}: it belongs into the corpus", path.display());
            }
        }
    }
    Ok(code(holds))
}

fn code(holds: bool) -> ExitCode {
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

type Searched = Result<(u64, usize), Failure>;

fn searched(target: &Target, seed: u64, lasts: Duration) -> anyhow::Result<Searched> {
    let (committed, end) = (corpus::read(target.name)?, Instant::now() + lasts);
    let mut search = match Search::new(target, committed, seed) {
        Ok(search) => search,
        Err(failure) => return Ok(Err(failure)),
    };
    while Instant::now() < end {
        if let Err(failure) = search.run(PORTION) {
            return Ok(Err(failure));
        }
    }
    Ok(Ok((search.tried(), search.outcomes())))
}
