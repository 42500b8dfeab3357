//! What the model's streams hold, as the checker's records.
//!
//! Owns nothing. Knows how Eddyline's messages are laid out, as the protocol crate says.

use checker::{Kind, Parked, Place, Recorder, Stored, StreamState};
use protocol::checkpoint::{Bases, Checkpoint};
use protocol::header::{self, Headers};
use protocol::id::OutputId;
use protocol::name::{Channel, OUTCOME_NAMESPACE};
use protocol::outcome::{OutcomeEvent, OutcomeKind, dead_letter};
use protocol::position::Source;
use protocol::stream::StreamName;
use protocol::subject::{Kind as SubjectKind, Parsed};

/// A body as records name it.
pub fn body(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Records a whole stream; `last_seq` is the last sequence it has given out.
pub fn stream(
    history: &Recorder,
    name: &StreamName,
    events: &[protocol::bus::Stored],
    last_seq: u64,
) {
    let mut bases = Bases::default();
    let records = events.iter();
    history.extend(records.filter_map(|stored| record(name, &mut bases, stored)));
    let retained_from = events.first().map_or(last_seq + 1, |event| event.seq);
    history.record(StreamState {
        stream: name.to_string(),
        retained_from,
        last_seq,
    });
}

/// The channel of a subject as records name it.
pub fn channel(subject: &str) -> String {
    match Parsed::parse(subject) {
        Ok(Parsed::Event {
            tenant, channel, ..
        }) => format!("{tenant}/{channel}"),
        _ => String::new(),
    }
}

fn place(headers: &Headers, name: &str) -> Option<Place> {
    let source = Source::parse(headers.get(name)?)?;
    Some(Place::new(source.stream.to_string(), source.seq))
}

/// A stored message; `None` for one that is not Eddyline's, which then is a hole.
fn record(name: &StreamName, bases: &mut Bases, stored: &protocol::bus::Stored) -> Option<Stored> {
    let headers = &stored.headers;
    let plain = |lane: u16, kind, function| Stored {
        stream: name.to_string(),
        seq: stored.seq,
        lane: lane.into(),
        channel: channel(&stored.subject),
        kind,
        id: headers.get(header::ID).unwrap_or_default().into(),
        body: body(&stored.payload),
        source: None,
        function,
        ordinal: None,
        outcome: false,
        receipt: false,
        tick: None,
    };
    Some(match Parsed::parse(&stored.subject).ok()? {
        Parsed::Event {
            kind: SubjectKind::In,
            lane,
            ..
        } => Stored {
            receipt: headers.get(header::RECEIPT).is_some(),
            ..plain(lane.0, Kind::In, None)
        },
        Parsed::Event { lane, channel, .. } => {
            let event = plain(
                lane.0,
                Kind::Ev,
                headers.get(header::FUNCTION).map(str::to_owned),
            );
            Stored {
                source: place(headers, header::SOURCE),
                ordinal: OutputId::parse(&event.id).ok().map(|id| id.ordinal),
                outcome: channel.namespace() == OUTCOME_NAMESPACE,
                receipt: is_receipt(&channel, &stored.payload),
                ..event
            }
        }
        Parsed::DeadLetter { lane, function, .. } => Stored {
            source: place(headers, dead_letter::SOURCE),
            channel: channel(headers.get(dead_letter::SUBJECT).unwrap_or_default()),
            ..plain(lane.0, Kind::DeadLetter, Some(function.to_string()))
        },
        Parsed::Checkpoint { lane, function, .. } => {
            plain(lane.0, progress(bases, stored)?, Some(function.to_string()))
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

fn progress(bases: &mut Bases, stored: &protocol::bus::Stored) -> Option<Kind> {
    let checkpoint: Checkpoint = serde_json::from_slice(&stored.payload).ok()?;
    let parked = bases.parked(&stored.subject, stored.seq, &checkpoint)?;
    let parked = parked.iter().map(|parked| Parked {
        channel: format!("{}/{}", parked.tenant, parked.channel),
        seq: parked.seq,
    });
    let held = checkpoint.held.iter().map(|held| Parked {
        channel: format!("{}/>", held.tenant),
        seq: held.seq,
    });
    Some(Kind::Checkpoint {
        input_seq: checkpoint.seq,
        parked: parked.chain(held).collect(),
    })
}
