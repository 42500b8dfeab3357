//! The bridge's metrics: one place for their names.

use std::time::Duration;

use protocol::record::{MirrorGap, MirrorGapReason};
use protocol::stream::StreamName;

/// Describes every metric; calling it again is harmless.
pub(crate) fn describe() {
    metrics::describe_counter!(
        "mirror_records_total",
        "records written into transactions, by stream"
    );
    metrics::describe_counter!(
        "mirror_bytes_total",
        metrics::Unit::Bytes,
        "payload bytes written into transactions, by stream"
    );
    metrics::describe_histogram!(
        "mirror_commit_seconds",
        metrics::Unit::Seconds,
        "time of a commit, by stream"
    );
    metrics::describe_gauge!(
        "mirror_sequence",
        "last sequence that is committed, by stream"
    );
    metrics::describe_gauge!(
        "mirror_lag_events",
        "sequences between the stream's last one and the mirror's, by stream"
    );
    metrics::describe_gauge!(
        "mirror_topics_broken",
        "topics that are passed over at the moment, by stream"
    );
    metrics::describe_counter!(
        "mirror_gaps_total",
        "events that the mirror does not hold, by stream and reason"
    );
    metrics::describe_counter!(
        "mirror_fenced_total",
        "times a writer was ended by its successor, by stream"
    );
    metrics::describe_counter!(
        "mirror_restarts_total",
        "times a writer was replaced after an error, by stream and by what failed"
    );
    metrics::describe_gauge!(
        "mirror_halted",
        "1 while a shard waits for somebody to look, by stream"
    );
    metrics::describe_gauge!("replay_reads", "replays under way");
    metrics::describe_counter!("replay_events_total", "events given by replays");
    metrics::describe_counter!("replay_ended_total", "replays that ended, by gRPC status");
}

pub(crate) fn written(stream: &StreamName, records: usize, bytes: usize) {
    metrics::counter!("mirror_records_total", "stream" => stream.as_str().to_owned())
        .increment(records as u64);
    metrics::counter!("mirror_bytes_total", "stream" => stream.as_str().to_owned())
        .increment(bytes as u64);
}

pub(crate) fn committed(stream: &StreamName, took: Duration) {
    metrics::histogram!("mirror_commit_seconds", "stream" => stream.as_str().to_owned())
        .record(took.as_secs_f64());
}

pub(crate) fn progress(stream: &StreamName, seq: u64) {
    metrics::gauge!("mirror_sequence", "stream" => stream.as_str().to_owned()).set(seq as f64);
}

pub(crate) fn lag(stream: &StreamName, lag: u64) {
    metrics::gauge!("mirror_lag_events", "stream" => stream.as_str().to_owned()).set(lag as f64);
}

/// Counts every event of a gap.
pub(crate) fn gap(stream: &StreamName, gap: &MirrorGap) {
    missed(stream, gap.reason, gap.to + 1 - gap.from);
}

pub(crate) fn missed(stream: &StreamName, reason: MirrorGapReason, events: u64) {
    metrics::counter!("mirror_gaps_total", "stream" => stream.as_str().to_owned(), "reason" => reason.as_str()).increment(events);
}

pub(crate) fn broken_topics(stream: &StreamName, count: usize) {
    metrics::gauge!("mirror_topics_broken", "stream" => stream.as_str().to_owned())
        .set(count as f64);
}

pub(crate) fn fenced(stream: &StreamName) {
    metrics::counter!("mirror_fenced_total", "stream" => stream.as_str().to_owned()).increment(1);
}

pub(crate) fn restarted(stream: &StreamName, failed: &'static str) {
    metrics::counter!("mirror_restarts_total", "stream" => stream.as_str().to_owned(), "failed" => failed).increment(1);
}

pub(crate) fn halted(stream: &StreamName, halted: bool) {
    metrics::gauge!("mirror_halted", "stream" => stream.as_str().to_owned()).set(if halted {
        1.0
    } else {
        0.0
    });
}

pub(crate) fn reads(delta: f64) {
    metrics::gauge!("replay_reads").increment(delta);
}

pub(crate) fn replayed(events: usize) {
    metrics::counter!("replay_events_total").increment(events as u64);
}

pub(crate) fn replay_ended(status: &'static str) {
    metrics::counter!("replay_ended_total", "status" => status).increment(1);
}
