//! What functions tell whoever publishes from a shell: that an event did not pass.
//!
//! Owns the subscription to the client's own outcomes. A function that lets an event
//! pass says nothing, so silence is taken for consent after a while.

use std::time::Duration;

use protocol::frame::{Event, Named, Published, Start, StoredIn};
use protocol::outcome::{OutcomeEvent, OutcomeKind};

use crate::error::{CliError, EXIT_FAILED};
use crate::output::{Output, harmless};
use client::{Client, ClientError, Delivery, Subscription, data_of};

/// How long a function may be silent: tens of times longer than it takes to answer,
/// and still no wait for a person. What it retries for longer is told on the channel
/// only.
const SILENCE_MAX: Duration = Duration::from_millis(500);

/// Outcomes of what this client publishes.
pub(super) struct Outcomes {
    subscription: Subscription,
    gated: bool,
}

impl Outcomes {
    /// Listens from now on to outcomes of events in the channel's namespace.
    ///
    /// # Errors
    /// The node refuses, or the client has ended.
    pub(super) async fn of(client: &Client, channel: &str) -> Result<Self, ClientError> {
        let prefix = client.session().outcome_prefix;
        let told = format!("{prefix}.{}", channel.split('.').next().unwrap_or_default());
        let subscription = client.subscribe(&told, Start::Named(Named::Now)).await?;
        Ok(Self {
            subscription,
            gated: false,
        })
    }

    /// Notes an ack: only what goes through a function has an outcome.
    pub(super) fn expect(&mut self, published: &Published) {
        self.gated |= published.stored_in == StoredIn::Ingress;
    }

    /// Tells every outcome, until the functions are silent.
    ///
    /// # Errors
    /// One, if any event did not pass.
    pub(super) async fn tell(mut self, output: &Output) -> Result<(), CliError> {
        let mut stopped = 0;
        while self.gated
            && let Ok(Some(delivery)) =
                tokio::time::timeout(SILENCE_MAX, self.subscription.next()).await
        {
            if let Delivery::Event { event, .. } = delivery? {
                stopped += u64::from(show(&event, output)?);
            }
        }
        match stopped {
            0 => Ok(()),
            1 => Err(CliError::new(EXIT_FAILED, "the event did not pass")),
            many => Err(CliError::new(
                EXIT_FAILED,
                format!("{many} events did not pass"),
            )),
        }
    }
}

/// Whether it was the outcome of an event that did not pass.
fn show(event: &Event, output: &Output) -> Result<bool, CliError> {
    let data = data_of(event).unwrap_or_default();
    let Ok(outcome) = serde_json::from_slice::<OutcomeEvent>(&data) else {
        return Ok(false);
    };
    output.result(&outcome, || line(&outcome))?;
    Ok(true)
}

fn line(outcome: &OutcomeEvent) -> String {
    let what = match outcome.outcome {
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
        };
        let line = line(&outcome);
        let expected = ":7 was rejected by document-gate: update is\\nmissing";
        assert!(line.ends_with(expected), "{line}");
    }
}
