//! A gate that takes personal data out of events before they are stored for their
//! readers: in fields that the settings name, and in texts, where it is known by its
//! form.
//!
//! Owns its rules. Must not know what an event is about. What it cannot read it rejects
//! unless it is told otherwise, so that nothing passes by accident.
//!
//! The page `README.md` beside this crate names the settings.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use json_tree::{Node, Then, edit};
use sdk::{Config, Emitter, Event, Outcome, Worker, metrics};
use settings::{Data, OtherData, Settings};

mod find;
mod rules;
mod token;

use rules::{Counts, Rules};

/// The gate.
pub struct Redaction {
    rules: Rules,
    other_data: OtherData,
}

impl Worker for Redaction {
    fn init(config: &Config) -> Result<Self, String> {
        let settings = Settings::new(config, rules::KEYS)?;
        Ok(Self {
            rules: Rules::read(&settings)?,
            other_data: OtherData::of_texts(&settings, OtherData::Reject)?,
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let mut counts = Counts::new();
        let data = match self.other_data.read(event, out) {
            Data::Json(mut node) => self.redact_node(&mut node, &mut counts).then(|| {
                let mut bytes = Vec::with_capacity(event.data().len());
                node.write(&mut bytes).map(|()| bytes)
            }),
            Data::Text(text) => {
                let text = self.rules.redact_text(text, &mut counts);
                text.map(|text| Ok(text.into_bytes()))
            }
            Data::Settled(outcome) => return outcome,
        };
        let data = match data.transpose() {
            Ok(data) => data,
            Err(error) => return Outcome::reject(format!("cannot be written: {error}")),
        };
        let mut emission = out.emit();
        for (name, value) in event.headers() {
            let redacted = self.rules.redact_text(value, &mut counts);
            emission = emission.header(name, redacted.as_deref().unwrap_or(value));
        }
        emission.data(data.as_deref().unwrap_or(event.data()));
        for (name, count) in counts {
            metrics::count(name, count);
        }
        Outcome::Ack
    }
}

impl Redaction {
    /// Whether anything was redacted.
    fn redact_node<'a>(&self, node: &mut Node<'a>, counts: &mut Counts) -> bool {
        let before: u64 = counts.values().sum();
        edit(node, &mut |place, node| {
            if let Some(action) = self.rules.field(place) {
                *counts.entry("redacted_fields").or_default() += 1;
                return self.rules.apply(action, node);
            }
            match node {
                Node::Text(text) => {
                    if let Some(redacted) = self.rules.redact_text(text, counts) {
                        *text = Cow::Owned(redacted);
                    }
                }
                Node::Object(members) => self.redact_names(members, counts),
                _ => {}
            }
            Then::Descend
        });
        counts.values().sum::<u64>() > before
    }

    /// Names of members are texts too. Two that become the same get a number each, so
    /// that none is lost.
    fn redact_names<'a>(&self, members: &mut [(Cow<'a, str>, Node<'a>)], counts: &mut Counts) {
        let redacted: Vec<_> = members
            .iter()
            .map(|(name, _)| self.rules.redact_text(name, counts))
            .collect();
        if redacted.iter().all(Option::is_none) {
            return;
        }
        let mut taken: BTreeSet<String> = members
            .iter()
            .zip(&redacted)
            .filter(|(_, redacted)| redacted.is_none())
            .map(|((name, _), _)| name.to_string())
            .collect();
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for ((name, _), redacted) in members.iter_mut().zip(redacted) {
            let Some(redacted) = redacted else {
                continue;
            };
            let number = last.entry(redacted.clone()).or_default();
            let mut unique = redacted.clone();
            while !taken.insert(unique.clone()) {
                *number += 1;
                unique = format!("{redacted} {}", *number + 1);
            }
            *name = Cow::Owned(unique);
        }
    }
}

sdk::export!(Redaction);

#[cfg(test)]
mod tests;
