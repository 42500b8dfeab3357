//! A gate that puts the edits of a text in one order and transforms each to fit behind
//! those before it, so that everybody who applies what is stored has the same text.
//!
//! Owns its settings; the text and the edits of late are in the channel's memory. Must
//! not know who edits, nor what the text means.
//!
//! The page `README.md` beside this crate names the settings and says what a client does.

use json_tree::Node;
use sdk::{Config, Emitter, Event, Outcome, State, Worker, metrics};
use settings::{Settings, Template, json, store};

mod document;
mod operation;

use document::Document;
use operation::Operation;

/// Revisions from one snapshot to the next, unless set.
const EVERY: u64 = 100;
const JSON: &str = "application/json";

/// The gate.
pub struct TextSequencer {
    /// Where the whole text is emitted to from time to time, if anywhere.
    snapshots: Option<Template>,
    every: u64,
}

impl Worker for TextSequencer {
    fn init(config: &Config) -> Result<Self, String> {
        let settings = Settings::new(config, &["snapshots", "every"])?;
        let read = |text| {
            Template::read(text)
                .map_err(|error| Settings::wrong("snapshots", format!("{text:?}: {error}")))
        };
        let every = settings.parse_or("every", EVERY)?;
        if every == 0 {
            return Err(Settings::wrong("every", "must be at least 1"));
        }
        Ok(Self {
            snapshots: settings.get("snapshots").map(read).transpose()?,
            every,
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        match self.edit(event, out) {
            Ok(outcome) => outcome,
            Err(reason) => {
                metrics::count("rejected", 1);
                Outcome::reject(reason)
            }
        }
    }
}

impl TextSequencer {
    fn edit(&self, event: &Event<'_>, out: &mut Emitter<'_>) -> Result<Outcome, String> {
        let node = json(event)?;
        let base = node.member("base").and_then(Node::decimal);
        let base = base.and_then(|base| base.count());
        let base = base.ok_or("its base must be the number of a revision")?;
        let operation = node.member("ops").ok_or("it has no ops")?;
        let operation = Operation::read(operation).map_err(|error| format!("ops: {error}"))?;
        let mut document = Document::read(State::of(event));
        if base < document.revision() {
            metrics::count("transformed", 1);
        }
        let operation = document.apply(base, operation)?;
        let stored = store(&stamped(node, document.revision(), &operation), out);
        if document.revision().is_multiple_of(self.every)
            && let Some(to) = &self.snapshots
        {
            let channel = to.fill(event, None)?;
            let emission = out.emit().channel(channel.as_str()).content_type(JSON);
            let written = emission.write(|writer| document.snapshot().write(writer));
            written.map_err(|error| error.to_string())?;
        }
        Ok(stored)
    }
}

/// The event as it is stored: its revision in place of its base, its edit as it became,
/// and whatever else its publisher wrote.
fn stamped<'a>(node: Node<'a>, revision: u64, operation: &Operation) -> Node<'a> {
    let Node::Object(members) = node else {
        return node;
    };
    let members = members.into_iter().filter_map(|(name, node)| match &*name {
        "base" => Some(("revision".into(), Node::Number(revision.to_string().into()))),
        "ops" => Some((name, operation.node())),
        // A publisher does not say which revision it is.
        "revision" => None,
        _ => Some((name, node)),
    });
    Node::Object(members.collect())
}

sdk::export!(TextSequencer);

#[cfg(test)]
mod tests;
