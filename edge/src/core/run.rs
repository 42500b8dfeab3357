//! Events of one channel that go on together, and the longer messages that they make for
//! whoever takes all of them: joined once, shared by everybody.
//!
//! Owns the bytes. Who has some of the events already, or a transport that wants each frame
//! by itself, gets them one by one.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use protocol::frame::Encoding;

use super::delivery::Encoded;

/// Bytes of frames that are joined: some dozens of small events, and little beside what a
/// client's outbox holds.
const JOINED_BYTES_MAX: usize = 16 * 1024;
/// Frames that are joined, as many as a message of a client may hold.
const JOINED_FRAMES_MAX: usize = protocol::frame::FRAMES_PER_MESSAGE_MAX;

/// Events of one channel in their order.
#[derive(Debug)]
pub struct Run {
    events: Vec<Arc<Encoded>>,
    json: OnceLock<Vec<Joined>>,
    msgpack: OnceLock<Vec<Joined>>,
}

/// Some events of a run as one payload.
#[derive(Debug)]
struct Joined {
    events: Range<usize>,
    /// The sequences of the first and the last of them.
    first: u64,
    last: u64,
    /// Events that count as such.
    count: u64,
    payload: Bytes,
}

/// How events of a run are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Several frames in a message, where there are several.
    Joined,
    /// One by one.
    Apart,
}

impl Run {
    /// Events in the order of their sequences.
    pub fn new(events: Vec<Arc<Encoded>>) -> Self {
        Self {
            events,
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
        }
    }

    /// The events.
    pub fn events(&self) -> &[Arc<Encoded>] {
        &self.events
    }

    /// How many payloads all of it is.
    pub fn payloads(&self, encoding: Encoding, form: Form) -> usize {
        match form {
            Form::Joined if self.events.len() > 1 => self.joined(encoding).len(),
            Form::Joined | Form::Apart => self.events.len(),
        }
    }

    /// Hands out the payloads of the events after `at`, each with the sequence of its last
    /// event and how many events it is, until one is not taken: why not, then.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn hand_out<E>(
        &self,
        encoding: Encoding,
        form: Form,
        at: u64,
        mut take: impl FnMut(u64, u64, &Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        if form == Form::Apart || self.events.len() < 2 {
            return one_by_one(&self.events, encoding, at, &mut take);
        }
        self.joined(encoding).iter().try_for_each(|joined| {
            // Where all of it finds no room, a part may.
            let whole =
                joined.first > at && take(joined.last, joined.count, &joined.payload).is_ok();
            match whole {
                true => Ok(()),
                false => one_by_one(&self.events[joined.events.clone()], encoding, at, &mut take),
            }
        })
    }

    fn joined(&self, encoding: Encoding) -> &[Joined] {
        let slot = match encoding {
            Encoding::Json => &self.json,
            Encoding::Msgpack => &self.msgpack,
        };
        slot.get_or_init(|| {
            let mut list = Vec::new();
            let payloads = self.events.iter().map(|event| event.payload(encoding));
            let sizes: Vec<usize> = payloads
                .map(|payload| size(payload, payload.len()))
                .collect();
            for events in parts(&sizes) {
                let run = &self.events[events.clone()];
                let (first, last) = (run[0].seq(), run[run.len() - 1].seq());
                let payload = join(encoding, run.iter().map(|event| event.payload(encoding)));
                list.push(Joined {
                    events,
                    first,
                    last,
                    count: run.iter().map(|event| event.events()).sum(),
                    payload,
                });
            }
            list
        })
    }
}

/// Hands out those after `at` by themselves, until one is not taken.
fn one_by_one<E>(
    events: &[Arc<Encoded>],
    encoding: Encoding,
    at: u64,
    take: &mut impl FnMut(u64, u64, &Bytes) -> Result<(), E>,
) -> Result<(), E> {
    let mut after = events.iter().filter(|event| event.seq() > at);
    after.try_for_each(|event| take(event.seq(), event.events(), event.payload(encoding)))
}

/// What a frame counts as when frames are joined. One with a line break in it stays alone:
/// a message is either one frame, or can be told apart at its line breaks.
pub fn size(text: &[u8], bytes: usize) -> usize {
    if text.contains(&b'\n') {
        return JOINED_BYTES_MAX + 1;
    }
    bytes
}

/// Which frames of these sizes are joined.
pub fn parts(sizes: &[usize]) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, size) in sizes.iter().enumerate() {
        let full = bytes + size > JOINED_BYTES_MAX || index - start >= JOINED_FRAMES_MAX;
        if full && index > start {
            parts.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < sizes.len() {
        parts.push(start..sizes.len());
    }
    parts
}

/// Several frames as the payload of one message.
pub fn join<'a>(encoding: Encoding, frames: impl Iterator<Item = &'a Bytes> + Clone) -> Bytes {
    let mut rest = frames.clone();
    if let (Some(only), None) = (rest.next(), rest.next()) {
        return only.clone();
    }
    let mut payload = BytesMut::with_capacity(frames.clone().map(|frame| frame.len() + 1).sum());
    for (index, frame) in frames.enumerate() {
        if index > 0 && encoding == Encoding::Json {
            payload.extend_from_slice(b"\n");
        }
        payload.extend_from_slice(frame);
    }
    payload.freeze()
}

