//! A message on its way into the model, and its size as the server counts it. Pure.

use bytes::Bytes;

use crate::error::BusError;
use protocol::bus::{Expect, Outgoing};
use protocol::header::Headers;

/// Most bytes of headers and payload together; the server's default.
pub(super) const MAX_PAYLOAD: usize = 1 << 20;
/// What a header costs beside its name and value: colon, space, end of line.
const HEADER_SLACK: usize = 4;
/// "NATS/1.0" and the empty line, with their ends.
const BLOCK_SLACK: usize = 12;

/// A message as the server receives it.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub subject: String,
    /// Its own headers, as every reader gets them: trimmed, in the order of names.
    pub headers: Headers,
    pub payload: Bytes,
    pub msg_id: Option<String>,
    pub expect: Option<Expect>,
    /// Bytes of headers and payload on the wire.
    pub wire_bytes: usize,
}

impl Message {
    /// Checks and takes what somebody publishes, `extra` bytes of headers beside.
    ///
    /// # Errors
    /// [`BusError::Header`], [`BusError::TooLarge`].
    pub(super) fn new(outgoing: Outgoing, extra: usize) -> Result<Self, BusError> {
        let headers: Vec<_> = outgoing.headers.iter().collect();
        for (name, value) in &headers {
            check(name, value)?;
        }
        if let Some(id) = &outgoing.msg_id {
            check("Nats-Msg-Id", id)?;
        }
        let message = Self {
            wire_bytes: wire_bytes(&outgoing, extra),
            headers: as_read(headers),
            subject: outgoing.subject.as_str().to_owned(),
            payload: outgoing.payload,
            msg_id: outgoing.msg_id,
            expect: outgoing.expect,
        };
        if message.wire_bytes > MAX_PAYLOAD {
            return Err(BusError::TooLarge { max: MAX_PAYLOAD });
        }
        Ok(message)
    }

    /// A write to a bucket: a raw subject, some headers, perhaps a condition. Those of the
    /// server's own (`Nats-*`) mean nothing to the model, and no reader gets them.
    pub(super) fn raw(
        subject: String,
        own: &[(&'static str, &'static str)],
        payload: Bytes,
        expected: Option<u64>,
    ) -> Self {
        let mut headers = Headers::new();
        let mut bytes = 0;
        for (name, value) in own.iter().copied() {
            if !name.starts_with("Nats-") {
                headers.push(name, value);
            }
            bytes += name.len() + value.len() + HEADER_SLACK;
        }
        let expect = expected.map(Expect::LastOnSubject);
        bytes += expect.as_ref().map_or(0, condition_bytes);
        Self {
            wire_bytes: payload.len() + if bytes == 0 { 0 } else { BLOCK_SLACK + bytes },
            subject,
            headers,
            payload,
            msg_id: None,
            expect,
        }
    }

    /// Bytes in the server's store: the record around it counts (filestore).
    pub(super) fn stored_bytes(&self) -> u64 {
        /// Length, sequence, time, length of the subject; checksum.
        const RECORD: usize = 22 + 8;
        /// Length of the headers.
        const HEADERS_LENGTH: usize = 4;
        let headers = self.wire_bytes - self.payload.len();
        let headers = if headers == 0 { 0 } else { HEADERS_LENGTH };
        (RECORD + self.subject.len() + headers + self.wire_bytes) as u64
    }
}

/// The rules of async-nats, which lets an empty name pass.
fn check(name: &str, value: &str) -> Result<(), BusError> {
    let fine = name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if fine && !value.contains(['\r', '\n']) {
        return Ok(());
    }
    Err(BusError::Header { name: name.into() })
}

fn as_read(mut headers: Vec<(&str, &str)>) -> Headers {
    headers.sort_by_key(|(name, _)| *name);
    let mut read = Headers::new();
    for (name, value) in headers {
        read.push_read(name, value.trim());
    }
    read
}

fn condition_bytes(expect: &Expect) -> usize {
    let (name, seq) = match expect {
        Expect::LastOnSubject(seq) => ("Nats-Expected-Last-Subject-Sequence", seq),
        Expect::LastInStream(seq) => ("Nats-Expected-Last-Sequence", seq),
    };
    name.len() + seq.to_string().len() + HEADER_SLACK
}

fn wire_bytes(outgoing: &Outgoing, extra: usize) -> usize {
    let own: usize = outgoing
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + HEADER_SLACK)
        .sum();
    let id = outgoing.msg_id.as_ref();
    let id = id.map_or(0, |id| "Nats-Msg-Id".len() + id.len() + HEADER_SLACK);
    let condition = outgoing.expect.as_ref().map_or(0, condition_bytes);
    // async-nats writes the block even when it is empty.
    BLOCK_SLACK + own + id + condition + extra + outgoing.payload.len()
}

/// Bytes of the headers that make a message the `n`-th of a batch.
pub(super) fn batch_header_bytes(n: usize, last: bool) -> usize {
    let id = "Nats-Batch-Id".len() + 32 + HEADER_SLACK;
    let sequence = "Nats-Batch-Sequence".len() + n.to_string().len() + HEADER_SLACK;
    let commit = "Nats-Batch-Commit".len() + 1 + HEADER_SLACK;
    id + sequence + if last { commit } else { 0 }
}
