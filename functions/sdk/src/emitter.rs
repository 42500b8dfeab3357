//! Emissions, written straight into the arena of the reply.
//!
//! The batch's reply owns the bytes; an [`Emitter`] lends it to the worker for
//! the length of one event. Must not know the host's limits: the host checks
//! them and refuses the whole reply when one is passed.

use std::convert::Infallible;
use std::io;

use crate::Outcome;
use crate::bindings::{EmitRef, Reply, Span};
use crate::event::Event;

/// What the emissions for one event are written to.
#[derive(Debug)]
pub struct Emitter<'a> {
    reply: &'a mut Reply,
    event: Event<'a>,
    source: u32,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(reply: &'a mut Reply, event: Event<'a>, source: u32) -> Self {
        Self {
            reply,
            event,
            source,
        }
    }

    /// Emits the event as it is, to its own channel, and says `Ack`: what a gate
    /// returns for an event that it lets through unchanged.
    pub fn pass(&mut self) -> Outcome {
        let data = self.event.data();
        self.emit().inherit_headers().data(data);
        Outcome::Ack
    }

    /// Begins an emission: to the event's own channel, with its content type and
    /// without headers, unless said otherwise. It counts once its data is given.
    pub fn emit(&mut self) -> Emission<'_> {
        let start = self.reply.arena.len();
        Emission {
            reply: self.reply,
            event: self.event,
            source: self.source,
            channel: "",
            content_type: "",
            start,
            headers: 0,
        }
    }
}

/// An emission in the making. Dropped before [`data`](Self::data) or
/// [`write`](Self::write), it emits nothing.
#[derive(Debug)]
#[must_use = "an emission counts once its data is given"]
pub struct Emission<'a> {
    reply: &'a mut Reply,
    event: Event<'a>,
    source: u32,
    channel: &'a str,
    content_type: &'a str,
    /// Where in the arena this emission's own bytes begin; headers come first.
    start: usize,
    headers: u32,
}

impl<'a> Emission<'a> {
    /// Emits to another channel, which must be among those that the function
    /// was granted; the host refuses the whole batch otherwise.
    pub fn channel(mut self, channel: &'a str) -> Self {
        self.channel = channel;
        self
    }

    /// Sets the content type, at most 128 bytes.
    pub fn content_type(mut self, content_type: &'a str) -> Self {
        self.content_type = content_type;
        self
    }

    /// Adds a header. Names match `[a-z0-9-]{1,64}`; values have no control
    /// characters.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.reserve_count();
        let arena = &mut self.reply.arena;
        for text in [name, value] {
            arena.extend_from_slice(&position(text.len()).to_le_bytes());
            arena.extend_from_slice(text.as_bytes());
        }
        self.headers += 1;
        self
    }

    /// Adds all headers of the event that is being handled.
    pub fn inherit_headers(mut self) -> Self {
        let packed = self.event.packed_headers();
        if let Some((count, pairs)) = packed.split_first_chunk() {
            self.reserve_count();
            self.reply.arena.extend_from_slice(pairs);
            self.headers += u32::from_le_bytes(*count);
        }
        self
    }

    /// Finishes the emission with its data.
    pub fn data(self, data: &[u8]) {
        let written: Result<(), Infallible> = self.write(|writer| {
            writer.extend(data);
            Ok(())
        });
        match written {
            Ok(()) => {}
        }
    }

    /// Finishes the emission with the data that `write` writes, without a copy
    /// in between (for example by `serde_json::to_writer`).
    ///
    /// # Errors
    ///
    /// Whatever `write` returns; nothing is emitted then.
    pub fn write<E>(
        self,
        write: impl FnOnce(&mut DataWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { reply, start, .. } = self;
        let arena = &mut reply.arena;
        let headers = if self.headers == 0 {
            NOTHING
        } else {
            arena[start..start + 4].copy_from_slice(&self.headers.to_le_bytes());
            span_from(arena, start)
        };
        let channel = append(arena, self.channel.as_bytes());
        let content_type = append(arena, self.content_type.as_bytes());
        let data_start = arena.len();
        if let Err(error) = write(&mut DataWriter(arena)) {
            arena.truncate(start);
            return Err(error);
        }
        let data = span_from(arena, data_start);
        reply.emits.push(EmitRef {
            source: self.source,
            channel,
            content_type,
            headers,
            data,
        });
        Ok(())
    }

    /// The count comes before the headers and is known only after the last.
    fn reserve_count(&mut self) {
        if self.headers == 0 && self.reply.arena.len() == self.start {
            self.reply.arena.extend_from_slice(&[0; 4]);
        }
    }
}

/// Where [`Emission::write`] takes an emission's data. Writing never fails.
#[derive(Debug)]
pub struct DataWriter<'a>(&'a mut Vec<u8>);

impl DataWriter<'_> {
    /// Appends bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl io::Write for DataWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) const NOTHING: Span = Span {
    offset: 0,
    length: 0,
};

/// Appends bytes to an arena and says where they are.
pub(crate) fn append(arena: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let start = arena.len();
    arena.extend_from_slice(bytes);
    span_from(arena, start)
}

fn span_from(arena: &[u8], start: usize) -> Span {
    Span {
        offset: position(start),
        length: position(arena.len() - start),
    }
}

/// A guest's memory is 32 bits wide, so that a larger arena cannot exist there.
pub(crate) fn position(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an arena is smaller than 4 GiB")
}
