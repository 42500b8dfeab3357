//! What a node counts. Everything that is refused, dropped, repaired or closed has a
//! counter by reason.
//!
//! Handles are looked up once: a look-up per delivery would cost more than the
//! delivery. Process-wide, as the recorder is: nodes in one process add up.

use std::sync::LazyLock;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;

/// The handles of what is counted often.
pub struct Meters {
    /// Sessions that are open.
    pub connections: Gauge,
    /// Times that accepting waited for the node's pace.
    pub accepts_paced: Counter,
    /// Channels that are relayed.
    pub feeds: Gauge,
    /// Events put into outboxes, live.
    pub deliveries: Counter,
    /// Payloads put into outboxes, live.
    pub payloads: Counter,
    /// From an edge's accepting an event to its going to the subscribers of this node.
    pub delivery_seconds: Histogram,
    /// Events put into outboxes from the stream.
    pub replayed: Counter,
    /// Events of histories that were asked for.
    pub history_events: Counter,
    /// Events stored, as acks told clients.
    pub published: Counter,
    /// Acks of events that had been stored before.
    pub duplicates: Counter,
    /// Ephemeral events that were handed to NATS.
    pub passed_on: Counter,
    /// Ephemeral events that their gate filtered.
    pub gate_dropped: Counter,
    /// Ephemeral events put into the queues of sessions.
    pub ephemeral: Counter,
    /// Ephemeral events that gave way to newer ones in the queue of a session.
    pub gave_way: Counter,
    /// Ephemeral events that a newer one of their key stands for, in the queue of a session.
    pub conflated: Counter,
    /// Events in one commit.
    pub batch_events: Histogram,
    /// From command to ack.
    pub publish_seconds: Histogram,
    /// Breaks of a channel's chain that a node found.
    pub breaks: Counter,
    /// Events put back from the stream.
    pub repaired: Counter,
    /// Channels whose tail was behind, as a probe found.
    pub probe_findings: Counter,
    /// Channels probed.
    pub probes: Counter,
    /// Channels whose probe got no answer.
    pub probe_failures: Counter,
    /// Live deliveries dropped because a repair's hold was full.
    pub held_dropped: Counter,
    /// Subscriptions paused because their client's outbox was full.
    pub lagging: Counter,
    /// Subscriptions that were paused because their clients had granted no more.
    pub spent: Counter,
    /// Gaps announced.
    pub gaps: Counter,
    /// Answers of a leader that were older than what is known.
    pub stale_answers: Counter,
    /// Channels whose stream has lost what was relayed.
    pub rollbacks: Counter,
    /// Channels that are watched for presence.
    pub presence_watched: Gauge,
    /// Frames of presence put into outboxes.
    pub presence_told: Counter,
    /// Times that a watcher's outbox had no room for a frame of presence.
    pub presence_behind: Counter,
    /// Entries of presence that were written.
    pub presence_writes: Counter,
    /// Those that could not be.
    pub presence_write_failures: Counter,
    /// Channels that were read for who watches them.
    pub presence_reads: Counter,
    /// Nodes that this one has marked as dead.
    pub presence_dead: Counter,
    /// Times that this node was taken for dead.
    pub presence_renamed: Counter,
    /// Events that tell that a channel is occupied or vacated.
    pub presence_lifecycle: Counter,
    /// Messages under a fan-out subject that no stream republished.
    pub foreign: Counter,
}

static METERS: LazyLock<Meters> = LazyLock::new(|| {
    describe();
    Meters {
        connections: gauge!("edge_connections"),
        accepts_paced: counter!("edge_accepts_paced_total"),
        feeds: gauge!("edge_feeds"),
        deliveries: counter!("edge_deliveries_total", "from" => "live"),
        payloads: counter!("edge_payloads_total"),
        delivery_seconds: histogram!("edge_delivery_seconds"),
        replayed: counter!("edge_deliveries_total", "from" => "stream"),
        history_events: counter!("edge_history_events_total"),
        published: counter!("edge_publishes_total", "outcome" => "stored"),
        duplicates: counter!("edge_publishes_total", "outcome" => "duplicate"),
        passed_on: counter!("edge_publishes_total", "outcome" => "passed_on"),
        gate_dropped: counter!("edge_publishes_total", "outcome" => "gate_dropped"),
        ephemeral: counter!("edge_deliveries_total", "from" => "ephemeral"),
        gave_way: counter!("edge_ephemeral_dropped_total"),
        conflated: counter!("edge_ephemeral_conflated_total"),
        batch_events: histogram!("edge_batch_events"),
        publish_seconds: histogram!("edge_publish_seconds"),
        breaks: counter!("edge_breaks_total"),
        repaired: counter!("edge_repaired_events_total"),
        probe_findings: counter!("edge_probe_findings_total"),
        probes: counter!("edge_probes_total"),
        probe_failures: counter!("edge_probe_failures_total"),
        held_dropped: counter!("edge_held_dropped_total"),
        lagging: counter!("edge_lagging_total"),
        spent: counter!("edge_credit_spent_total"),
        gaps: counter!("edge_gaps_total"),
        stale_answers: counter!("edge_stale_answers_total"),
        rollbacks: counter!("edge_rollbacks_total"),
        presence_watched: gauge!("edge_presence_watched"),
        presence_told: counter!("edge_presence_frames_total"),
        presence_behind: counter!("edge_presence_behind_total"),
        presence_writes: counter!("edge_presence_writes_total", "outcome" => "stored"),
        presence_write_failures: counter!("edge_presence_writes_total", "outcome" => "failed"),
        presence_reads: counter!("edge_presence_reads_total"),
        presence_dead: counter!("edge_presence_dead_nodes_total"),
        presence_renamed: counter!("edge_presence_renamed_total"),
        presence_lifecycle: counter!("edge_presence_lifecycle_events_total"),
        foreign: counter!("edge_foreign_messages_total"),
    }
});

