//! A stream read back as records, completely and again and again.
//!
//! Owns what was read so far. Knows how Eddyline's messages are laid out, as the
//! protocol crate says, and nothing of how they came about.

use anyhow::Context;
use bus::{Bus, ReaderOptions};
use checker::{Kind, Parked, Place, Stored, StreamState, Tick};
use protocol::checkpoint::{Bases, Checkpoint};
use protocol::header::{self, Headers};
use protocol::id::OutputId;
use protocol::name::{Channel, OUTCOME_NAMESPACE};
use protocol::outcome::{OutcomeEvent, OutcomeKind, dead_letter};
use protocol::position::Source;
use protocol::stream::StreamName;
use protocol::subject::{Kind as SubjectKind, Parsed};

use crate::{body_hash, wait};

/// How a stream is read: in large gulps, nobody else waits.
const READING: ReaderOptions = ReaderOptions {
    batch: 1_000,
    bytes_max: 8 << 20,
};

/// A stream as far as it was read.
#[derive(Debug)]
pub struct Log {
    stream: StreamName,
    records: Vec<Stored>,
    bases: Bases,
    state: Option<protocol::bus::StreamState>,
}

impl Log {
    /// Nothing of a stream yet.
    pub fn new(stream: StreamName) -> Self {
        Self {
            stream,
            records: Vec::new(),
            bases: Bases::default(),
            state: None,
        }
    }

    /// The stream.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// Everything read so far, by sequence.
    pub fn records(&self) -> &[Stored] {
        &self.records
    }

    /// The last sequence that was read; 0 before the first.
    pub fn last(&self) -> u64 {
        self.records.last().map_or(0, |stored| stored.seq)
    }

    /// Reads on to what is the stream's end now.
    ///
    /// # Errors
    /// The bus fails, or a message is not Eddyline's.
    pub async fn read_on(&mut self, bus: &Bus) -> anyhow::Result<()> {
        let end = bus.stream_state(&self.stream).await?.last_seq;
        if end > self.last() {
            let mut reader = bus
                .reader(&self.stream, None, self.last() + 1, READING)
                .await?;
            while self.last() < end {
                let batch = tokio::time::timeout(wait::DEADLINE, reader.next_batch()).await;
                for stored in batch.with_context(|| {
                    format!("{} does not go on behind {}", self.stream, self.last())
                })?? {
                    let record = record(&self.stream, &mut self.bases, &stored);
                    let record = record.with_context(|| {
                        format!("{}:{} on {}", self.stream, stored.seq, stored.subject)
                    })?;
                    self.records.push(record);
                }
            }
        }
        // Afterwards: what retention removed meanwhile is not missing.
        self.state = Some(bus.stream_state(&self.stream).await?);
        Ok(())
    }

    /// How much of the stream was read.
    pub fn state(&self) -> StreamState {
        StreamState {
            stream: self.stream.to_string(),
            retained_from: self.state.as_ref().map_or(1, |state| state.first_seq),
            last_seq: self.last(),
        }
    }
}

/// What an event is called, wherever it is read: the id of a dead letter is that of
/// its input.
pub(super) fn id(headers: &Headers) -> String {
    headers.get(header::ID).unwrap_or_default().to_owned()
}

/// `tenant/channel` of an event, or of a dead letter's input.
pub(super) fn channel(subject: &str, headers: &Headers) -> Option<String> {
    match Parsed::parse(subject).ok()? {
        Parsed::Event {
            tenant, channel, ..
        } => Some(format!("{tenant}/{channel}")),
        Parsed::DeadLetter { .. } => {
            match Parsed::parse(headers.get(dead_letter::SUBJECT)?).ok()? {
                Parsed::Event {
                    tenant, channel, ..
                } => Some(format!("{tenant}/{channel}")),
                _ => None,
            }
        }
        Parsed::Checkpoint { .. } => None,
    }
}

fn place(headers: &Headers, name: &str) -> Option<Place> {
    let source = Source::parse(headers.get(name)?)?;
    Some(Place::new(source.stream.to_string(), source.seq))
}

fn record(
    stream: &StreamName,
    bases: &mut Bases,
    stored: &protocol::bus::Stored,
) -> anyhow::Result<Stored> {
    let headers = &stored.headers;
    let record = |lane: u16, kind, function| Stored {
        stream: stream.to_string(),
        seq: stored.seq,
        lane: u32::from(lane),
        channel: channel(&stored.subject, headers).unwrap_or_default(),
        kind,
        id: id(headers),
        body: body_hash(&stored.payload),
        source: None,
        function,
        ordinal: None,
        outcome: false,
        receipt: false,
        tick: None,
    };
    Ok(match Parsed::parse(&stored.subject)? {
        Parsed::Event {
            kind: SubjectKind::In,
            lane,
            ..
        } => Stored {
            receipt: headers.get(header::RECEIPT).is_some(),
            ..record(lane.0, Kind::In, None)
        },
        Parsed::Event { lane, channel, .. } => {
            let function = headers.get(header::FUNCTION).map(str::to_owned);
            let event = record(lane.0, Kind::Ev, function);
            Stored {
                source: place(headers, header::SOURCE),
                ordinal: OutputId::parse(&event.id).ok().map(|id| id.ordinal),
                outcome: channel.namespace() == OUTCOME_NAMESPACE,
                receipt: is_receipt(&channel, &stored.payload),
                tick: tick(stored)?,
                ..event
            }
        }
        Parsed::DeadLetter { lane, function, .. } => Stored {
            source: place(headers, dead_letter::SOURCE),
            ..record(lane.0, Kind::DeadLetter, Some(function.to_string()))
        },
        Parsed::Checkpoint { lane, function, .. } => {
            record(lane.0, progress(bases, stored)?, Some(function.to_string()))
        }
    })
}

