//! A function that emits an event to several channels, by rules: as a gate beside the
//! event itself, as a reactive function alone.
//!
//! Owns its rules. Must not know which channels it was granted; the host refuses what it
//! was not.
//!
//! The page `README.md` beside this crate names the settings.

use std::collections::BTreeMap;

use json_tree::Node;
use protocol::name::{Channel, ChannelPattern};
use sdk::{Config, Emitter, Event, Outcome, Worker, metrics};
use serde::Deserialize;
use serde_json::value::RawValue;
use settings::{OtherData, Settings, Template, json};

/// The setting with the rules.
const RULES: &str = "rules";
/// Most channels that one event goes to, its own left out, unless set.
const MAX: usize = 16;

/// A rule, as the settings have it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSetting {
    #[serde(default)]
    on: Option<String>,
    #[serde(default)]
    when: BTreeMap<String, Box<RawValue>>,
    to: Vec<String>,
}

struct Rule {
    /// The channels that it is for; all if there is none.
    on: Option<ChannelPattern>,
    /// JSON pointers, and the canonical text of what must be there.
    when: Vec<(String, String)>,
    to: Vec<Template>,
}

/// What becomes of an event whose channel cannot be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unnamed {
    Reject,
    Skip,
}

impl std::str::FromStr for Unnamed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "reject" => Ok(Self::Reject),
            "skip" => Ok(Self::Skip),
            _ => Err("not one of reject, skip"),
        }
    }
}

/// The function.
pub struct FanOut {
    rules: Vec<Rule>,
    keep: bool,
    max: usize,
    unnamed: Unnamed,
    other_data: OtherData,
}

impl Worker for FanOut {
    fn init(config: &Config) -> Result<Self, String> {
        let keys = [RULES, "keep", "max", "unnamed", "other_data"];
        let settings = Settings::new(config, &keys)?;
        let rules: Vec<RuleSetting> = settings.json(RULES)?;
        if rules.is_empty() {
            return Err(Settings::wrong(RULES, "has no rule"));
        }
        let rules = rules.into_iter().enumerate().map(|(at, rule)| {
            read_rule(rule)
                .map_err(|error| Settings::wrong(RULES, format!("rule {}: {error}", at + 1)))
        });
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            keep: settings.parse_or("keep", true)?,
            max: settings.parse_or("max", MAX)?,
            unnamed: settings.parse_or("unnamed", Unnamed::Reject)?,
            other_data: OtherData::of_json(&settings, OtherData::Pass)?,
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let document = match (self.other_data, json(event)) {
            (_, Ok(node)) => Some(node),
            // Rules that ask for no field are for every event.
            (OtherData::Pass, Err(_)) => None,
            (_, Err(reason)) => return Outcome::reject(reason),
        };
        let channels = match self.channels(event, document.as_ref()) {
            Ok(channels) => channels,
            Err(reason) => {
                metrics::count("rejected", 1);
                return Outcome::reject(reason);
            }
        };
        if !channels.is_empty() {
            metrics::count("emitted", channels.len() as u64);
        }
        if self.keep {
            out.emit().inherit_headers().data(event.data());
        } else if channels.is_empty() {
            return Outcome::drop("no rule is for it");
        }
        for channel in &channels {
            let emission = out.emit().channel(channel.as_str()).inherit_headers();
            emission.data(event.data());
        }
        Outcome::Ack
    }
}

impl FanOut {
    /// Where the event goes beside its own channel, each once.
    fn channels(
        &self,
        event: &Event<'_>,
        document: Option<&Node<'_>>,
    ) -> Result<Vec<Channel>, String> {
        let own = Channel::parse(event.channel()).map_err(|error| error.to_string())?;
        let rules = self.rules.iter().filter(|rule| rule.is_for(&own, document));
        let mut channels = Vec::new();
        for template in rules.flat_map(|rule| &rule.to) {
            match (template.fill(event, document), self.unnamed) {
                (Ok(channel), _) if channel == own || channels.contains(&channel) => {}
                (Ok(channel), _) => channels.push(channel),
                (Err(_), Unnamed::Skip) => metrics::count("unnamed", 1),
                (Err(reason), Unnamed::Reject) => return Err(reason),
            }
        }
        if channels.len() > self.max {
            let (found, max) = (channels.len(), self.max);
            return Err(format!("it goes to {found} channels, more than {max}"));
        }
        Ok(channels)
    }
}

impl Rule {
    fn is_for(&self, channel: &Channel, document: Option<&Node<'_>>) -> bool {
        let fits = |(pointer, wanted): &(String, String)| {
            let found = document.and_then(|document| document.pointer(pointer));
            found.is_some_and(|node| node.canonical() == *wanted)
        };
        self.on.as_ref().is_none_or(|on| on.matches(channel)) && self.when.iter().all(fits)
    }
}

fn read_rule(rule: RuleSetting) -> Result<Rule, String> {
    let on = rule.on.as_deref().map(ChannelPattern::parse).transpose();
    let when = rule.when.into_iter().map(|(pointer, value)| {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!("when: {pointer:?} is no JSON pointer"));
        }
        let node = json_tree::parse(value.get().as_bytes()).map_err(|error| error.to_string())?;
        Ok((pointer, node.canonical()))
    });
    let to = rule
        .to
        .iter()
        .map(|text| Template::read(text).map_err(|error| format!("to: {text:?}: {error}")));
    if rule.to.is_empty() {
        return Err("to: names no channel".into());
    }
    Ok(Rule {
        on: on.map_err(|error| format!("on: {error}"))?,
        when: when.collect::<Result<_, String>>()?,
        to: to.collect::<Result<_, String>>()?,
    })
}

sdk::export!(FanOut);

#[cfg(test)]
mod tests;
