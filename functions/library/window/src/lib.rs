//! A function that aggregates over windows of time: how many events came, and of a field
//! the sum, the smallest, the largest and the mean. A window's result is emitted when the
//! first event of a later window comes.
//!
//! Owns its settings; the window that is open is in the channel's memory. Must not know a
//! clock: time is that of the events, or a field of theirs.
//!
//! The page `README.md` beside this crate names the settings.

use std::str::FromStr;
use std::time::Duration;

use json_tree::Node;
use sdk::{Config, Emitter, Event, Outcome, State, Worker, metrics};
use settings::{OtherData, Refusal, Settings, Template, json};

mod tally;

use tally::{Tally, Value};

/// Under what the open window is remembered.
const OPEN: &str = "window";
/// How far the time that an event names may be ahead of the time of its storing, unless
/// set: one that is far ahead would make all that follow late.
const AHEAD: Duration = Duration::from_secs(60);
/// Microseconds in a millisecond.
const MS: u64 = 1_000;
const JSON: &str = "application/json";

/// What becomes of an event whose window is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    /// It passes, and is told in the result of the window that is open.
    Pass,
    Refuse(Refusal),
}

impl FromStr for Late {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("pass", _) => Ok(Self::Pass),
            (_, Ok(refusal)) => Ok(Self::Refuse(refusal)),
            (_, Err(_)) => Err("not one of pass, drop, reject"),
        }
    }
}

/// The function.
pub struct Window {
    every_ms: u64,
    to: Template,
    /// What is summed; without it, events are only counted.
    field: Option<String>,
    /// The field with an event's time; without it, when it was stored.
    time: Option<String>,
    ahead_ms: u64,
    keep: bool,
    late: Late,
    other_data: OtherData,
}

/// What an event says.
struct Reading {
    ms: u64,
    value: Option<Value>,
}

impl Worker for Window {
    fn init(config: &Config) -> Result<Self, String> {
        let keys = [
            "every",
            "to",
            "field",
            "time",
            "ahead",
            "keep",
            "late",
            "other_data",
        ];
        let settings = Settings::new(config, &keys)?;
        let set = |key| {
            settings
                .get(key)
                .ok_or_else(|| Settings::wrong(key, "is not set"))
        };
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        set("every")?;
        let every = settings.time("every")?.unwrap_or_default();
        let to = set("to")?;
        let to = Template::read(to)
            .map_err(|error| Settings::wrong("to", format!("{to:?}: {error}")))?;
        Ok(Self {
            every_ms: ms(every),
            to,
            field: pointer(&settings, "field")?,
            time: pointer(&settings, "time")?,
            ahead_ms: ms(settings.time("ahead")?.unwrap_or(AHEAD)),
            keep: settings.parse_or("keep", true)?,
            late: settings.parse_or("late", Late::Pass)?,
            other_data: OtherData::of_json(&settings, OtherData::Pass)?,
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let reading = match (self.read(event), self.other_data) {
            (Ok(reading), _) => reading,
            (Err(reason), OtherData::Reject) => return Outcome::reject(reason),
            (Err(_), _) => {
                metrics::count("skipped", 1);
                return self.pass(event, out);
            }
        };
        let state = State::of(event);
        let open = state.get(OPEN).and_then(|text| Tally::read(&text));
        let next = match open {
            Some(open) if reading.ms < open.from => {
                metrics::count("late", 1);
                if let Late::Refuse(refusal) = self.late {
                    return refusal.outcome(format!(
                        "late: the window of its time, {}, is over since {}",
                        reading.ms, open.from
                    ));
                }
                open.with_late()
            }
            Some(open) if reading.ms < open.to => open.with(reading.value),
            Some(over) => {
                if let Err(reason) = self.emit(&over, event, out) {
                    return Outcome::reject(reason);
                }
                Tally::new(reading.ms, self.every_ms).with(reading.value)
            }
            None => Tally::new(reading.ms, self.every_ms).with(reading.value),
        };
        if let Err(error) = state.put(OPEN, next.write()) {
            return Outcome::reject(error.to_string());
        }
        self.pass(event, out)
    }
}

impl Window {
    fn read(&self, event: &Event<'_>) -> Result<Reading, String> {
        let stored = event.time_us() / MS;
        if self.field.is_none() && self.time.is_none() {
            return Ok(Reading {
                ms: stored,
                value: None,
            });
        }
        let document = json(event)?;
        let ms = match &self.time {
            Some(pointer) => {
                let ms = number(&document, pointer)?.units(0);
                let ms = ms.and_then(|ms| u64::try_from(ms).ok());
                ms.ok_or_else(|| format!("its field {pointer:?} is no time in milliseconds"))?
            }
            None => stored,
        };
        if ms > stored.saturating_add(self.ahead_ms) {
            let ahead = self.ahead_ms;
            return Err(format!(
                "its time, {ms}, is over {ahead} ms ahead of {stored}"
            ));
        }
        let value = self.field.as_ref().map(|pointer| {
            let value = Value::new(&number(&document, pointer)?);
            value.ok_or_else(|| format!("its field {pointer:?} is over {}", Value::MAX))
        });
        Ok(Reading {
            ms,
            value: value.transpose()?,
        })
    }

    /// Emits the result of a window, of whose channel the event is.
    fn emit(&self, over: &Tally, event: &Event<'_>, out: &mut Emitter<'_>) -> Result<(), String> {
        let document = json(event).ok();
        let channel = self.to.fill(event, document.as_ref())?;
        metrics::count("windows", 1);
        let emission = out.emit().channel(channel.as_str()).content_type(JSON);
        emission.data(over.result(self.field.is_some()).as_bytes());
        Ok(())
    }

    fn pass(&self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        if self.keep {
            out.emit().inherit_headers().data(event.data());
        }
        Outcome::Ack
    }
}

fn number(document: &Node<'_>, pointer: &str) -> Result<json_tree::Decimal, String> {
    let number = document.pointer(pointer).and_then(Node::decimal);
    number.ok_or_else(|| format!("its field {pointer:?} is no number"))
}

fn pointer(settings: &Settings<'_>, key: &str) -> Result<Option<String>, String> {
    match settings.get(key) {
        Some(text) if !text.is_empty() && !text.starts_with('/') => {
            Err(Settings::wrong(key, format!("{text:?} is no JSON pointer")))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

sdk::export!(Window);

#[cfg(test)]
mod tests;
