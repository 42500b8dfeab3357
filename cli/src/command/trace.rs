//! `eddyline trace`: one event's way through everything.

use client::trace::{TraceQuery, trace};
use protocol::trace::{Handling, Hop, Searched, Trace};

use super::publish::options;
use crate::args;
use crate::error::{CliError, EXIT_FAILED};
use crate::output::{Output, harmless, thousands};
use crate::table::Table;

/// Asks until the event is found, or everything that is kept was looked at.
///
/// # Errors
/// The edge node cannot be reached or refuses; there is no such event.
pub async fn run(args: args::Trace, output: &Output) -> Result<(), CliError> {
    let options = options(&args.edge)?;
    let mut query = TraceQuery {
        id: args.id,
        channel: args.channel,
        seq: args.seq,
        before: None,
    };
    let found = loop {
        let found = trace(&options, &query).await?;
        if found.found || !found.searched.more {
            break found;
        }
        let (stream, from) = (&found.searched.stream, found.searched.from);
        output.status(&format!("searched {stream} down to {}", thousands(from)));
        query.before = Some(from);
    };
    if !found.found {
        if output.is_json() {
            output.result(&found, String::new)?;
        }
        return Err(CliError::new(EXIT_FAILED, missing(&found, &query)));
    }
    output.result(&found, || text(&found))?;
    if !output.is_json() {
        notes(&found, output);
    }
    Ok(())
}

/// What is known of an event that was not found.
fn missing(trace: &Trace, query: &TraceQuery) -> String {
    let (id, channel) = (harmless(&trace.id), &trace.channel);
    let Searched {
        stream,
        kept_from,
        kept_since,
        ..
    } = &trace.searched;
    let since = time(*kept_since);
    match query.seq {
        Some(seq) if seq < *kept_from => format!(
            "{stream} keeps nothing before {kept_from}, of {since}: what stood at {seq} cannot be found any more"
        ),
        Some(seq) => format!("{id} does not stand at {seq} of {stream}"),
        None if *kept_from > 1 => format!(
            "{id} is not among what {stream} keeps of {channel}, which is what was stored since {since}; of what was before nobody can say"
        ),
        None => format!("{id} was never stored on {channel}"),
    }
}

fn notes(trace: &Trace, output: &Output) {
    if trace.hidden > 0 {
        let hidden = thousands(trace.hidden);
        output.note(&format!(
            "{hidden} outputs are on channels that the token may not trace"
        ));
    }
    if trace.cut {
        output.note("the way goes on: an answer shows no more");
    }
    if let Some(reason) = &trace.mirror {
        output.note(&format!("nothing is known of the mirror: {reason}"));
    }
}

fn text(trace: &Trace) -> String {
    let mut table = Table::new(&["TIME", "STEP", "WHERE", "WHAT"]);
    for hop in &trace.hops {
        table.row(row(hop));
    }
    table.text()
}

fn row(hop: &Hop) -> [String; 4] {
    let (at, step) = step(hop);
    let at = at.map_or_else(|| "-".to_owned(), time);
    [
        at,
        step.to_owned(),
        harmless(&place(hop)),
        harmless(&what(hop)),
    ]
}

/// When, and what it is called.
fn step(hop: &Hop) -> (Option<u64>, &'static str) {
    match hop {
        Hop::Accepted { time, .. } => (Some(*time), "accepted"),
        Hop::Stored { time, .. } => (Some(*time), "stored"),
        Hop::Handled { time, .. } => (*time, "handled"),
        Hop::DeadLetter { time, .. } => (Some(*time), "dead letter"),
        Hop::Mirrored { time, .. } => (Some(*time), "mirrored"),
        Hop::NotMirrored { .. } => (None, "not mirrored"),
    }
}

