//! Runs a batch through the stages of a pipeline: what a stage emits to the event's own
//! channel is what the next one is given, everything else is an output.
//!
//! An event is done when every stage is done with all that came of it; what one stage
//! says against any of it, it says against the event. Owns what is under way between the
//! stages. Must not know how a stage is called.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::envelope::Envelope;
use protocol::header::Headers;
use protocol::name::{Channel, Tenant};
use protocol::spec::FunctionLimits;
use protocol::state::{Change, ChannelState};

use super::emission::{Emit, Emits};
use super::event::Event;
use super::fault::{Broken, Fault, ReplyFault};
use super::pack::Item;
use super::reply::{Done, Handled};

/// What is told of an event whose channel waits.
pub const WAITS: &str = "waits for an earlier event";

/// Runs events through so many stages. `call` hands events to a stage and answers for the
/// first of them, at least one, in order; the answer here is for the first events of the
/// batch too, and never for none.
///
/// # Errors
/// [`Broken`] when a stage cannot be called; no event is to blame.
pub fn run(
    items: &[Item],
    stages: usize,
    limits: &FunctionLimits,
    mut call: impl FnMut(usize, &[Item]) -> Result<Vec<Handled>, Broken>,
) -> Result<Vec<Handled>, Broken> {
    let mut ways: Vec<Way> = items.iter().map(Way::new).collect();
    for stage in 0..stages {
        step(&mut ways, stage, stage + 1 == stages, limits, &mut call)?;
    }
    let (mut handled, mut room) = (Vec::with_capacity(ways.len()), limits.output_bytes);
    for way in ways {
        let ended = way.end();
        let bytes = emitted_bytes(&ended);
        if bytes > room && !handled.is_empty() {
            break;
        }
        handled.push(match bytes > room {
            true => over("bytes of one batch", bytes, room),
            false => ended,
        });
        room = room.saturating_sub(bytes);
    }
    Ok(handled)
}

/// The same where a stage remembers: one event after the other, because what an event
/// has written is taken back when a later stage refuses it. `over` says when the rest is
/// to wait for another run.
///
/// # Errors
/// As [`run`].
pub fn run_remembering(
    items: &[Item],
    stages: usize,
    limits: &FunctionLimits,
    mut over: impl FnMut() -> bool,
    mut call: impl FnMut(usize, &[Item]) -> Result<Vec<Handled>, Broken>,
) -> Result<Vec<Handled>, Broken> {
    let mut known: HashMap<(&Tenant, &Channel), Known> = HashMap::new();
    let (mut handled, mut room) = (Vec::with_capacity(items.len()), limits.output_bytes);
    for item in items {
        let channel = (&item.event.tenant, &item.event.channel);
        let begins = || Known::Memory(item.memory.clone().unwrap_or_default());
        let known = known.entry(channel).or_insert_with(begins);
        let Known::Memory(memory) = known else {
            handled.push(waits());
            continue;
        };
        let mut draft = memory.clone();
        let one = std::slice::from_ref(item);
        let mut result = run(one, stages, limits, |stage, items| {
            threaded(items, &mut draft, |item| call(stage, item))
        })?;
        let result = result.pop().expect("a run handles something");
        let bytes = emitted_bytes(&result);
        if bytes > room && !handled.is_empty() {
            break;
        }
        room = room.saturating_sub(bytes);
        match &result {
            Handled::Ack(_) => *memory = draft,
            Handled::Retry { .. } | Handled::Fault(_) => *known = Known::Waits,
            Handled::Drop(_) | Handled::Reject(_) | Handled::Halt(_) => {}
        }
        let halts = matches!(result, Handled::Halt(_));
        handled.push(result);
        if halts || over() {
            break;
        }
    }
    Ok(handled)
}

/// What is known of a channel in a run.
enum Known {
    Memory(Arc<ChannelState>),
    /// An event of it is to be tried again: the lane takes no outcome of later ones.
    Waits,
}

fn waits() -> Handled {
    Handled::Retry {
        delay_ms: 0,
        reason: WAITS.into(),
    }
}

/// Hands events over one by one, each with what those before it have left.
fn threaded(
    items: &[Item],
    memory: &mut Arc<ChannelState>,
    mut call: impl FnMut(&[Item]) -> Result<Vec<Handled>, Broken>,
) -> Result<Vec<Handled>, Broken> {
    let mut handled = Vec::with_capacity(items.len());
    for item in items {
        let item = Item {
            memory: Some(memory.clone()),
            ..item.clone()
        };
        let result = call(std::slice::from_ref(&item))?;
        if let Some(Handled::Ack(done)) = result.first() {
            for change in &done.changes {
                let memory = Arc::make_mut(memory);
                let applied = memory.apply(change.clone(), item.event.stored.time_us);
                applied.expect("the stage has applied the same to the same");
            }
        }
        handled.extend(result);
    }
    Ok(handled)
}