#[cfg(test)]
mod tests {
    use protocol::frame::decode_from_server;
    use protocol::header::Headers;

    use super::*;
    use crate::core::delivery::Relayed;

    fn run(count: u64, bytes: usize) -> Run {
        let event = |seq| Relayed {
            seq,
            prev: seq - 1,
            time_us: 0,
            headers: Headers::new(),
            payload: Bytes::from(format!("\"{}\"", "x".repeat(bytes))),
        };
        let event = |seq| Encoded::event("doc.1".into(), event(seq));
        Run::new((1..=count).map(event).collect())
    }

    /// The sequences of each payload, of at most so many payloads.
    fn handed(run: &Run, encoding: Encoding, form: Form, at: u64, max: usize) -> Vec<Vec<u64>> {
        let mut out = Vec::new();
        let handed = run.hand_out(encoding, form, at, |seq, _, payload| {
            if out.len() == max {
                return Err(());
            }
            let (frames, failed) = decode_from_server(encoding, payload);
            assert_eq!(failed, None);
            let seqs = frames.into_iter().map(|frame| frame.event.unwrap().seq);
            let seqs: Vec<u64> = seqs.collect();
            assert_eq!(seqs.last(), Some(&seq));
            out.push(seqs);
            Ok(())
        });
        assert!(handed.is_ok() || out.len() == max);
        out
    }

    #[test]
    fn a_run_is_one_message_for_whoever_takes_all_of_it() {
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let run = run(3, 1);
            let handed = |form, at| handed(&run, encoding, form, at, 9);
            assert_eq!(handed(Form::Joined, 0), [vec![1, 2, 3]]);
            assert_eq!(handed(Form::Joined, 1), [vec![2], vec![3]]);
            assert!(handed(Form::Joined, 3).is_empty());
            assert_eq!(handed(Form::Apart, 0), [vec![1], vec![2], vec![3]]);
        }
        let run = run(3, 1);
        assert_eq!(handed(&run, Encoding::Json, Form::Apart, 0, 2).len(), 2);
    }

    #[test]
    fn of_what_finds_no_room_together_a_part_does() {
        let run = run(4, 1);
        let mut taken = Vec::new();
        let all = run.hand_out(Encoding::Json, Form::Joined, 0, |seq, _, payload| {
            let alone = !payload.contains(&b'\n');
            if alone && taken.len() < 2 {
                taken.push(seq);
            }
            match alone && taken.last() == Some(&seq) {
                true => Ok(()),
                false => Err(()),
            }
        });
        assert_eq!((all, taken), (Err(()), vec![1, 2]));
    }

    #[test]
    fn what_has_a_line_break_in_it_goes_alone() {
        let data = ["[1]", "[1,\n2]", "[2]", "[3]"];
        let event = |(seq, data): (u64, &'static str)| Relayed {
            seq,
            prev: seq - 1,
            time_us: 0,
            headers: Headers::new(),
            payload: Bytes::from_static(data.as_bytes()),
        };
        let events = (1..).zip(data).map(event);
        let events = events.map(|event| Encoded::event("doc.1".into(), event));
        let run = Run::new(events.collect());
        let mut messages = Vec::new();
        let all = run.hand_out(Encoding::Json, Form::Joined, 0, |_, _, payload| {
            messages.push(payload.clone());
            Ok::<(), ()>(())
        });
        assert_eq!(all, Ok(()));
        let lines = messages.iter().map(|message| {
            let whole = serde_json::from_slice::<serde_json::Value>(message).is_ok();
            let text = std::str::from_utf8(message).unwrap();
            if whole { 1 } else { text.lines().count() }
        });
        assert_eq!(lines.collect::<Vec<_>>(), [1, 1, 2]);
    }

    #[test]
    fn joined_messages_have_limits_in_bytes_and_frames() {
        let long = run(5, JOINED_BYTES_MAX / 2);
        let seqs = handed(&long, Encoding::Json, Form::Joined, 0, 9);
        assert_eq!(seqs, [vec![1], vec![2], vec![3], vec![4], vec![5]]);
        let many = parts(&[1; JOINED_FRAMES_MAX + 1]);
        assert_eq!(
            many,
            [
                0..JOINED_FRAMES_MAX,
                JOINED_FRAMES_MAX..JOINED_FRAMES_MAX + 1
            ]
        );
        assert_eq!(parts(&[JOINED_BYTES_MAX + 1, 1]), [0..1, 1..2]);
        assert!(parts(&[]).is_empty());
    }
}
