//! What becomes of events that somebody publishes from a shell into a namespace with a
//! gate: whether they passed, and if not, why.
//!
//! Owns the subscriptions to the client's own outcomes and to the channel itself, where
//! what passes comes back, and the list of events of which nothing is known yet.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::frame::{Event, Named, Published, Start, StoredIn};
use protocol::outcome::{OutcomeEvent, OutcomeKind};
use protocol::position::Source;
use serde::Serialize;
use tokio::time::Instant;

use crate::error::{CliError, EXIT_FAILED};
use crate::output::{Output, harmless};
use client::{Client, ClientError, Delivery, Subscription, data_of};

/// How long a function may be silent where the token may not see what passes: tens of
/// times longer than it takes to answer, and still no wait for a person.
const SILENCE_MAX: Duration = Duration::from_millis(500);
/// Events that something has come of before their ack, at most: some times what is
/// published without waiting for an ack.
const EARLY_MAX: usize = 2_048;

/// What becomes of what this client publishes.
pub(super) struct Outcomes {
    told: Subscription,
    /// The channel; `None` where the token may not subscribe to it.
    channel: Option<Subscription>,
    /// Whether the gate tells what has passed.
    receipts: bool,
    /// How long to wait for the last of them.
    wait: Duration,
    gated: bool,
    /// Sequences in INGRESS of events of which nothing has come yet.
    awaited: BTreeSet<u64>,
    /// Those of which something has come before their ack.
    early: BTreeSet<u64>,
    /// The highest one with an ack.
    acked: u64,
    /// This client's name as a writer.
    client: Option<String>,
    stopped: usize,
}

/// An event that has passed its gate.
#[derive(Serialize)]
struct Passed<'a> {
    /// The channel.
    passed: &'a str,
    /// Its sequence in INGRESS.
    source: u64,
    /// Its sequence in EVENTS.
    seq: u64,
    function: &'a str,
}

/// What a gate has told of an event that passed.
#[derive(Serialize)]
struct Receipt<'a> {
    /// Its sequence in INGRESS.
    source: u64,
    function: &'a str,
    /// What the gate made of it.
    outputs: Vec<Place<'a>>,
}

/// Where an output is.
#[derive(Serialize)]
struct Place<'a> {
    /// Its sequence in EVENTS.
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of((seq, channel): (u64, Option<&'a str>)) -> Self {
        Self { seq, channel }
    }
}

impl Receipt<'_> {
    fn line(&self) -> String {
        let places = self.outputs.iter().map(|place| match place.channel {
            Some(channel) => format!("{} on {}", place.seq, harmless(channel)),
            None => place.seq.to_string(),
        });
        let (source, function) = (self.source, harmless(self.function));
        let places: Vec<String> = places.collect();
        format!(
            "{source} has passed {function} and is {} in events",
            places.join(", ")
        )
    }
}

