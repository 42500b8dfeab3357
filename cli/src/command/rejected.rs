//! `eddyline rejected`: dead letters, looked at and settled.

use control::{ControlError, Deployer, Letter, LetterFilter, Letters, Redriven};
use protocol::header;
use protocol::name::StoreName;
use protocol::outcome::LetterEnd;
use serde::Serialize;
use service::clock;

use super::event::Data;
use crate::args::rejected::{Choice, FilterArgs, ListLetters, RejectedCommand, ShowLetter};
use crate::error::{CliError, EXIT_FAILED, EXIT_SETTINGS, sentence};
use crate::moment::moment;
use crate::nats;
use crate::output::{Output, harmless, thousands};
use crate::table::{Table, ago};

/// Longest reason in a list, in characters; `show` has all of it.
const REASON_CHARS_MAX: usize = 60;

/// Does one of them.
///
/// # Errors
/// Those of the command.
pub async fn run(command: RejectedCommand, output: &Output) -> Result<(), CliError> {
    match command {
        RejectedCommand::List(args) => list(&args, output).await,
        RejectedCommand::Show(args) => show(&args, output).await,
        RejectedCommand::Redrive(args) => settle(&args, LetterEnd::Redriven, output).await,
        RejectedCommand::Drop(args) => settle(&args, LetterEnd::Dropped, output).await,
    }
}

fn filter(args: &FilterArgs, settled: bool) -> Result<LetterFilter, CliError> {
    let since = |text: &String| {
        moment(text).ok_or_else(|| {
            CliError::new(EXIT_SETTINGS, format!("--since {text:?} is no time"))
                .hint("times are 2026-07-01T12:00:00Z, or 2h for two hours ago")
        })
    };
    Ok(LetterFilter {
        function: args.function.as_deref().map(nats::name).transpose()?,
        channel: args.channel.as_deref().map(nats::name).transpose()?,
        since_us: args.since.as_ref().map(since).transpose()?,
        settled,
    })
}

async fn list(args: &ListLetters, output: &Output) -> Result<(), CliError> {
    let store: StoreName = nats::name(&args.filter.store)?;
    let filter = filter(&args.filter, args.settled)?;
    let deployer = nats::deployer(&args.nats).await?;
    let Letters { letters, left_out } = deployer.letters(&store, &filter).await?;
    if left_out > 0 {
        let number = thousands(left_out);
        output.note(&format!(
            "note: {number} older ones are not shown; filter for them"
        ));
    }
    if output.is_json() {
        for letter in &letters {
            output.result(letter, String::new)?;
        }
        return Ok(());
    }
    if letters.is_empty() {
        output.note("there are no such dead letters");
        return Ok(());
    }
    let heads = [
        "NUMBER", "FUNCTION", "CHANNEL", "WHEN", "TRIED", "STATE", "REASON",
    ];
    let (mut table, now_us) = (Table::new(&heads), clock::now_us());
    for letter in &letters {
        table.row([
            letter.seq.to_string(),
            letter.function.to_string(),
            letter.channel.to_string(),
            ago(letter.time_us, now_us),
            letter.attempts.to_string(),
            state(letter),
            cut(&harmless(&letter.reason)),
        ]);
    }
    output.text(&table.text())
}