/// One event on its way through the stages.
struct Way {
    parts: Vec<Part>,
    changes: Vec<Change>,
    dropped: Option<String>,
    ended: Option<Handled>,
}

/// What has come of it so far, in order.
enum Part {
    Output(Emit),
    /// For the next stage.
    Next(Item),
}

impl Way {
    fn new(item: &Item) -> Self {
        Self {
            parts: vec![Part::Next(item.clone())],
            changes: Vec::new(),
            dropped: None,
            ended: None,
        }
    }

    fn waiting(&self) -> impl Iterator<Item = &Item> {
        let parts = self.parts.iter().filter(|_| self.ended.is_none());
        parts.filter_map(|part| match part {
            Part::Next(item) => Some(item),
            Part::Output(_) => None,
        })
    }

    /// Takes in what a stage says to all that waits; false if it has not said enough.
    fn take(
        &mut self,
        answers: &mut impl Iterator<Item = Handled>,
        last: bool,
        limits: &FunctionLimits,
    ) -> bool {
        if self.ended.is_some() {
            return true;
        }
        for part in std::mem::take(&mut self.parts) {
            let Part::Next(item) = part else {
                self.parts.push(part);
                continue;
            };
            match answers.next() {
                Some(Handled::Ack(done)) => self.goes_on(&item, done, last),
                Some(Handled::Drop(reason)) => drop(self.dropped.get_or_insert(reason)),
                Some(other) => drop(self.ended.get_or_insert(other)),
                None => return false,
            }
        }
        let (found, max) = (self.parts.len(), limits.emits_per_event as usize);
        if found > max {
            let fault = || over("emissions of one event", found, max);
            self.ended.get_or_insert_with(fault);
        }
        true
    }

    fn goes_on(&mut self, item: &Item, done: Done, last: bool) {
        self.changes.extend(done.changes);
        let parts =
            done.emits
                .into_iter()
                .map(|emit| match last || emit.channel != item.event.channel {
                    true => Part::Output(emit),
                    false => Part::Next(next(item, emit)),
                });
        self.parts.extend(parts);
    }

    fn end(self) -> Handled {
        if let Some(ended) = self.ended {
            return ended;
        }
        let outputs = self.parts.into_iter().filter_map(|part| match part {
            Part::Output(emit) => Some(emit),
            Part::Next(_) => None,
        });
        let emits: Emits = outputs.collect();
        match self.dropped {
            Some(reason) if emits.is_empty() && self.changes.is_empty() => Handled::Drop(reason),
            _ => Handled::Ack(Done {
                emits,
                changes: self.changes,
            }),
        }
    }
}

/// Hands everything that waits to one stage.
fn step(
    ways: &mut Vec<Way>,
    stage: usize,
    last: bool,
    limits: &FunctionLimits,
    call: &mut impl FnMut(usize, &[Item]) -> Result<Vec<Handled>, Broken>,
) -> Result<(), Broken> {
    let waiting: Vec<Item> = ways.iter().flat_map(Way::waiting).cloned().collect();
    // A run that handled nothing would be asked for again, for ever.
    let first = ways.iter().map(|way| way.waiting().count());
    let least = first.clone().find(|waiting| *waiting > 0).unwrap_or(0);
    let mut answers = Vec::with_capacity(waiting.len());
    while answers.len() < least {
        answers.extend(call(stage, &waiting[answers.len()..])?);
    }
    let (mut answers, mut whole) = (answers.into_iter(), 0);
    for way in &mut *ways {
        if !way.take(&mut answers, last, limits) {
            break;
        }
        whole += 1;
        if matches!(way.ended, Some(Handled::Halt(_))) {
            break;
        }
    }
    ways.truncate(whole);
    Ok(())
}

/// The event that the next stage is given: the same one with other contents.
fn next(item: &Item, emit: Emit) -> Item {
    let before = &*item.event;
    let envelope = Envelope {
        content_type: emit.content_type,
        user: emit.headers,
        ..before.envelope.clone()
    };
    let mut stored = before.stored.clone();
    // Guests read the envelope's alone.
    stored.headers = Headers::new();
    stored.payload = emit.data;
    let event = Event {
        tenant: before.tenant.clone(),
        channel: before.channel.clone(),
        place: before.place.clone(),
        envelope,
        stored,
    };
    Item {
        event: Arc::new(event),
        ..item.clone()
    }
}

fn bytes(emit: &Emit) -> usize {
    let headers = emit.headers.iter();
    let headers = headers.map(|(name, value)| name.len() + value.len());
    emit.data.len() + headers.sum::<usize>()
}

fn emitted_bytes(handled: &Handled) -> usize {
    match handled {
        Handled::Ack(done) => done.emits.iter().map(bytes).sum(),
        _ => 0,
    }
}

fn over(field: &'static str, found: usize, max: usize) -> Handled {
    Handled::Fault(Fault::Reply(ReplyFault::Limit { field, found, max }))
}

#[cfg(test)]
mod tests;
