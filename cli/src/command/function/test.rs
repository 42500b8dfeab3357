//! `eddyline function test`: runs recorded events through the real host and compares
//! what each became with what is expected. Owns no state but the count of a run.

use std::path::Path;

use serde::Serialize;
use workbench::golden::record::{Becomes, Record};
use workbench::golden::{Runner, diff, file};

use super::build;
use super::failure;
use crate::args::author::Test;
use crate::error::{CliError, EXIT_FAILED, EXIT_SETTINGS};
use crate::output::{Output, harmless};

/// How an event compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Same,
    Different,
    /// Nothing is expected of it yet.
    New,
}

#[derive(Serialize)]
struct Told<'a> {
    file: &'a Path,
    event: usize,
    verdict: Verdict,
    written: bool,
    expected: Option<&'a Becomes>,
    becomes: &'a Becomes,
}

#[derive(Debug, Default)]
struct Count {
    same: usize,
    different: usize,
    new: usize,
}

/// Builds the function and runs what is recorded.
///
/// # Errors
/// It does not build, a file cannot be used, or an event became something else than
/// what is expected and `--write` was not given.
pub(super) async fn run(args: Test, output: &Output) -> Result<(), CliError> {
    let project = failure::project(&args.project)?;
    let files = file::list(&project.folder).map_err(failure::of_file)?;
    if files.is_empty() {
        let text = format!("{} holds no recorded event", file::FOLDER);
        let hint = "record some: eddyline replay --ingress --json 'CHANNEL.>' > \
                    tests/golden/today.jsonl";
        return Err(CliError::new(EXIT_SETTINGS, text).hint(hint));
    }
    let built = build::build(&project, output).await;
    let built = built.map_err(failure::of_build)?;
    let spec = project
        .spec(&built.modules)
        .map_err(|error| CliError::new(EXIT_SETTINGS, format!("the function's {error}")))?;
    let runner = Runner::new(spec, built.modules, Some(running::compiled())).await;
    let runner = runner.map_err(failure::of_run)?;
    let mut count = Count::default();
    for path in &files {
        let shown = path.strip_prefix(&project.folder).unwrap_or(path);
        let mut records = file::read(path).map_err(failure::of_file)?;
        let became = runner.run(&records).await.map_err(failure::of_run)?;
        let mut changed = false;
        for (event, (record, becomes)) in (1..).zip(records.iter_mut().zip(became)) {
            let verdict = compare(record, &becomes);
            changed |= verdict != Verdict::Same;
            tell(shown, event, verdict, args.write, record, &becomes, output)?;
            count.add(verdict);
            record.becomes = Some(becomes);
        }
        if changed && args.write {
            file::write(path, &records).map_err(failure::of_file)?;
        }
    }
    count.end(args.write, output)
}

fn compare(record: &Record, becomes: &Becomes) -> Verdict {
    match &record.becomes {
        None => Verdict::New,
        Some(expected) if expected == becomes => Verdict::Same,
        Some(_) => Verdict::Different,
    }
}

fn tell(
    file: &Path,
    event: usize,
    verdict: Verdict,
    write: bool,
    record: &Record,
    becomes: &Becomes,
    output: &Output,
) -> Result<(), CliError> {
    let told = Told {
        file,
        event,
        verdict,
        written: write && verdict != Verdict::Same,
        expected: record.becomes.as_ref(),
        becomes,
    };
    output.result(&told, || text(&told))
}

/// One line, and under it what is different.
fn text(told: &Told<'_>) -> String {
    let word = match (told.verdict, told.written) {
        (Verdict::Same, _) => "same",
        (_, true) => "written",
        (Verdict::Different, false) => "different",
        (Verdict::New, false) => "new",
    };
    let mut text = format!("{word:<10} {}, event {}\n", told.file.display(), told.event);
    if told.verdict != Verdict::Same {
        let pretty = |becomes: &Becomes| {
            serde_json::to_string_pretty(becomes).expect("outcomes are plain values")
        };
        let expected = told.expected.map(pretty).unwrap_or_default();
        for line in diff::lines(&expected, &pretty(told.becomes)) {
            text.push_str(&format!("    {}\n", harmless(&line)));
        }
    }
    text
}

impl Count {
    fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Different => self.different += 1,
            Verdict::New => self.new += 1,
        }
    }

    fn end(&self, write: bool, output: &Output) -> Result<(), CliError> {
        let Self {
            same,
            different,
            new,
        } = self;
        let text = format!("{same} as expected, {different} different, {new} new");
        if write || (*different == 0 && *new == 0) {
            output.note(&text);
            return Ok(());
        }
        let hint = "`eddyline function test --write` keeps what came out";
        Err(CliError::new(EXIT_FAILED, text).hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn becomes(json: &str) -> Becomes {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_difference_is_shown_line_by_line() {
        let expected = becomes(r#"{"outcome":"reject","reason":"too long"}"#);
        let got = becomes(r#"{"outcome":"reject","reason":"over 3 bytes"}"#);
        let told = Told {
            file: Path::new("tests/golden/a.json"),
            event: 1,
            verdict: Verdict::Different,
            written: false,
            expected: Some(&expected),
            becomes: &got,
        };
        let text = text(&told);
        assert!(
            text.starts_with("different  tests/golden/a.json, event 1\n"),
            "{text}"
        );
        assert!(
            text.contains("    -   \"reason\": \"too long\"\n"),
            "{text}"
        );
        assert!(
            text.contains("    +   \"reason\": \"over 3 bytes\"\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_as_expected_fails_unless_it_is_written() {
        let output = Output::new(true);
        let count = |different, new| Count {
            same: 1,
            different,
            new,
        };
        assert!(count(0, 0).end(false, &output).is_ok());
        assert_eq!(
            count(1, 0).end(false, &output).unwrap_err().code,
            EXIT_FAILED
        );
        assert_eq!(
            count(0, 1).end(false, &output).unwrap_err().code,
            EXIT_FAILED
        );
        assert!(count(1, 1).end(true, &output).is_ok());
    }
}
