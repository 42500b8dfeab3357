//! The actor's frames: what goes out as one message. Knows the encoding; must not
//! know why something is sent.

use bytes::{Bytes, BytesMut};
use protocol::class::Class;
use protocol::frame::{
    Action, Command, Encoding, FRAMES_PER_MESSAGE_MAX, Payload, Publish, encode,
};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{Actor, Pending};
use crate::options::Draft;
use crate::outstanding::Sending;
use crate::socket;

/// Bytes of frames gathered into one message, below any node's limit on messages
/// unless a single event is larger.
const GATHER_BYTES: usize = 16 * 1024;

impl Actor {
    /// What is to be sent, as one message.
    pub(super) fn gather(&mut self, now: Instant) -> Message {
        let encoding = self.options.encoding;
        let mut frames = BytesMut::new();
        for written in 0..FRAMES_PER_MESSAGE_MAX {
            let Some(frame) = self.next_frame(now) else {
                break;
            };
            if written > 0 && encoding == Encoding::Json {
                frames.extend_from_slice(b"\n");
            }
            frames.extend_from_slice(&frame);
            if frames.len() >= GATHER_BYTES {
                break;
            }
        }
        socket::message(encoding, frames.freeze())
    }

    fn next_frame(&mut self, now: Instant) -> Option<Bytes> {
        if let Some(frame) = self.control.pop_front() {
            return Some(frame);
        }
        let encoding = self.options.encoding;
        let server_us = self.shared.server_time_us();
        let window = self.durable_window();
        let sending = self.outstanding.next(window, now, server_us)?;
        let Sending {
            n,
            draft,
            first_sent,
        } = sending;
        let body = frame_of(encoding, n, draft, first_sent);
        let id = self.next_id;
        self.next_id += 1;
        self.pending.insert(id, Pending::Publish(n));
        Some(encode(encoding, &Command::new(id, Action::Publish(body))))
    }

    pub(super) fn command(&mut self, action: Action, pending: Pending) {
        let id = self.next_id;
        self.next_id += 1;
        let frame = encode(self.options.encoding, &Command::new(id, action));
        self.control.push_back(frame);
        self.pending.insert(id, pending);
    }
}

/// An event as a frame of this encoding.
pub(super) fn frame_of(
    encoding: Encoding,
    n: u64,
    draft: &Draft,
    first_sent: Option<u64>,
) -> Publish {
    Publish {
        channel: draft.channel.clone(),
        class: Class::Durable,
        n,
        data: match encoding {
            Encoding::Json => Payload::for_json(&draft.data, draft.is_json()),
            Encoding::Msgpack => Payload::Bytes(draft.data.clone()),
        },
        content_type: draft.content_type.clone(),
        headers: draft.headers.clone(),
        first_sent,
        expected_seq: draft.expected_seq,
        clock: draft.clock.clone(),
        receipt: draft.receipt,
    }
}
