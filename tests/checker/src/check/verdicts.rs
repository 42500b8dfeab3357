//! How each input of a function ended: outputs with ordinals 0, 1, 2.., an outcome, or a dead
//! letter; one of these, once, and nothing ahead of the checkpoint.
//!
//! A dead letter's publisher is told, so an outcome may stand beside it.
//!
//! State: none. Must not know: ids and places of results (see `functions`).

use std::collections::{BTreeMap, HashMap};

use super::work::{Made, Work};
use crate::index::{Index, place};
use crate::record::{Kind, Parked, Place, Stored, Verdict};
use crate::report::Sink;
use crate::violation::Violation;

/// How far one lane is.
#[derive(Clone, Copy, Default)]
struct Lane<'h> {
    /// Inputs up to here may have results that retention has removed.
    unknown_until: u64,
    done_until: u64,
    parked: &'h [Parked],
}

impl Lane<'_> {
    fn done(&self, input: &Stored) -> bool {
        let covers = |parked: &str| match parked.strip_suffix('>') {
            Some(tenant) => input.channel.starts_with(tenant),
            None => parked == input.channel,
        };
        let parked = |p: &Parked| covers(&p.channel) && p.seq <= input.seq;
        input.seq <= self.done_until && !self.parked.iter().any(parked)
    }
}

pub(crate) fn check<'h>(index: &Index<'h>, work: &Work<'h>, sink: &mut Sink) {
    let lanes = lanes(index, work);
    let fully_kept = index.retained_from(&work.function.output_stream) <= 1;
    let mut results: HashMap<u64, Vec<Made<'h>>> = HashMap::new();
    for made in &work.results {
        if made.source.stream == work.function.input_stream {
            results.entry(made.source.seq).or_default().push(*made);
        }
    }
    let expected = work.function.expectation.iter().flatten();
    let expected: HashMap<u64, Verdict> = expected.map(|e| (e.input_seq, e.verdict)).collect();
    let mut known = HashMap::new();
    let inputs = index.between(&work.function.input_stream, 0, u64::MAX);
    for input in inputs.iter().filter(|input| work.takes(input, &mut known)) {
        let lane = match lanes.get(&input.lane) {
            Some(lane) => *lane,
            None if fully_kept => Lane::default(),
            None => continue,
        };
        if input.seq <= lane.unknown_until {
            continue;
        }
        sink.counts().inputs_judged += 1;
        let made = results.get(&input.seq).map_or(&[][..], Vec::as_slice);
        if lane.done(input) {
            let found = verdict(work, input, made, sink);
            judge(work, input, &lane, found, expected.get(&input.seq), sink);
        } else if let Some(first) = made.first() {
            sink.push(Violation::ResultAheadOfCheckpoint {
                function: work.function.name.clone(),
                input: place(input),
                place: place(first.stored),
                lane: input.lane,
                checkpoint: lane.done_until,
            });
        }
    }
}

/// Progress by lane, from the checkpoints. Once retention has removed part of the output stream,
/// only inputs after the first retained checkpoint surely have all their results there.
fn lanes<'h>(index: &Index<'h>, work: &Work<'h>) -> BTreeMap<u32, Lane<'h>> {
    let retained = index.retained_from(&work.function.output_stream);
    let mut lanes = BTreeMap::new();
    for stored in &work.checkpoints {
        let Kind::Checkpoint { input_seq, parked } = &stored.kind else {
            continue;
        };
        if stored.stream != work.function.output_stream || stored.seq < retained {
            continue;
        }
        let lane: &mut Lane<'h> = lanes.entry(stored.lane).or_insert(Lane {
            unknown_until: if retained > 1 { *input_seq } else { 0 },
            ..Lane::default()
        });
        // One that goes back is reported; the furthest counts.
        if *input_seq >= lane.done_until {
            lane.done_until = *input_seq;
            lane.parked = parked;
        }
    }
    lanes
}

