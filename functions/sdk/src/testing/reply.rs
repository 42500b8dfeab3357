//! Reads a reply as the host does, and refuses what it would refuse.
//!
//! Pure: owns nothing. Must not know the worker that made the reply.

use std::fmt;
use std::time::Duration;

use super::Input;
use crate::Outcome;
use crate::bindings::{EmitRef, OutcomeRef, Reply, Span, Verdict};

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// Its outcome.
    pub outcome: Outcome,
    /// What was emitted for it, in order.
    pub outputs: Vec<Output>,
}

/// One emission, with what it takes over from its input filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is documented at crate::Emission")]
pub struct Output {
    pub channel: String,
    pub content_type: String,
    pub headers: Vec<(String, String)>,
    pub data: Vec<u8>,
}

/// Why the host would refuse the whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The number of outcomes, and of events.
    OutcomeCount(usize, usize),
    /// A span reaches outside the arena.
    Span,
    /// The emission at this index names no acknowledged event of the batch, or
    /// comes out of order.
    Source(usize),
    /// The emission at this index has malformed headers.
    Headers(usize),
    /// Text is not UTF-8.
    Text,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutcomeCount(outcomes, events) => {
                write!(f, "{outcomes} outcomes for {events} events")
            }
            Self::Span => write!(f, "a span reaches outside the arena"),
            Self::Source(index) => write!(f, "emission {index} has a wrong source"),
            Self::Headers(index) => write!(f, "emission {index} has malformed headers"),
            Self::Text => write!(f, "text is not utf-8"),
        }
    }
}

impl std::error::Error for Refused {}

/// Reads a reply to `inputs`.
///
/// # Errors
///
/// Why the host would refuse it.
pub fn unpack(inputs: &[Input], reply: &Reply) -> Result<Vec<Handled>, Refused> {
    if reply.outcomes.len() != inputs.len() {
        return Err(Refused::OutcomeCount(reply.outcomes.len(), inputs.len()));
    }
    let mut handled = reply
        .outcomes
        .iter()
        .map(|outcome| {
            Ok(Handled {
                outcome: read_outcome(&reply.arena, outcome)?,
                outputs: Vec::new(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut previous = 0;
    for (index, emit) in reply.emits.iter().enumerate() {
        let source = emit.source as usize;
        let acknowledged = handled
            .get(source)
            .is_some_and(|event| event.outcome == Outcome::Ack);
        if !acknowledged || source < previous {
            return Err(Refused::Source(index));
        }
        previous = source;
        let output = read_output(&reply.arena, emit, &inputs[source], index)?;
        handled[source].outputs.push(output);
    }
    Ok(handled)
}

fn read_outcome(arena: &[u8], outcome: &OutcomeRef) -> Result<Outcome, Refused> {
    let reason = String::from_utf8_lossy(bytes(arena, outcome.reason)?).into_owned();
    Ok(match outcome.verdict {
        Verdict::Ack => Outcome::Ack,
        Verdict::Drop => Outcome::drop(reason),
        Verdict::Reject => Outcome::reject(reason),
        Verdict::Retry => Outcome::retry(Duration::from_millis(outcome.delay_ms.into()), reason),
        Verdict::Halt => Outcome::halt(reason),
    })
}

fn read_output(
    arena: &[u8],
    emit: &EmitRef,
    input: &Input,
    index: usize,
) -> Result<Output, Refused> {
    let or_input = |span, inherited: &String| {
        let text = text(bytes(arena, span)?)?;
        Ok(if text.is_empty() {
            inherited.clone()
        } else {
            text.to_owned()
        })
    };
    Ok(Output {
        channel: or_input(emit.channel, &input.channel)?,
        content_type: or_input(emit.content_type, &input.content_type)?,
        headers: read_headers(bytes(arena, emit.headers)?).ok_or(Refused::Headers(index))?,
        data: bytes(arena, emit.data)?.to_vec(),
    })
}

fn read_headers(packed: &[u8]) -> Option<Vec<(String, String)>> {
    if packed.is_empty() {
        return Some(Vec::new());
    }
    let (count, mut rest) = packed.split_first_chunk()?;
    let mut headers = Vec::new();
    for _ in 0..u32::from_le_bytes(*count) {
        let mut next = || -> Option<String> {
            let (length, after) = rest.split_first_chunk()?;
            let length = u32::from_le_bytes(*length) as usize;
            let (text, after) = after.split_at_checked(length)?;
            rest = after;
            Some(std::str::from_utf8(text).ok()?.to_owned())
        };
        headers.push((next()?, next()?));
    }
    rest.is_empty().then_some(headers)
}

fn text(bytes: &[u8]) -> Result<&str, Refused> {
    std::str::from_utf8(bytes).map_err(|_| Refused::Text)
}

fn bytes(arena: &[u8], span: Span) -> Result<&[u8], Refused> {
    if span.length == 0 {
        return Ok(&[]);
    }
    arena
        .get(span.offset as usize..)
        .and_then(|rest| rest.get(..span.length as usize))
        .ok_or(Refused::Span)
}

#[cfg(test)]
mod tests;
