//! Functions: every result belongs to an input, carries its deterministic id, is stored where
//! the function commits, and follows the results of earlier inputs of the same channel.
//!
//! Whether each input ended as it should is judged by `verdicts`.
//!
//! State: none. Must not know: what functions compute.

use std::collections::HashMap;

use super::verdicts;
use super::work::{Made, Work};
use crate::index::{Index, parse_client_id, place};
use crate::record::{Function, Kind, Stored};
use crate::report::Sink;
use crate::violation::Violation;

pub(crate) fn check(index: &Index<'_>, sink: &mut Sink) {
    for work in gather(index, sink) {
        let mut known = HashMap::new();
        let mut latest = HashMap::new();
        for made in &work.results {
            identity(&work, made, sink);
            let input = index.at(&made.source.stream, made.source.seq);
            match input {
                Some(input) if work.takes(input, &mut known) => {
                    outcome_channel(&work, made, input, sink);
                    order(&work, made, input, &mut latest, sink);
                }
                None if gone(index, &work, made) => {}
                _ => sink.push(Violation::ResultWithoutInput {
                    function: work.function.name.clone(),
                    place: place(made.stored),
                    input: made.source.clone(),
                }),
            }
        }
        checkpoints(&work, sink);
        verdicts::check(index, &work, sink);
    }
}

/// Sorts everything that functions stored by function.
fn gather<'h>(index: &Index<'h>, sink: &mut Sink) -> Vec<Work<'h>> {
    let work = |function: &'h Function| Work {
        function,
        results: Vec::new(),
        checkpoints: Vec::new(),
    };
    let mut works: Vec<Work<'h>> = index.history.functions.iter().map(work).collect();
    let names = works.iter().enumerate();
    let names: HashMap<&str, usize> = names
        .map(|(at, w)| (w.function.name.as_str(), at))
        .collect();
    for &stored in index.streams.values().flatten() {
        let Some(name) = &stored.function else {
            continue;
        };
        let Some(work) = names.get(name.as_str()).map(|at| &mut works[*at]) else {
            sink.push(Violation::UnknownFunction {
                function: name.clone(),
                place: place(stored),
            });
            continue;
        };
        match (&stored.kind, &stored.source) {
            (Kind::Checkpoint { .. }, _) => work.checkpoints.push(stored),
            (_, Some(source)) => work.results.push(Made { stored, source }),
            // Without a source it is reported as invented.
            (_, None) => {}
        }
    }
    works
}

/// Whether retention may have removed the input.
fn gone(index: &Index<'_>, work: &Work<'_>, made: &Made<'_>) -> bool {
    made.source.stream == work.function.input_stream
        && made.source.seq >= work.function.start_seq
        && made.source.seq < index.retained_from(&made.source.stream)
}

/// A result is in the function's output stream, and an output's id says where it comes from.
fn identity(work: &Work<'_>, made: &Made<'_>, sink: &mut Sink) {
    let function = work.function;
    if made.stored.stream != function.output_stream {
        sink.push(Violation::ResultMisplaced {
            function: function.name.clone(),
            place: place(made.stored),
            stream: function.output_stream.clone(),
        });
    }
    let expected = (
        function.name.as_str(),
        made.source.stream.as_str(),
        made.source.seq,
    );
    let right = parse_output_id(&made.stored.id).is_some_and(|(name, stream, seq, ordinal)| {
        (name, stream, seq) == expected && Some(ordinal) == made.stored.ordinal
    });
    if made.is_output() && !right {
        sink.push(Violation::OutputIdWrong {
            function: function.name.clone(),
            place: place(made.stored),
            input: made.source.clone(),
            id: made.stored.id.clone(),
        });
    }
}

/// Splits `function/stream@epoch:seq/ordinal`.
fn parse_output_id(id: &str) -> Option<(&str, &str, u64, u32)> {
    let mut parts = id.rsplitn(3, '/');
    let ordinal = parts.next()?.parse().ok()?;
    let (stream, position) = parts.next()?.split_once('@')?;
    let (_epoch, seq) = position.rsplit_once(':')?;
    Some((parts.next()?, stream, seq.parse().ok()?, ordinal))
}

/// Results of one input channel are stored in the order of its inputs, and the outputs of one
/// input in the order of their ordinals. Channels do not wait for one another (parking).
fn order<'h>(
    work: &Work<'_>,
    made: &Made<'h>,
    input: &'h Stored,
    latest: &mut HashMap<&'h str, (Made<'h>, u32)>,
    sink: &mut Sink,
) {
    let ordinal = if made.is_output() {
        made.stored.ordinal.unwrap_or(0)
    } else {
        0
    };
    let last = latest.entry(&input.channel).or_insert((*made, ordinal));
    if (made.source.seq, ordinal) < (last.0.source.seq, last.1) && in_one_scale(made, &last.0) {
        sink.push(Violation::ResultsReordered {
            function: work.function.name.clone(),
            channel: input.channel.clone(),
            earlier: made.source.clone(),
            later: last.0.source.clone(),
            place: place(made.stored),
        });
    } else {
        *last = (*made, ordinal);
    }
}

/// Ordinals compare among the outputs of one input; outcomes and dead letters have none.
fn in_one_scale(made: &Made<'_>, last: &Made<'_>) -> bool {
    made.source.seq != last.source.seq || (made.is_output() && last.is_output())
}

/// An outcome goes to whoever published the input. Names that are no channel tokens are encoded
/// in a way that is not judged here.
fn outcome_channel(work: &Work<'_>, made: &Made<'_>, input: &Stored, sink: &mut Sink) {
    let publisher = match parse_client_id(&input.id) {
        Some((publisher, _)) if made.stored.outcome && input.function.is_none() => publisher,
        _ => return,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-/".contains(c);
    let (tenant, writer) = publisher.split_once('/').unwrap_or((publisher, ""));
    let namespace = namespace(&input.channel);
    let expected = format!("{tenant}/_outcome.{}.{namespace}", writer.replace('/', "."));
    if publisher.chars().all(plain) && made.stored.channel != expected {
        sink.push(Violation::OutcomeMisdirected {
            function: work.function.name.clone(),
            input: made.source.clone(),
            place: place(made.stored),
            channel: made.stored.channel.clone(),
            publisher: publisher.to_owned(),
        });
    }
}

/// The first token of a channel, which is written `{tenant}/{channel}`.
fn namespace(channel: &str) -> &str {
    let name = channel.split_once('/').map_or(channel, |(_, name)| name);
    name.split('.').next().unwrap_or(name)
}

/// Progress never goes back: it would mean that two owners committed past one another.
fn checkpoints(work: &Work<'_>, sink: &mut Sink) {
    let mut latest: HashMap<(&str, u32), u64> = HashMap::new();
    for stored in &work.checkpoints {
        let Kind::Checkpoint { input_seq, .. } = &stored.kind else {
            continue;
        };
        let last = latest
            .entry((&stored.stream, stored.lane))
            .or_insert(*input_seq);
        if *input_seq < *last {
            sink.push(Violation::CheckpointBackwards {
                function: work.function.name.clone(),
                lane: stored.lane,
                place: place(stored),
                before: *last,
                now: *input_seq,
            });
        }
        *last = (*last).max(*input_seq);
    }
}