/// What each counter counts.
const COUNTERS: [(&str, &str); 32] = [
    (
        "edge_deliveries_total",
        "events put into outboxes, live, from the stream, or ephemeral",
    ),
    (
        "edge_publishes_total",
        "publishes by outcome: stored, duplicate, passed_on or gate_dropped (ephemeral), or the error's code",
    ),
    ("edge_refusals_total", "commands refused, by error code"),
    (
        "edge_closes_total",
        "sessions ended, by close code or reason",
    ),
    (
        "edge_withdrawn_total",
        "subscriptions ended because a new token does not allow them, by error code",
    ),
    (
        "edge_rejected_connections_total",
        "connections turned away, by reason",
    ),
    (
        "edge_accepts_paced_total",
        "times that accepting waited for the node's pace",
    ),
    (
        "edge_breaks_total",
        "breaks of a channel's chain that were found",
    ),
    (
        "edge_repaired_events_total",
        "events put back from the stream",
    ),
    (
        "edge_probes_total",
        "channels whose tail was compared with the stream",
    ),
    (
        "edge_probe_failures_total",
        "channels whose tail could not be compared with the stream",
    ),
    (
        "edge_probe_findings_total",
        "channels whose tail was behind",
    ),
    (
        "edge_held_dropped_total",
        "live deliveries dropped while a repair's hold was full",
    ),
    (
        "edge_lagging_total",
        "subscriptions paused because an outbox was full",
    ),
    (
        "edge_credit_spent_total",
        "subscriptions paused because their clients had granted no more",
    ),
    (
        "edge_payloads_total",
        "payloads put into outboxes, live; deliveries for each of them is how far they share one",
    ),
    (
        "edge_resumes_total",
        "subscriptions from a position: exact, with a gap, or refused, by error code",
    ),
    ("edge_gaps_total", "gaps announced"),
    (
        "edge_stale_answers_total",
        "answers of a stream's leader that were older than what is known",
    ),
    (
        "edge_rollbacks_total",
        "channels whose stream has lost events that were relayed",
    ),
    (
        "edge_foreign_messages_total",
        "fan-out messages that no stream republished",
    ),
    (
        "edge_http_answers_total",
        "requests over HTTP that were answered, by status",
    ),
    (
        "edge_history_events_total",
        "events read for pages of history",
    ),
    (
        "edge_ephemeral_dropped_total",
        "ephemeral events that gave way to newer ones, because a client takes too few",
    ),
    (
        "edge_presence_frames_total",
        "frames about who is on a channel, put into outboxes",
    ),
    (
        "edge_presence_behind_total",
        "times that a watcher's outbox had no room for who came or went",
    ),
    (
        "edge_presence_writes_total",
        "entries of presence, by outcome: stored or failed",
    ),
    (
        "edge_presence_reads_total",
        "channels whose presence was read for who watches it",
    ),
    (
        "edge_presence_dead_nodes_total",
        "nodes that this one has marked as dead",
    ),
    (
        "edge_presence_lifecycle_events_total",
        "events that tell that a channel is occupied or vacated",
    ),
    (
        "edge_presence_renamed_total",
        "times that this node was taken for dead, and wrote its members anew",
    ),
    (
        "edge_ephemeral_conflated_total",
        "ephemeral events that a newer one of their key stands for, in the queue of a client",
    ),
];

fn describe() {
    for (name, counts) in COUNTERS {
        describe_counter!(name, counts);
    }
    describe_gauge!("edge_connections", "sessions that are open");
    describe_gauge!(
        "edge_presence_watched",
        "channels that are watched for presence"
    );
    describe_gauge!("edge_feeds", "channels that are relayed");
    describe_histogram!("edge_batch_events", "events in one commit");
    describe_histogram!("edge_publish_seconds", "from command to acknowledgement");
    describe_histogram!(
        "edge_delivery_seconds",
        "from an edge's accepting an event to its going to the subscribers of this node, by both clocks"
    );
}

/// The handles. The recorder must have been installed before the first call.
pub fn meters() -> &'static Meters {
    &METERS
}

/// A command was refused.
pub fn refused(code: ErrorCode) {
    counter!("edge_refusals_total", "code" => code_text(code)).increment(1);
}

/// A subscription began, or could not begin, where its client stood before.
pub fn resumed(outcome: Result<bool, ErrorCode>) {
    let outcome = match outcome {
        Ok(false) => "exact".to_owned(),
        Ok(true) => "gap".to_owned(),
        Err(code) => code_text(code),
    };
    counter!("edge_resumes_total", "outcome" => outcome).increment(1);
}

/// A publish was refused.
pub fn publish_refused(code: ErrorCode) {
    counter!("edge_publishes_total", "outcome" => code_text(code)).increment(1);
}

/// A subscription was ended that its client had not left.
pub fn withdrawn(code: ErrorCode) {
    counter!("edge_withdrawn_total", "code" => code_text(code)).increment(1);
}

/// The server closed a session.
pub fn closed(code: CloseCode) {
    counter!("edge_closes_total", "code" => code.reason()).increment(1);
}

/// A session ended without a close of ours.
pub fn ended(reason: &'static str) {
    counter!("edge_closes_total", "code" => reason).increment(1);
}

/// A connection was turned away.
pub fn turned_away(reason: &'static str) {
    counter!("edge_rejected_connections_total", "reason" => reason).increment(1);
}

/// A request over HTTP was answered.
pub fn http_answered(status: u16) {
    counter!("edge_http_answers_total", "status" => status.to_string()).increment(1);
}

fn code_text(code: ErrorCode) -> String {
    serde_json::to_value(code)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
