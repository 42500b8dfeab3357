//! Every way in which a history can be wrong, with all the facts that name it.
//!
//! State: none; values.
//! Must not know: how a violation is found. Each kind is found by one module of `check/`, and
//! each has a planted corruption in the tests.

use serde::Serialize;
use thiserror::Error;

use crate::record::{Place, Verdict};

macro_rules! violations {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {
        /// One broken promise. Printed, it is a sentence that names the ids and sequences.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Error)]
        #[allow(missing_docs, reason = "each variant's sentence names and explains its fields")]
        pub enum Violation {
            $($(#[$meta])* $name { $($field: $type),+ },)+
        }

        impl Violation {
            /// The names of all kinds, in the order of their declaration.
            pub const KINDS: &'static [&'static str] = &[$(stringify!($name)),+];

            /// The name of this kind.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => stringify!($name),)+
                }
            }
        }
    };
}

violations! {
    // streams
    #[error("{place} is recorded twice, as {first} and as {second}")]
    SequenceReused { place: Place, first: String, second: String }
    #[error("stream {stream} has a hole: {from} to {to} are missing and retention does not explain it")]
    StreamHole { stream: String, from: u64, to: u64 }
    #[error("channel {channel} has two homes, {first} and {second}")]
    ChannelInTwoStreams { channel: String, first: Place, second: Place }
    #[error("channel {channel} is in lane {first_lane} at {first} and in lane {second_lane} at {second}")]
    ChannelInTwoLanes { channel: String, first: Place, first_lane: u32, second: Place, second_lane: u32 }

    // effects
    #[error("event {id} has two effects, at {first} and at {second}")]
    StoredTwice { id: String, first: Place, second: Place }
    #[error("{place} holds {id} on {channel}, which nobody sent and no function wrote")]
    StoredInvented { place: Place, id: String, channel: String }
    #[error("event {id} at {place} has body {stored:016x}, but {sent:016x} was sent")]
    StoredBodyDiffers { id: String, place: Place, sent: u64, stored: u64 }
    #[error("event {id} at {place} is on {stored}, but was sent to {sent}")]
    StoredChannelDiffers { id: String, place: Place, sent: String, stored: String }
    #[error("event {id} was refused for good ({code}), but is stored at {place}")]
    RefusedButStored { id: String, code: String, place: Place }

    // acknowledgements
    #[error("{id} was acknowledged at {place}, but never sent")]
    AckInvented { id: String, place: Place }
    #[error("event {id} was acknowledged at {place}, but is not stored")]
    AckedLost { id: String, place: Place }
    #[error("event {id} was acknowledged at {acked}, but is stored at {stored}")]
    AckPositionWrong { id: String, acked: Place, stored: Place }
    #[error("event {id} was acknowledged on {acked}, but was sent to {sent}")]
    AckChannelWrong { id: String, acked: String, sent: String }
    #[error("event {id} was acknowledged at {first} and at {second}")]
    AcksDisagree { id: String, first: Place, second: Place }
    #[error("event {id} at {place} was acknowledged twice as stored for the first time")]
    AckedFreshTwice { id: String, place: Place }
    #[error("event {id} was acknowledged at {place} and refused for good ({code})")]
    AckedAndRefused { id: String, place: Place, code: String }

    // order
    #[error("{publisher} sent {earlier} before {later} to {channel}, but they are stored the other way round: {earlier} at {earlier_place}, {later} at {later_place}")]
    PublisherReordered {
        publisher: String, channel: String,
        earlier: u64, earlier_place: Place, later: u64, later_place: Place,
    }

    // subscribers
    #[error("{subscriber} received {count} events of {channel}, to which it did not subscribe, the first at {seq}")]
    NotSubscribed { subscriber: String, channel: String, seq: u64, count: u64 }
    #[error("{subscriber} received {seq} of {channel}, but had subscribed from {from} on")]
    DeliveredOutsideRange { subscriber: String, channel: String, seq: u64, from: u64 }
    #[error("{subscriber} received {seq} of {channel} twice")]
    DeliveredTwice { subscriber: String, channel: String, seq: u64 }
    #[error("{subscriber} received {seq} of {channel} after {after}")]
    DeliveredOutOfOrder { subscriber: String, channel: String, seq: u64, after: u64 }
    #[error("{subscriber} received {seq} of {channel} with prev {prev}, but had proof up to {known} only")]
    ChainBroken { subscriber: String, channel: String, seq: u64, prev: u64, known: u64 }
    #[error("{subscriber} received {id} as {seq} of {channel}, which the stream does not hold there")]
    DeliveredInvented { subscriber: String, channel: String, seq: u64, id: String }
    #[error("{subscriber} received {seq} of {channel} with body {delivered:016x}, but {stored:016x} is stored")]
    DeliveredBodyDiffers { subscriber: String, channel: String, seq: u64, delivered: u64, stored: u64 }
    #[error("{subscriber} received {seq} of {channel} as {delivered}, but {stored} is stored")]
    DeliveredIdDiffers { subscriber: String, channel: String, seq: u64, delivered: String, stored: String }
    #[error("{subscriber} never received {seq} of {channel} ({id}), and no gap announced that")]
    DeliveryMissing { subscriber: String, channel: String, seq: u64, id: String }
    #[error("{subscriber} was told that {from} to {to} of {channel} are lost, but {seq} is not")]
    GapFalse { subscriber: String, channel: String, from: u64, to: u64, seq: u64 }

    // functions
    #[error("{place} was written by {function}, which is not deployed")]
    UnknownFunction { function: String, place: Place }
    #[error("{place} is a result of {function} for {input}, which is not among its inputs")]
    ResultWithoutInput { function: String, place: Place, input: Place }
    #[error("{place} is a result of {function}, which commits to {stream}")]
    ResultMisplaced { function: String, place: Place, stream: String }
    #[error("{place} is a result of {function} for {input}, but its id {id} says otherwise")]
    OutputIdWrong { function: String, place: Place, input: Place, id: String }
    #[error("{function} stored output {ordinal} for {input} twice, at {first} and at {second}")]
    OrdinalRepeated { function: String, input: Place, ordinal: u32, first: Place, second: Place }
    #[error("{function} stored {count} outputs for {input}, but none with ordinal {missing}")]
    OrdinalMissing { function: String, input: Place, missing: u32, count: u64 }
    #[error("{function} stored {outcomes} outcomes and {dead_letters} dead letters for {input}")]
    ResultRepeated { function: String, input: Place, outcomes: u64, dead_letters: u64 }
    #[error("{function} stored {outputs} outputs for {input}, and also {outcomes} outcomes and {dead_letters} dead letters")]
    ResultMixed { function: String, input: Place, outputs: u64, outcomes: u64, dead_letters: u64 }
    #[error("{function} stored {outputs} outputs and {receipts} receipts for {input} (asked for: {asked}), or not one directly behind the other")]
    ReceiptWrong { function: String, input: Place, asked: bool, outputs: u64, receipts: u64 }
    #[error("{function} never answered {input} ({id}), although lane {lane} is done up to {checkpoint}")]
    InputUnanswered { function: String, input: Place, id: String, lane: u32, checkpoint: u64 }
    #[error("{function} answered {input} at {place}, although lane {lane} is done up to {checkpoint} only, or the channel is parked")]
    ResultAheadOfCheckpoint { function: String, input: Place, place: Place, lane: u32, checkpoint: u64 }
    #[error("{function} answered {earlier} after {later} of the same channel {channel}, at {place}")]
    ResultsReordered { function: String, channel: String, earlier: Place, later: Place, place: Place }
    #[error("{function} should end {input} in {expected:?}, but it ended in {found:?}")]
    ResultUnexpected { function: String, input: Place, expected: Verdict, found: Verdict }
    #[error("{function} went back in lane {lane}: {place} says {now} after {before}")]
    CheckpointBackwards { function: String, lane: u32, place: Place, before: u64, now: u64 }
    #[error("{function} told {channel} of the outcome of {input} at {place}, but its publisher is {publisher}")]
    OutcomeMisdirected { function: String, input: Place, place: Place, channel: String, publisher: String }

    // schedules
    #[error("{place} is tick {found} of {function}, but the next is {expected}")]
    TickOutOfOrder { function: String, place: Place, expected: u64, found: u64 }
    #[error("{place} is a tick of {function} that was due at {found}, but the next was due at {expected}")]
    TickNotDue { function: String, place: Place, expected: u64, found: u64 }

    // mirror
    #[error("{place} ({id}) is not in the mirror, and no gap announced that")]
    MirrorMissing { place: Place, id: String }
    #[error("{place} is in the mirror twice, at {first} and at {second}")]
    MirroredTwice { place: Place, first: String, second: String }
    #[error("the mirror holds {id} as {place} at {at}, which the stream does not hold")]
    MirroredInvented { place: Place, id: String, at: String }
    #[error("the mirror holds the checkpoint {place} at {at}")]
    MirroredCheckpoint { place: Place, at: String }
    #[error("the mirror holds {place} with body {mirrored:016x} at {at}, but {stored:016x} is stored")]
    MirroredBodyDiffers { place: Place, at: String, mirrored: u64, stored: u64 }
    #[error("the mirror holds {place} as {mirrored} at {at}, but {stored} is stored")]
    MirroredIdDiffers { place: Place, at: String, mirrored: String, stored: String }
    #[error("the mirror holds {place} on {mirrored} at {at}, but it is stored on {stored}")]
    MirroredChannelDiffers { place: Place, at: String, mirrored: String, stored: String }
    #[error("the mirror holds {earlier} of {channel} at {at}, after {later}")]
    MirrorReordered { channel: String, earlier: Place, later: Place, at: String }
    #[error("the mirror holds channel {channel} of {stream} at {first} and at {second}")]
    MirrorChannelSplit { stream: String, channel: String, first: String, second: String }
    #[error("the mirror holds key {key} at {first} and at {second}")]
    MirrorKeySplit { key: String, first: String, second: String }
    #[error("{at} was read as {first} and as {second}")]
    OffsetReused { at: String, first: Place, second: Place }
    #[error("partition {partition} of {topic} holds two streams: {first} and {second}")]
    PartitionShared { topic: String, partition: i32, first: Place, second: Place }
    #[error("the mirror announced that {from} to {to} of {stream} are lost, but {seq} is not")]
    MirrorGapFalse { stream: String, from: u64, to: u64, seq: u64 }
}