fn state(letter: &Letter) -> String {
    match &letter.settled {
        None => "open".to_owned(),
        Some(settled) => settled.end.as_str().to_owned(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    letter: &'a Letter,
    content_type: Option<&'a str>,
    #[serde(flatten)]
    data: Data,
}

async fn show(args: &ShowLetter, output: &Output) -> Result<(), CliError> {
    let store: StoreName = nats::name(&args.store)?;
    let deployer = nats::deployer(&args.nats).await?;
    let (letter, stored) = deployer.letter(&store, args.number).await?;
    let content_type = stored.headers.get(header::TYPE);
    let shown = Shown {
        letter: &letter,
        content_type,
        data: Data::new(content_type, &stored.payload),
    };
    output.result(&shown, || text(&shown))
}

fn text(shown: &Shown<'_>) -> String {
    let (letter, now_us) = (shown.letter, clock::now_us());
    let number = letter.seq.to_string();
    let mut table = Table::new(&[number.as_str(), ""]);
    let mut row = |name: &str, value: String| table.row([format!("  {name}"), value]);
    row("function", letter.function.to_string());
    row(
        "channel",
        format!("{} of {}", letter.channel, letter.tenant),
    );
    row("reason", harmless(&letter.reason));
    row("tried", letter.attempts.to_string());
    row("when", ago(letter.time_us, now_us));
    row("event", harmless(&letter.id));
    row(
        "publisher",
        harmless(letter.publisher.as_deref().unwrap_or("-")),
    );
    row("input", letter.source.to_string());
    row("module", harmless(&letter.digest));
    row(
        "state",
        match &letter.settled {
            None => format!("open: `eddyline rejected redrive {number}` tries it again"),
            Some(settled) => {
                let when = ago(settled.written.at_us, now_us);
                format!(
                    "{} {when} by {}",
                    state(letter),
                    harmless(&settled.written.by)
                )
            }
        },
    );
    format!("{}\n\n{}", table.text(), shown.data.line())
}

#[derive(Serialize)]
struct Told<'a> {
    number: u64,
    done: Option<&'static str>,
    /// Where the input stands in its stream, redriven.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

async fn settle(args: &Choice, end: LetterEnd, output: &Output) -> Result<(), CliError> {
    let store: StoreName = nats::name(&args.filter.store)?;
    let filter = filter(&args.filter, false)?;
    let deployer = nats::deployer(&args.nats).await?;
    let mut letters = Vec::new();
    if args.all {
        letters = deployer.letters(&store, &filter).await?.letters;
    }
    for number in &args.numbers {
        let (letter, _) = deployer.letter(&store, *number).await?;
        letters.push(letter);
    }
    if letters.is_empty() {
        output.note("there are no such dead letters");
    }
    let mut failed = 0_usize;
    for letter in &letters {
        let outcome = settle_one(&deployer, letter, end).await;
        failed += usize::from(outcome.is_err());
        tell(letter, end, outcome, output)?;
    }
    match failed {
        0 => Ok(()),
        failed => {
            let text = format!("{failed} of {} were not {}", letters.len(), end.as_str());
            Err(CliError::new(EXIT_FAILED, text))
        }
    }
}

async fn settle_one(
    deployer: &Deployer,
    letter: &Letter,
    end: LetterEnd,
) -> Result<Option<Redriven>, ControlError> {
    match end {
        LetterEnd::Redriven => deployer.redrive(letter).await.map(Some),
        LetterEnd::Dropped => deployer.drop_letter(letter).await.map(|()| None),
    }
}

fn tell(
    letter: &Letter,
    end: LetterEnd,
    outcome: Result<Option<Redriven>, ControlError>,
    output: &Output,
) -> Result<(), CliError> {
    let number = letter.seq;
    match outcome {
        Ok(redriven) => {
            let told = Told {
                number,
                done: Some(end.as_str()),
                seq: redriven.map(|redriven| redriven.seq),
                error: None,
            };
            output.result(&told, || line(letter, redriven))
        }
        Err(error) => {
            let reason = sentence(&error);
            let told = Told {
                number,
                done: None,
                seq: None,
                error: Some(&reason),
            };
            output.result(&told, || format!("{number}: {reason}"))
        }
    }
}

fn line(letter: &Letter, redriven: Option<Redriven>) -> String {
    let (number, function, channel) = (letter.seq, &letter.function, &letter.channel);
    match redriven {
        None => format!("{number}: dropped"),
        Some(Redriven { seq, again: false }) => {
            format!("{number}: {function} gets it again on {channel}, input {seq}")
        }
        Some(Redriven { seq, again: true }) => {
            format!("{number}: {function} has got it again before, input {seq}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_cut_at_a_character() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(REASON_CHARS_MAX + 1);
        assert_eq!(cut(&long).chars().count(), REASON_CHARS_MAX + 3);
    }
}