/// How an input ended, with complaints about results that contradict one another.
fn verdict(work: &Work<'_>, input: &Stored, made: &[Made<'_>], sink: &mut Sink) -> Verdict {
    let outputs: Vec<_> = made
        .iter()
        .filter(|m| m.is_output())
        .map(|m| m.stored)
        .collect();
    let dead = made
        .iter()
        .filter(|m| m.stored.kind == Kind::DeadLetter)
        .count() as u64;
    let receipts: Vec<_> = made
        .iter()
        .map(|m| m.stored)
        .filter(|s| s.receipt)
        .collect();
    let outcomes = (made.len() - outputs.len() - receipts.len()) as u64 - dead;
    let function = || work.function.name.clone();
    if !receipted(input, &outputs, &receipts) {
        sink.push(Violation::ReceiptWrong {
            function: function(),
            input: place(input),
            asked: input.receipt,
            outputs: outputs.len() as u64,
            receipts: receipts.len() as u64,
        });
    }
    if !outputs.is_empty() && outcomes + dead > 0 {
        sink.push(Violation::ResultMixed {
            function: function(),
            input: place(input),
            outputs: outputs.len() as u64,
            outcomes,
            dead_letters: dead,
        });
    }
    if outcomes > 1 || dead > 1 {
        sink.push(Violation::ResultRepeated {
            function: function(),
            input: place(input),
            outcomes,
            dead_letters: dead,
        });
    }
    ordinals(work, input, &outputs, sink);
    match (outputs.is_empty(), dead, outcomes) {
        (false, _, _) => Verdict::Outputs,
        (true, 1.., _) => Verdict::DeadLetter,
        (true, 0, 1..) => Verdict::Outcome,
        (true, 0, 0) => Verdict::Silent,
    }
}

/// Whoever asked for a receipt has one, of an input that passed: directly behind all of its
/// outputs, so that it says where they are. Nobody else has any.
fn receipted(input: &Stored, outputs: &[&Stored], receipts: &[&Stored]) -> bool {
    let owed = input.kind == Kind::In && input.receipt && !outputs.is_empty();
    let [receipt] = receipts else {
        return receipts.is_empty() && !owed;
    };
    let mut seqs: Vec<u64> = outputs.iter().map(|output| output.seq).collect();
    seqs.sort_unstable();
    let first = receipt.seq.saturating_sub(seqs.len() as u64);
    owed && seqs.into_iter().eq(first..receipt.seq)
}

/// The ordinals of an input's outputs are 0, 1, 2.. without repetition.
fn ordinals(work: &Work<'_>, input: &Stored, outputs: &[&Stored], sink: &mut Sink) {
    let numbered = outputs.iter().filter_map(|o| Some((o.ordinal?, *o)));
    let mut numbered: Vec<_> = numbered.collect();
    numbered.sort_by_key(|(ordinal, stored)| (*ordinal, stored.seq));
    let mut missing = None;
    let mut next = 0;
    for (at, (ordinal, stored)) in numbered.iter().enumerate() {
        if at > 0 && numbered[at - 1].0 == *ordinal {
            sink.push(Violation::OrdinalRepeated {
                function: work.function.name.clone(),
                input: place(input),
                ordinal: *ordinal,
                first: place(numbered[at - 1].1),
                second: place(stored),
            });
            continue;
        }
        if *ordinal != next {
            missing.get_or_insert(next);
        }
        next = ordinal.saturating_add(1);
    }
    if let Some(missing) = missing {
        sink.push(Violation::OrdinalMissing {
            function: work.function.name.clone(),
            input: place(input),
            missing,
            count: outputs.len() as u64,
        });
    }
}

/// An input that is done has an answer, and the expected one where the test knows it.
fn judge(
    work: &Work<'_>,
    input: &Stored,
    lane: &Lane<'_>,
    found: Verdict,
    expected: Option<&Verdict>,
    sink: &mut Sink,
) {
    let silent_expected = expected == Some(&Verdict::Silent);
    if found == Verdict::Silent && !work.function.silent_allowed && !silent_expected {
        sink.push(Violation::InputUnanswered {
            function: work.function.name.clone(),
            input: place(input),
            id: input.id.clone(),
            lane: input.lane,
            checkpoint: lane.done_until,
        });
    }
    match expected {
        Some(expected) if *expected != found => sink.push(Violation::ResultUnexpected {
            function: work.function.name.clone(),
            input: Place::new(&input.stream, input.seq),
            expected: *expected,
            found,
        }),
        _ => {}
    }
}
