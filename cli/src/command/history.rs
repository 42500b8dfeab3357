//! `eddyline history`: prints a channel's stored events, page after page.

use std::num::NonZeroU32;

use client::{Client, History, HistoryPage, Mark};
use protocol::frame::{AtTime, HISTORY_EVENTS_MAX};
use serde::Serialize;

use super::publish::connect;
use super::subscribe::{Lost, shown};
use crate::args;
use crate::args::demand::demanded;
use crate::error::{CliError, EXIT_SETTINGS};
use crate::moment::moment;
use crate::output::Output;

#[derive(Serialize)]
struct Next {
    next: String,
}

/// Reads and prints, until the end, enough events, or an interruption.
///
/// # Errors
/// The edge node cannot be reached or refuses.
pub async fn run(args: args::History, output: &Output) -> Result<(), CliError> {
    let mut from = args.from.as_deref().map(mark).transpose()?;
    let headers = demanded(&args.headers);
    let client = connect(&args.edge).await?;
    let mut left = args.limit;
    let next = loop {
        let asked = History {
            channel: args.channel.clone(),
            from: from.take(),
            backwards: args.backwards,
            limit: NonZeroU32::new(match headers.is_empty() {
                true => left.min(HISTORY_EVENTS_MAX),
                // A page looks at so many, whatever it holds of them.
                false => HISTORY_EVENTS_MAX,
            }),
            headers: headers.clone(),
        };
        let page = cut(client.history(asked).await?, left);
        show(&page, args.backwards, output)?;
        left = left.saturating_sub(u32::try_from(page.events.len()).unwrap_or(u32::MAX));
        let next = Mark::Position(page.next);
        if !page.more {
            break None;
        }
        if left == 0 {
            break Some(next);
        }
        from = Some(next);
    };
    if let Some(next) = next {
        told(&next, output)?;
    }
    Client::close(client).await;
    Ok(())
}

/// A page of so many events at most; what is cut off is on the next one.
fn cut(mut page: HistoryPage, events_max: u32) -> HistoryPage {
    let kept = usize::try_from(events_max).unwrap_or(usize::MAX);
    if page.events.len() > kept {
        page.events.truncate(kept);
        page.more = true;
        if let Some(last) = page.events.last() {
            (page.next.seq, page.next.time) = (last.seq, Some(last.time));
        }
    }
    page
}

/// What is lost is older than what is there.
fn show(page: &HistoryPage, backwards: bool, output: &Output) -> Result<(), CliError> {
    if !backwards {
        gap(page, output)?;
    }
    for event in &page.events {
        let shown = shown(event);
        output.result(&shown, || shown.line())?;
    }
    if backwards {
        gap(page, output)?;
    }
    Ok(())
}

fn gap(page: &HistoryPage, output: &Output) -> Result<(), CliError> {
    let Some(gap) = &page.gap else {
        return Ok(());
    };
    if output.is_json() {
        return output.result(&Lost { gap }, String::new);
    }
    let (channel, from, to) = (&page.channel, gap.from, gap.to);
    output.note(&format!("{channel}: {from} to {to} are no longer kept"));
    Ok(())
}

fn told(next: &Mark, output: &Output) -> Result<(), CliError> {
    if output.is_json() {
        let next = next.to_string();
        return output.result(&Next { next }, String::new);
    }
    output.note(&format!("there is more: go on with --from {next}"));
    Ok(())
}

/// A mark as frames have it, a time, or how long ago.
fn mark(text: &str) -> Result<Mark, CliError> {
    let at = |time| Mark::Time(AtTime { time });
    text.parse()
        .ok()
        .or_else(|| moment(text).map(at))
        .ok_or_else(|| {
            let text = format!(
                "--from {text:?} is neither earliest, latest, a sequence, EPOCH:SEQUENCE, a time nor how long ago"
            );
            CliError::new(EXIT_SETTINGS, text)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        assert!(matches!(mark("latest"), Ok(Mark::End(_))));
        assert!(matches!(mark("7"), Ok(Mark::Sequence(_))));
        assert!(matches!(mark("0a1b:7"), Ok(Mark::Position(_))));
        let time = Mark::Time(AtTime {
            time: 1_000_000 * 60,
        });
        assert_eq!(mark("1970-01-01T00:01:00Z").unwrap(), time);
        assert!(matches!(mark("2h"), Ok(Mark::Time(_))));
        assert!(mark("now").is_err() && mark("").is_err());
    }
}
