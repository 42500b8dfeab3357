//! Checks a guest's reply against the contract and turns it into typed outcomes.
//!
//! Owns nothing. Must not know what becomes of an outcome: that is the lane's.

use bytes::Bytes;
use protocol::outcome::REASON_BYTES_MAX;
use protocol::spec::FunctionSpec;
use protocol::state::Change;

use super::abi::{EmitRef, OutcomeRef, Reply, Span, Verdict};
use super::emission::{Checker, Raw};
pub use super::emission::{Emit, Emits};
use super::fault::{Fault, ReplyFault};
use super::pack::{Item, unpack_headers};
use crate::event::Event;

/// What a guest says about one event, or what the host says for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// Done.
    Ack(Done),
    /// Filtered out, for this reason.
    Drop(String),
    /// Poison, for this reason.
    Reject(String),
    /// To be tried again.
    Retry {
        /// The guest's wish, milliseconds; 0 for none.
        delay_ms: u32,
        /// Why.
        reason: String,
    },
    /// The function cannot go on, for this reason.
    Halt(String),
    /// The call failed on this event alone.
    Fault(Fault),
}

/// What an event that is done leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Its outputs, in order.
    pub emits: Emits,
    /// What is remembered of its channel from now on, in the order of writing.
    pub changes: Vec<Change>,
}

impl<E: Into<Emits>> From<E> for Done {
    fn from(emits: E) -> Self {
        Self {
            emits: emits.into(),
            ..Self::default()
        }
    }
}

/// Checks the reply to a batch.
///
/// # Errors
/// [`ReplyFault`] names the first rule that is broken; nothing of the reply may be used.
pub fn check(
    reply: Reply,
    items: &[Item],
    spec: &FunctionSpec,
    event_bytes_max: usize,
) -> Result<Vec<Handled>, ReplyFault> {
    if reply.outcomes.len() != items.len() {
        return Err(ReplyFault::Outcomes {
            found: reply.outcomes.len(),
            events: items.len(),
        });
    }
    let arena = Bytes::from(reply.arena);
    let mut handled = Vec::with_capacity(items.len());
    for (index, outcome) in reply.outcomes.iter().enumerate() {
        handled.push(read_outcome(&arena, index, outcome)?);
    }
    let mut checker = Emissions {
        arena: &arena,
        checker: Checker::new(spec, event_bytes_max),
        last_source: 0,
    };
    for (index, emit) in reply.emits.iter().enumerate() {
        checker.add(index, emit, items, &mut handled)?;
    }
    Ok(handled)
}

fn read_outcome(arena: &Bytes, index: usize, outcome: &OutcomeRef) -> Result<Handled, ReplyFault> {
    let reason = slice(arena, outcome.reason).ok_or(ReplyFault::Span {
        field: "reason",
        index,
    })?;
    let reason = || cut_reason(reason);
    Ok(match outcome.verdict {
        Verdict::Ack => Handled::Ack(Done::default()),
        Verdict::Drop => Handled::Drop(reason()),
        Verdict::Reject => Handled::Reject(reason()),
        Verdict::Retry => Handled::Retry {
            delay_ms: outcome.delay_ms,
            reason: reason(),
        },
        Verdict::Halt => Handled::Halt(reason()),
    })
}

/// A reason as it is kept: valid UTF-8 without control characters, cut at a character.
pub fn cut_reason(bytes: &[u8]) -> String {
    // Looks at a little more than the limit, so that the cut never costs a whole arena.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(REASON_BYTES_MAX + 4)]);
    let mut reason = String::new();
    for character in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if reason.len() + character.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        reason.push(character);
    }
    reason
}

struct Emissions<'a> {
    arena: &'a Bytes,
    checker: Checker<'a>,
    last_source: u32,
}

impl Emissions<'_> {
    fn add(
        &mut self,
        index: usize,
        emit: &EmitRef,
        items: &[Item],
        handled: &mut [Handled],
    ) -> Result<(), ReplyFault> {
        let source = |problem| ReplyFault::Source {
            index,
            source_index: emit.source,
            problem,
        };
        let at = usize::try_from(emit.source).map_err(|_| source("is not in the batch"))?;
        let item = items.get(at).ok_or_else(|| source("is not in the batch"))?;
        if emit.source < self.last_source {
            return Err(source("comes before the last emission's"));
        }
        self.last_source = emit.source;
        let Handled::Ack(Done { emits, .. }) = &mut handled[at] else {
            return Err(source("was not acknowledged"));
        };
        self.checker.check_count(emits.len() + 1)?;
        let emission = self.read(index, emit, &item.event)?;
        emits.push(emission);
        Ok(())
    }

    fn read(&mut self, index: usize, emit: &EmitRef, event: &Event) -> Result<Emit, ReplyFault> {
        let span = |span, field| slice(self.arena, span).ok_or(ReplyFault::Span { field, index });
        let (channel, content_type) = (
            span(emit.channel, "channel")?,
            span(emit.content_type, "content type")?,
        );
        let (packed, data) = (span(emit.headers, "headers")?, span(emit.data, "data")?);
        self.checker.check_bytes(data.len(), packed.len())?;
        let headers = unpack_headers(packed).ok_or(ReplyFault::Field {
            field: "headers",
            index,
        })?;
        let data = if data.is_empty() {
            Bytes::new()
        } else {
            self.arena.slice_ref(data)
        };
        let raw = Raw {
            channel,
            content_type,
            data,
        };
        self.checker.read(index, raw, headers.into_iter(), event)
    }
}

fn slice(arena: &[u8], span: Span) -> Option<&[u8]> {
    if span.length == 0 {
        return Some(&[]);
    }
    let start = usize::try_from(span.offset).ok()?;
    arena.get(start..start.checked_add(usize::try_from(span.length).ok()?)?)
}

#[cfg(test)]
mod tests;
