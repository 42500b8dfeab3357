//! Follows both streams of the function's store and prints what each input became.
//! Owns the journal.

use bus::{Bus, Reader, ReaderOptions};
use protocol::bus::Stored;
use protocol::stream::StreamName;
use tokio::time::{Instant, MissedTickBehavior};
use workbench::golden::record::{Outcome, Output as Emitted, Record};
use workbench::project::Project;

use super::super::failure::failed;
use super::super::journal::{Journal, WONDER};
use crate::error::CliError;
use crate::output::{Output, harmless};

/// Events of a pull: what a person can read of at once, many times over.
const BATCH: usize = 256;
/// Bytes of a pull.
const BATCH_BYTES: usize = 4 << 20;

/// Both streams, from now on.
pub(super) struct Follow {
    journal: Journal,
    ingress: Reader,
    events: Reader,
}

impl Follow {
    /// Begins behind what is stored now.
    pub(super) async fn new(bus: &Bus, project: &Project) -> Result<Self, CliError> {
        let store = &project.entry.store;
        Ok(Self {
            journal: Journal::new(project.name.clone(), &project.entry),
            ingress: reader(bus, &StreamName::ingress(store)).await?,
            events: reader(bus, &StreamName::events(store)).await?,
        })
    }

    /// Prints, until a stream cannot be read any more.
    pub(super) async fn run(mut self, output: &Output) -> Result<(), CliError> {
        let mut ticks = tokio::time::interval(WONDER / 5);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All branches are cancel safe: what was not returned comes with the next call.
            let batch = tokio::select! {
                batch = self.ingress.next_batch() => batch,
                batch = self.events.next_batch() => batch,
                _ = ticks.tick() => {
                    for text in self.journal.waiting(Instant::now()) {
                        output.note(&text);
                    }
                    continue;
                }
            };
            let batch: Vec<Stored> = batch.map_err(|error| failed(&error))?;
            for stored in batch {
                for record in self.journal.see(stored, Instant::now()) {
                    output.result(&record, || text(&record))?;
                }
            }
        }
    }
}

async fn reader(bus: &Bus, stream: &StreamName) -> Result<Reader, CliError> {
    let state = bus
        .stream_state(stream)
        .await
        .map_err(|error| failed(&error))?;
    let options = ReaderOptions {
        batch: BATCH,
        bytes_max: BATCH_BYTES,
    };
    let reader = bus.reader(stream, None, state.last_seq + 1, options).await;
    reader.map_err(|error| failed(&error))
}

/// An input on one line, and under it what it became.
fn text(record: &Record) -> String {
    let user = record.user.as_deref().map_or("-".into(), harmless);
    let raw = record.data.as_ref().map(|json| json.get().to_owned());
    let data = data(raw, record.text.as_deref(), record.base64.as_deref());
    let seq = record.seq.unwrap_or_default();
    let mut text = format!("{seq:>8}  {}  {user}  {data}\n", record.channel);
    let Some(becomes) = &record.becomes else {
        return text;
    };
    let mut row = |what: &str| text.push_str(&format!("          {what}\n"));
    let reason = becomes.reason.as_deref().map(harmless);
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    match becomes.outcome {
        Outcome::Ack if becomes.outputs.is_empty() => row("ack, nothing emitted"),
        Outcome::Ack => becomes
            .outputs
            .iter()
            .for_each(|output| row(&emitted(output))),
        Outcome::Drop => row(&format!("drop{reason}")),
        Outcome::Reject => row(&format!("reject{reason}")),
        Outcome::Retry => {
            let attempt = record.attempt.unwrap_or_default();
            row(&format!(
                "retry: attempt {attempt} did not settle it, its channel waits"
            ));
        }
        Outcome::Halt => row(&format!("halt{reason}")),
        Outcome::Fault => row(&format!("dead letter{reason}")),
    }
    text
}

fn emitted(output: &Emitted) -> String {
    let json = output.data.as_ref().map(ToString::to_string);
    let data = data(json, output.text.as_deref(), output.base64.as_deref());
    format!("ack -> {}  {data}", output.channel)
}

fn data(json: Option<String>, text: Option<&str>, base64: Option<&str>) -> String {
    match (json, text, base64) {
        (Some(json), ..) => harmless(&json),
        (None, Some(text), _) => harmless(text),
        (None, None, base64) => format!("base64:{}", base64.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        text(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn an_event_and_what_it_became_are_shown() {
        let ack = r#"{"channel":"shout.a","seq":7,"user":"dev","text":"hi",
            "becomes":{"outcome":"ack","outputs":[{"channel":"shout.a","text":"HI"}]}}"#;
        let expected = "       7  shout.a  dev  hi\n          ack -> shout.a  HI\n";
        assert_eq!(shown(ack), expected);
        let reject = r#"{"channel":"shout.a","seq":7,"data":{"a": 1},
            "becomes":{"outcome":"reject","reason":"too\nlong"}}"#;
        let expected = "       7  shout.a  -  {\"a\": 1}\n          reject: too\\nlong\n";
        assert_eq!(shown(reject), expected);
        let fault = r#"{"channel":"a","seq":1,"base64":"/w==","becomes":{"outcome":"fault"}}"#;
        assert!(shown(fault).ends_with("base64:/w==\n          dead letter\n"));
    }
}
