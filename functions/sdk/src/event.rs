//! One event, borrowed from the arena of its batch.
//!
//! The batch owns the bytes; an [`Event`] is two references and is copied
//! freely. Must not know what becomes of the event.
//!
//! The host promises (in `functions/wit/types.wit`) that spans lie inside the
//! arena, that text is UTF-8 and that headers are well formed. A host that breaks
//! this is at fault, so a broken promise panics, which traps the batch.

use crate::bindings::{EventRef, Span};

/// One event to handle.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    entry: &'a EventRef,
    arena: &'a [u8],
    /// Its index in the batch.
    source: u32,
}

impl<'a> Event<'a> {
    pub(crate) fn new(entry: &'a EventRef, arena: &'a [u8], source: u32) -> Self {
        Self {
            entry,
            arena,
            source,
        }
    }

    /// Its index in the batch.
    pub(crate) fn source(&self) -> u32 {
        self.source
    }

    /// Sequence of the event in the stream that the function reads.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.entry.seq
    }

    /// Event time: when the stream stored the event, in microseconds since the
    /// Unix epoch. The same at every attempt and every replay.
    #[must_use]
    pub fn time_us(&self) -> u64 {
        self.entry.time_us
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.entry.attempt
    }

    /// The tenant that the event belongs to.
    #[must_use]
    pub fn tenant(&self) -> &'a str {
        self.text(self.entry.tenant)
    }

    /// The channel that the event was published on, at most 200 bytes.
    #[must_use]
    pub fn channel(&self) -> &'a str {
        self.text(self.entry.channel)
    }

    /// The event's id, unique in its stream.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.text(self.entry.id)
    }

    /// The authenticated user who published the event.
    #[must_use]
    pub fn publisher(&self) -> &'a str {
        self.text(self.entry.publisher)
    }

    /// The content type, empty when the publisher named none.
    #[must_use]
    pub fn content_type(&self) -> &'a str {
        self.text(self.entry.content_type)
    }

    /// Whether the data is JSON: its media type is `application/json`, in any case and
    /// with whatever parameters.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let media_type = self.content_type().split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("application/json")
    }

    /// The publisher's own headers, in the order in which they were sent.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers::new(self.packed_headers())
    }

    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers()
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The data as it was published, byte for byte.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        slice(self.arena, self.entry.data)
    }

    pub(crate) fn packed_headers(&self) -> &'a [u8] {
        slice(self.arena, self.entry.headers)
    }

    fn text(&self, span: Span) -> &'a str {
        std::str::from_utf8(slice(self.arena, span)).expect("the host sends text as UTF-8")
    }
}

/// The bytes of a span. Panics when the span reaches outside the arena.
pub(crate) fn slice(arena: &[u8], span: Span) -> &[u8] {
    if span.length == 0 {
        return &[];
    }
    arena
        .get(span.offset as usize..)
        .and_then(|rest| rest.get(..span.length as usize))
        .expect("the host sends spans that lie inside the arena")
}

/// Iterates over headers as name and value.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    left: u32,
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    pub(crate) fn new(packed: &'a [u8]) -> Self {
        let mut headers = Self {
            left: 0,
            rest: packed,
        };
        if !packed.is_empty() {
            headers.left = headers.number();
        }
        headers
    }

    fn number(&mut self) -> u32 {
        let (number, rest) = self
            .rest
            .split_first_chunk()
            .expect("the host sends headers well formed");
        self.rest = rest;
        u32::from_le_bytes(*number)
    }

    fn text(&mut self) -> &'a str {
        let length = self.number() as usize;
        let (text, rest) = self
            .rest
            .split_at_checked(length)
            .expect("the host sends headers well formed");
        self.rest = rest;
        std::str::from_utf8(text).expect("the host sends headers as UTF-8")
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.text(), self.text()))
    }
}