impl Outcomes {
    /// Listens from now on to what becomes of events on a channel; `wait` is how long the
    /// last of them may take, and with `receipts` their gate tells what has passed.
    ///
    /// # Errors
    /// The node refuses, or the client has ended.
    pub(super) async fn of(
        client: &Client,
        channel: &str,
        wait: Duration,
        receipts: bool,
    ) -> Result<Self, ClientError> {
        let now = || Start::Named(Named::Now);
        let prefix = client.session().outcome_prefix;
        let told = format!("{prefix}.{}", channel.split('.').next().unwrap_or_default());
        let told = client.subscribe(&told, now()).await?;
        let channel = match receipts {
            true => None,
            false => match client.subscribe(channel, now()).await {
                Ok(subscription) => Some(subscription),
                Err(ClientError::Refused(_)) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(Self {
            told,
            channel,
            receipts,
            wait,
            gated: false,
            awaited: BTreeSet::new(),
            early: BTreeSet::new(),
            acked: 0,
            client: prefix.rsplit('.').next().map(str::to_owned),
            stopped: 0,
        })
    }

    /// Notes an ack: only what goes through a function has an outcome, and what was
    /// stored before has had it.
    pub(super) fn expect(&mut self, published: &Published) {
        let gated = published.stored_in == StoredIn::Ingress;
        self.gated |= gated;
        if !gated {
            // Nothing passes anything: what is published need not come back.
            self.channel = None;
        }
        let seq = published.position.seq;
        self.acked = self.acked.max(seq);
        if gated && !published.duplicate && !self.early.remove(&seq) {
            self.awaited.insert(seq);
        }
    }

    /// The next delivery of either channel; for ever if nothing is delivered. Cancel
    /// safe.
    ///
    /// # Errors
    /// A channel is not delivered any more.
    pub(super) async fn next(&mut self) -> Result<Delivery, ClientError> {
        let Self { told, channel, .. } = self;
        let passed = async {
            match channel {
                Some(channel) => channel.next().await,
                None => None,
            }
        };
        // Both branches are cancel safe. An end without an error is the client's own.
        tokio::select! {
            Some(delivery) = told.next() => delivery,
            Some(delivery) = passed => delivery,
            else => std::future::pending().await,
        }
    }

    /// Tells a delivery, if it is about an event of ours.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn take(&mut self, delivery: &Delivery, output: &Output) -> Result<(), CliError> {
        let Delivery::Event { event, .. } = delivery else {
            return Ok(());
        };
        if event.channel == self.told.subscribed().channel {
            return self.outcome(event, output);
        }
        let source = event.source.as_deref().and_then(Source::parse);
        let is_mine = |source: &Source| source.stream.is_ingress() && event.client == self.client;
        let Some(source) = source.filter(is_mine) else {
            return Ok(());
        };
        // The first output of several tells; the others are the channel's business.
        if !self.settled(source.seq) {
            return Ok(());
        }
        let passed = Passed {
            passed: &event.channel,
            source: source.seq,
            seq: event.seq,
            function: event.function.as_deref().unwrap_or_default(),
        };
        output.result(&passed, || pass_line(&passed))
    }

    /// Notes that something has come of an event; whether it is the first thing.
    fn settled(&mut self, seq: u64) -> bool {
        if self.awaited.remove(&seq) {
            return true;
        }
        if seq <= self.acked {
            return false;
        }
        // A function may be faster than the ack.
        let first = self.early.insert(seq);
        if self.early.len() > EARLY_MAX {
            self.early.pop_first();
        }
        first
    }

    fn outcome(&mut self, event: &Event, output: &Output) -> Result<(), CliError> {
        let data = data_of(event).unwrap_or_default();
        let Ok(outcome) = serde_json::from_slice::<OutcomeEvent>(&data) else {
            return Ok(());
        };
        let first = self.settled(outcome.position.seq);
        let Some(outputs) = &outcome.outputs else {
            self.stopped += 1;
            return output.result(&outcome, || line(&outcome));
        };
        // Of a shell that has published before under this name, or twice.
        if !first {
            return Ok(());
        }
        let receipt = Receipt {
            source: outcome.position.seq,
            function: &outcome.function,
            outputs: outputs.places(event.seq).map(Place::of).collect(),
        };
        output.result(&receipt, || receipt.line())
    }

    /// Waits until something has come of every event.
    ///
    /// # Errors
    /// One, if an event did not pass, or nothing came of one in time.
    pub(super) async fn end(mut self, output: &Output) -> Result<(), CliError> {
        let mut deadline = Instant::now() + self.wait;
        let sees_all = self.receipts || self.channel.is_some();
        if !sees_all && self.gated && !self.wait.is_zero() {
            output.note("the token may not subscribe: only what does not pass is told");
        }
        while !self.awaited.is_empty() && !self.wait.is_zero() {
            if !sees_all {
                deadline = Instant::now() + SILENCE_MAX.min(self.wait);
            }
            let Ok(delivery) = tokio::time::timeout_at(deadline, self.next()).await else {
                break;
            };
            self.take(&delivery?, output)?;
        }
        let silent = match (sees_all, self.wait.is_zero()) {
            (true, false) => self.awaited.len(),
            _ => 0,
        };
        verdict(self.stopped, silent, self.wait)
    }
}

fn verdict(stopped: usize, silent: usize, waited: Duration) -> Result<(), CliError> {
    let failed = |text: String| CliError::new(EXIT_FAILED, text);
    match (stopped, silent) {
        (0, 0) => Ok(()),
        (1, 0) => Err(failed("the event did not pass".to_owned())),
        (many, 0) => Err(failed(format!("{many} events did not pass"))),
        (stopped, silent) => {
            let nothing = format!("nothing has come of {} within {waited:?}", events(silent));
            let text = match stopped {
                0 => nothing,
                stopped => format!("{} did not pass; {nothing}", events(stopped)),
            };
            let hint = "the function retries, has halted or is not deployed, or emits to other \
                        channels alone; --wait waits longer";
            Err(failed(text).hint(hint))
        }
    }
}

fn events(count: usize) -> String {
    match count {
        1 => "an event".to_owned(),
        many => format!("{many} events"),
    }
}

fn pass_line(passed: &Passed<'_>) -> String {
    let (source, seq, function) = (passed.source, passed.seq, harmless(passed.function));
    format!("{source} has passed {function} and is {seq} in events")
}

fn line(outcome: &OutcomeEvent) -> String {
    let what = match outcome.outcome {
        OutcomeKind::Passed => "passed",
        OutcomeKind::Dropped => "dropped",
        OutcomeKind::Rejected => "rejected",
        OutcomeKind::DeadLettered => "given up and kept as a dead letter",
    };
    let (place, function) = (&outcome.position, &outcome.function);
    let text = format!("{}:{} was {what} by {function}", place.epoch, place.seq);
    match outcome.reason.as_str() {
        "" => text,
        reason => format!("{text}: {}", harmless(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::position::{Epoch, Position};

    #[test]
    fn an_outcome_is_one_line_with_its_reason() {
        let outcome = OutcomeEvent {
            outcome: OutcomeKind::Rejected,
            id: "demo/dev/tab/1".into(),
            n: 1,
            channel: "doc.a".into(),
            position: Position {
                epoch: Epoch::from_random(1),
                seq: 7,
                time: None,
            },
            function: "document-gate".into(),
            reason: "update is\nmissing".into(),
            outputs: None,
        };
        let line = line(&outcome);
        let expected = ":7 was rejected by document-gate: update is\\nmissing";
        assert!(line.ends_with(expected), "{line}");
    }

    #[test]
    fn a_receipt_says_where_the_outputs_are() {
        let receipt = Receipt {
            source: 3,
            function: "gate",
            outputs: [(8, Some("doc.a")), (9, None)].map(Place::of).into(),
        };
        let line = "3 has passed gate and is 8 on doc.a, 9 in events";
        assert_eq!(receipt.line(), line);
        let json =
            r#"{"source":3,"function":"gate","outputs":[{"seq":8,"channel":"doc.a"},{"seq":9}]}"#;
        assert_eq!(serde_json::to_string(&receipt).unwrap(), json);
    }

    #[test]
    fn the_verdict_counts_what_did_not_pass_and_what_is_silent() {
        let check = |stopped, silent, expected: &str| {
            let said = verdict(stopped, silent, Duration::from_secs(10));
            let said = said.map_or_else(|error| error.message, |()| String::new());
            assert_eq!(said, expected);
        };
        check(0, 0, "");
        check(1, 0, "the event did not pass");
        check(2, 0, "2 events did not pass");
        check(0, 1, "nothing has come of an event within 10s");
        check(
            1,
            2,
            "an event did not pass; nothing has come of 2 events within 10s",
        );
    }
}
