//! Where the frames of one WebSocket message begin and end, whatever is in them.
//!
//! One pass over the bytes, without a tree and without recursion: a frame that cannot
//! be read must not take those behind it along. Knows nothing of what frames mean.

/// Where a frame ends cannot be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undelimited;

/// The frames of a message, in order. After an error there are no more.
pub(super) struct Frames<'a> {
    rest: &'a [u8],
    /// What stands between frames.
    is_blank: fn(u8) -> bool,
    /// Length of the frame at the beginning.
    length: fn(&[u8]) -> Option<usize>,
}

/// The frames of a message of JSON text.
pub(super) fn json(message: &[u8]) -> Frames<'_> {
    Frames {
        rest: message,
        is_blank: is_json_blank,
        length: json_length,
    }
}

/// The frames of a message of MessagePack.
pub(super) fn msgpack(message: &[u8]) -> Frames<'_> {
    Frames {
        rest: message,
        is_blank: |_| false,
        length: msgpack_length,
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], Undelimited>;

    fn next(&mut self) -> Option<Self::Item> {
        let begin = self.rest.iter().position(|byte| !(self.is_blank)(*byte))?;
        let frames = &self.rest[begin..];
        let Some(length) = (self.length)(frames) else {
            self.rest = &[];
            return Some(Err(Undelimited));
        };
        let (frame, rest) = frames.split_at(length);
        self.rest = rest;
        Some(Ok(frame))
    }
}

/// RFC 8259, section 2.
fn is_json_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Length of the JSON value at the beginning: up to the bracket or quote that ends it.
/// What is no value at all ends at white space or where one begins.
fn json_length(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'{' | b'[' => nest_length(text),
        b'"' => string_length(text),
        _ => {
            let end = |byte: &u8| is_json_blank(*byte) || b"{[\"".contains(byte);
            Some(text.iter().position(end).unwrap_or(text.len()))
        }
    }
}

/// Length of a string with its quotes.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Length of an object or an array with its brackets.
fn nest_length(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0usize);
    loop {
        match text.get(at)? {
            b'"' => {
                at += string_length(&text[at..])?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Length of the MessagePack value at the beginning.
fn msgpack_length(bytes: &[u8]) -> Option<usize> {
    // Values that are still due: one, and those in the maps and arrays so far. Each
    // takes a byte at least, so a lying count ends with the bytes.
    let (mut at, mut due) = (0, 1u64);
    while due > 0 {
        let (skip, items) = msgpack_value(bytes.get(at..)?)?;
        at = usize::try_from(skip).ok()?.checked_add(at)?;
        due = (due - 1).saturating_add(items);
    }
    (at <= bytes.len()).then_some(at)
}

/// Bytes of a value's marker, length and content, and how many values it holds.
fn msgpack_value(bytes: &[u8]) -> Option<(u64, u64)> {
    let number = |size: usize| -> Option<u64> {
        let bytes = bytes.get(1..=size)?;
        Some(bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    };
    let marker = *bytes.first()?;
    let low = |mask: u8| u64::from(marker & mask);
    Some(match marker {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (1, 0),
        0x80..=0x8f => (1, 2 * low(0x0f)),
        0x90..=0x9f => (1, low(0x0f)),
        0xa0..=0xbf => (1 + low(0x1f), 0),
        0xc4 | 0xd9 => (2 + number(1)?, 0),
        0xc5 | 0xda => (3 + number(2)?, 0),
        0xc6 | 0xdb => (5 + number(4)?, 0),
        0xc7 => (3 + number(1)?, 0),
        0xc8 => (4 + number(2)?, 0),
        0xc9 => (6 + number(4)?, 0),
        0xcc | 0xd0 => (2, 0),
        0xcd | 0xd1 => (3, 0),
        0xca | 0xce | 0xd2 => (5, 0),
        0xcb | 0xcf | 0xd3 => (9, 0),
        0xd4..=0xd8 => (2 + (1 << (marker - 0xd4)), 0),
        0xdc => (3, number(2)?),
        0xdd => (5, number(4)?),
        0xde => (3, 2 * number(2)?),
        0xdf => (5, 2 * number(4)?),
        0xc1 => return None,
    })
}
