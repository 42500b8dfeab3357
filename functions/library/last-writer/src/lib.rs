//! A gate that keeps one object for each channel and resolves conflicts: of two writes to
//! a field, or to the whole object, the one with the later version stays, in whatever
//! order they come. What is stored is the object as it is then.
//!
//! Owns its settings; the object is in the channel's memory. Must not know a clock: a
//! version is the time at which the event was stored, or what the event says.
//!
//! The page `README.md` beside this crate names the settings.

use std::str::FromStr;

use json_tree::{Decimal, Node};
use sdk::{Config, Emitter, Event, Outcome, State, Worker, metrics};
use settings::{Refusal, Settings, json, store};

mod merge;

use merge::{Members, Merged, Stamp};

/// Under what the object is remembered.
const OBJECT: &str = "object";
/// Most fields of an object, those that were taken away included.
const FIELDS_MAX: usize = 1_000;
/// Largest object as it is remembered, with its versions: half of a channel's memory, so
/// that an event with it is well under what a namespace allows.
const OBJECT_BYTES_MAX: usize = 64 << 10;
/// Longest version that an event may name, characters: any number of 128 bits.
const VERSION_CHARACTERS_MAX: usize = 40;

/// What is compared as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolve {
    /// Each member of the object.
    Fields,
    /// The object as a whole.
    Whole,
}

impl FromStr for Resolve {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "fields" => Ok(Self::Fields),
            "whole" => Ok(Self::Whole),
            _ => Err("not one of fields, whole"),
        }
    }
}

/// The gate.
pub struct LastWriter {
    resolve: Resolve,
    /// The member with an event's version; without it, the time of its storing.
    version: Option<String>,
    stale: Refusal,
}

impl Worker for LastWriter {
    fn init(config: &Config) -> Result<Self, String> {
        let settings = Settings::new(config, &["resolve", "version", "stale"])?;
        if settings.get("version") == Some("") {
            return Err(Settings::wrong("version", "names no member"));
        }
        Ok(Self {
            resolve: settings.parse_or("resolve", Resolve::Fields)?,
            version: settings.get("version").map(str::to_owned),
            stale: settings.parse_or("stale", Refusal::Drop)?,
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let read = json(event).and_then(|document| self.read(event, document));
        let (stamp, fields) = match read {
            Ok(read) => read,
            Err(reason) => return Outcome::reject(reason),
        };
        let state = State::of(event);
        let text = state.get(OBJECT).unwrap_or_default();
        let mut object = Merged::read(&text);
        let written = match self.resolve {
            Resolve::Fields => object.write_fields(&stamp, fields),
            Resolve::Whole => object.replace(&stamp, fields),
        };
        if written.stale > 0 {
            metrics::count("stale", written.stale);
        }
        if let (0, Some(newer)) = (written.fresh, written.newer) {
            return self.stale.outcome(newer);
        }
        let text = object.write();
        if object.len() > FIELDS_MAX || text.len() > OBJECT_BYTES_MAX {
            return Outcome::reject(format!(
                "the object would have over {FIELDS_MAX} fields or {OBJECT_BYTES_MAX} bytes"
            ));
        }
        if let Err(error) = state.put(OBJECT, text) {
            return Outcome::reject(error.to_string());
        }
        store(&object.show(self.version.as_deref()), out)
    }
}

impl LastWriter {
    /// The version of an event, and what it writes.
    fn read<'a>(
        &self,
        event: &Event<'_>,
        document: Node<'a>,
    ) -> Result<(Stamp, Members<'a>), String> {
        let Node::Object(mut fields) = document else {
            return Err("must be an object".into());
        };
        let version = match &self.version {
            None => event.time_us().to_string(),
            Some(name) => {
                let at = fields.iter().position(|(member, _)| member == name);
                let at = at.ok_or_else(|| format!("it has no member {name:?}"))?;
                let (_, version) = fields.remove(at);
                match version.decimal().map(|number| number.to_string()) {
                    Some(number) if number.len() <= VERSION_CHARACTERS_MAX => number,
                    _ => {
                        return Err(format!(
                            "its member {name:?} is no number of at most \
                             {VERSION_CHARACTERS_MAX} digits"
                        ));
                    }
                }
            }
        };
        if fields.is_empty() && self.resolve == Resolve::Fields {
            return Err("it writes no field".into());
        }
        let stamp = Stamp {
            version: Decimal::read(&version),
            user: event.publisher().to_owned(),
        };
        Ok((stamp, fields))
    }
}

sdk::export!(LastWriter);

#[cfg(test)]
mod tests;