fn place(hop: &Hop) -> String {
    match hop {
        Hop::Accepted { edge, .. } => edge.clone().unwrap_or_else(|| "an edge node".to_owned()),
        Hop::Stored { stream, seq, .. }
        | Hop::DeadLetter { stream, seq, .. }
        | Hop::NotMirrored { stream, seq, .. } => format!("{stream} {seq}"),
        Hop::Handled {
            function, version, ..
        } => {
            let version = version.map(|version| format!(" version {version}"));
            format!("{function}{}", version.unwrap_or_default())
        }
        Hop::Mirrored {
            partition, offset, ..
        } => format!("partition {partition}, offset {offset}"),
    }
}

fn what(hop: &Hop) -> String {
    let after = |before: &str, text: Option<&String>| {
        text.map_or_else(String::new, |text| format!("{before}{text}"))
    };
    match hop {
        Hop::Accepted { publisher, .. } => after("from ", publisher.as_ref()),
        Hop::Stored {
            channel,
            function,
            redrive_of,
            ..
        } => format!(
            "{channel}{}{}",
            after(" by ", function.as_ref()),
            after(", again: ", redrive_of.as_ref())
        ),
        Hop::Handled {
            outcome,
            reason,
            attempts,
            ..
        } => {
            let tried = attempts.map(|count| format!(" ({count} attempts)"));
            let reason = after(": ", reason.as_ref());
            format!("{}{reason}{}", word(*outcome), tried.unwrap_or_default())
        }
        Hop::DeadLetter { function, .. } => format!("of {function}"),
        Hop::Mirrored { stream, seq, .. } => format!("{stream} {seq}"),
        Hop::NotMirrored { reason, .. } => reason.clone(),
    }
}

const fn word(outcome: Handling) -> &'static str {
    match outcome {
        Handling::Passed => "passed on",
        Handling::Done => "handled, nothing stored",
        Handling::Dropped => "dropped",
        Handling::Rejected => "rejected",
        Handling::DeadLettered => "failed",
        Handling::Waiting => "waits",
        Handling::Unknown => "not known",
    }
}

/// Microseconds since 1970 as people read them.
fn time(us: u64) -> String {
    let since = std::time::Duration::from_micros(us);
    humantime::format_rfc3339_micros(std::time::UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use protocol::name::StoreName;
    use protocol::position::Epoch;

    use super::*;

    fn lost(kept_from: u64) -> Trace {
        Trace {
            id: "acme/ann/c/1".into(),
            channel: "doc.a".into(),
            store: StoreName::parse("main").unwrap(),
            epoch: Epoch::parse("0a").unwrap(),
            found: false,
            searched: Searched {
                stream: "INGRESS-main".into(),
                from: 1,
                to: 9,
                more: false,
                kept_from,
                kept_since: 60_000_000,
            },
            hops: Vec::new(),
            hidden: 0,
            cut: false,
            mirror: None,
        }
    }

    #[test]
    fn what_is_not_there_and_what_is_gone_are_told_apart() {
        let told = |kept_from, seq| {
            let query = TraceQuery {
                seq,
                ..TraceQuery::default()
            };
            missing(&lost(kept_from), &query)
        };
        assert!(told(1, None).contains("was never stored on doc.a"));
        assert!(told(5, None).contains("since 1970-01-01T00:01:00"));
        assert!(told(5, Some(4)).contains("cannot be found any more"));
        assert!(told(5, Some(5)).contains("does not stand at 5"));
    }

    #[test]
    fn steps_are_one_line_each() {
        let hop = Hop::Handled {
            function: "gate".into(),
            input: "INGRESS-main@0a:7".into(),
            outcome: Handling::Rejected,
            reason: Some("no\nschema".into()),
            attempts: Some(1),
            version: Some(3),
            digest: None,
            checkpoint: Some(9),
            time: Some(60_000_000),
        };
        let row = row(&hop);
        assert_eq!(row[2], "gate version 3");
        assert!(row[3].starts_with("rejected: no") && !row[3].contains('\n'));
        assert!(row[3].ends_with("(1 attempts)"));
    }
}
