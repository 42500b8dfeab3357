//! What the command line asks for. Owns nothing.

/// How to call the program.
pub const USAGE: &str = "usage: bench [--quick] [--json] [--only NAME]...";

/// Rounds of each measurement, ours and the yardstick's in turn; the median counts.
const ROUNDS: usize = 3;
/// By how much `--quick` makes every measurement shorter.
const QUICK_DIVISOR: usize = 5;

/// What is asked for.
#[derive(Debug, Default)]
pub struct Options {
    /// For machines.
    pub json: bool,
    quick: bool,
    only: Vec<String>,
}

impl Options {
    /// Reads arguments.
    ///
    /// # Errors
    /// Names the argument that is not understood.
    pub fn parse(
        mut arguments: impl Iterator<Item = String>,
        benches: &[&str],
    ) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--only" => {
                    let name = arguments.next().unwrap_or_default();
                    if !benches.contains(&name.as_str()) {
                        return Err(format!("--only {name:?}: one of {}", benches.join(", ")));
                    }
                    options.only.push(name);
                }
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        Ok(options)
    }

    /// Whether a bench is to run.
    pub fn wants(&self, bench: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == bench)
    }

    /// Rounds of each measurement.
    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { ROUNDS }
    }

    /// How many of something, unless it has to be quick.
    pub fn count(&self, full: usize) -> usize {
        if self.quick {
            full / QUICK_DIVISOR
        } else {
            full
        }
    }
}