/// Whether an event tells its publisher that another has passed.
fn is_receipt(channel: &Channel, payload: &[u8]) -> bool {
    let told = serde_json::from_slice::<OutcomeEvent>(payload);
    let told = told
        .ok()
        .filter(|_| channel.namespace() == OUTCOME_NAMESPACE);
    told.is_some_and(|told| told.outcome == OutcomeKind::Passed)
}

fn tick(stored: &protocol::bus::Stored) -> anyhow::Result<Option<Tick>> {
    let Some(function) = stored.headers.get(header::TICK) else {
        return Ok(None);
    };
    let tick: protocol::tick::Tick = serde_json::from_slice(&stored.payload).context("a tick")?;
    Ok(Some(Tick {
        function: function.to_owned(),
        due: tick.due,
        n: tick.n,
        missed: tick.missed,
    }))
}

fn progress(bases: &mut Bases, stored: &protocol::bus::Stored) -> anyhow::Result<Kind> {
    let checkpoint: Checkpoint = serde_json::from_slice(&stored.payload).context("a checkpoint")?;
    let parked = bases.parked(&stored.subject, stored.seq, &checkpoint);
    let parked = parked.context("a checkpoint's base")?;
    let parked = parked.iter().map(|parked| Parked {
        channel: format!("{}/{}", parked.tenant, parked.channel),
        seq: parked.seq,
    });
    let held = checkpoint.held.iter().map(|held| Parked {
        channel: format!("{}/>", held.tenant),
        seq: held.seq,
    });
    Ok(Kind::Checkpoint {
        input_seq: checkpoint.seq,
        parked: parked.chain(held).collect(),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn stored(subject: &str, headers: &[(&'static str, &str)], payload: &str) -> Stored {
        let mut list = Headers::new();
        headers
            .iter()
            .for_each(|(name, value)| list.push(name, *value));
        let stored = protocol::bus::Stored {
            seq: 7,
            time_us: 1,
            subject: subject.into(),
            headers: list,
            payload: Bytes::from(payload.to_owned()),
        };
        let events = StreamName::parse("EVENTS-main").unwrap();
        record(&events, &mut Bases::default(), &stored).unwrap()
    }

    #[test]
    fn an_output_names_its_input_and_its_place_among_outputs() {
        let id = "gate/INGRESS-main@0a:5/2";
        let headers = [
            (header::ID, id),
            (header::FUNCTION, "gate"),
            (header::SOURCE, "INGRESS-main@0a:5"),
        ];
        let output = stored("ev.main.3.acme.doc.a", &headers, "{}");
        assert_eq!(
            (output.kind, output.lane, output.channel.as_str()),
            (Kind::Ev, 3, "acme/doc.a")
        );
        assert_eq!(
            (output.source, output.ordinal),
            (Some(Place::new("INGRESS-main", 5)), Some(2))
        );
        assert!(!output.outcome && output.function.as_deref() == Some("gate"));
        assert!(stored("ev.main.3.acme._outcome.ann.c", &headers, "{}").outcome);
    }

    #[test]
    fn a_dead_letter_has_the_channel_of_its_input() {
        let headers = [
            (header::ID, "acme/ann/c/1"),
            (dead_letter::SUBJECT, "in.main.3.acme.doc.a"),
            (dead_letter::SOURCE, "INGRESS-main@0a:5"),
        ];
        let letter = stored("rej.main.3.gate", &headers, "{}");
        assert_eq!(
            (letter.kind, letter.channel.as_str()),
            (Kind::DeadLetter, "acme/doc.a")
        );
        assert_eq!(letter.source, Some(Place::new("INGRESS-main", 5)));
    }

    #[test]
    fn what_is_none_of_ours_is_an_error() {
        let foreign = protocol::bus::Stored {
            seq: 1,
            time_us: 1,
            subject: "other.subject".into(),
            headers: Headers::new(),
            payload: Bytes::new(),
        };
        let events = StreamName::parse("EVENTS-main").unwrap();
        assert!(record(&events, &mut Bases::default(), &foreign).is_err());
    }
}
