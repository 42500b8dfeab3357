//! A gate with lists of words and phrases: rejects an event with a reason, masks what is
//! on a list, or flags the event by a header for those who look at it later.
//!
//! Owns its lists. Must not know languages: it compares words as readers take them in,
//! whole words unless a list says otherwise.
//!
//! The page `README.md` beside this crate names the settings.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use json_tree::{Fields, Node, Then, edit};
use sdk::{Config, Emitter, Event, Outcome, Worker, metrics};
use serde::Deserialize;
use settings::{Data, OtherData, Settings};

mod fold;
mod list;

use list::List;

/// What the settings with lists begin with.
const LISTS: &str = "list.";
/// The header with the names of the lists that flagged an event, unless set.
const FLAG: &str = "moderation";

/// What becomes of an event with something of a list in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Reject,
    Mask,
    Flag,
}

/// A list, as the settings have it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListSetting {
    action: Action,
    words: Vec<String>,
    #[serde(default)]
    reason: Option<String>,
}

struct Named {
    name: String,
    action: Action,
    reason: String,
    list: List,
}

/// The gate.
pub struct Moderation {
    lists: Vec<Named>,
    /// Where texts are looked at; everywhere if it is empty.
    fields: Fields,
    flag: String,
    other_data: OtherData,
}

/// What was found in one event.
#[derive(Default)]
struct Found<'a> {
    rejected: Option<&'a Named>,
    flagged: BTreeSet<&'a str>,
    masked: u64,
}

impl Worker for Moderation {
    fn init(config: &Config) -> Result<Self, String> {
        let keys = [LISTS, "fields", "flag_header", "other_data"];
        let settings = Settings::new(config, &keys)?;
        let fields: Vec<String> = settings.json("fields")?;
        let flag = settings.get("flag_header").unwrap_or(FLAG);
        if !is_header(flag) {
            return Err(Settings::wrong("flag_header", "must match [a-z0-9-]{1,64}"));
        }
        let lists = settings
            .group(LISTS)
            .map(|(name, _)| named(&settings, name));
        let lists: Vec<_> = lists.collect::<Result<_, _>>()?;
        if lists.is_empty() {
            return Err(Settings::wrong("list.<name>", "no list is set"));
        }
        Ok(Self {
            lists,
            fields: Fields::new(&fields).map_err(|error| Settings::wrong("fields", error))?,
            flag: flag.to_owned(),
            other_data: OtherData::of_texts(&settings, OtherData::Text)?,
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let mut found = Found::default();
        let mut data = None;
        match self.other_data.read(event, out) {
            Data::Json(mut node) => {
                self.moderate(&mut node, &mut found);
                if found.masked > 0 {
                    let mut bytes = Vec::with_capacity(event.data().len());
                    if let Err(error) = node.write(&mut bytes) {
                        return Outcome::reject(format!("cannot be written: {error}"));
                    }
                    data = Some(bytes);
                }
            }
            Data::Text(text) => data = self.text(text, &mut found).map(String::into_bytes),
            Data::Settled(outcome) => return outcome,
        }
        if let Some(list) = found.rejected {
            metrics::count("rejected", 1);
            return Outcome::reject(list.reason.clone());
        }
        if found.masked > 0 {
            metrics::count("masked", found.masked);
        }
        let mut emission = out.emit();
        // A publisher does not flag events, nor take a flag away.
        for (name, value) in event.headers().filter(|(name, _)| *name != self.flag) {
            emission = emission.header(name, value);
        }
        if !found.flagged.is_empty() {
            let names: Vec<_> = found.flagged.into_iter().collect();
            emission = emission.header(&self.flag, &names.join(" "));
            metrics::count("flagged", 1);
        }
        emission.data(data.as_deref().unwrap_or(event.data()));
        Outcome::Ack
    }
}

impl Moderation {
    fn moderate<'a>(&'a self, node: &mut Node<'_>, found: &mut Found<'a>) {
        edit(node, &mut |place, node| {
            let meant = self.fields.is_empty() || self.fields.contain(place);
            if meant
                && let Node::Text(text) = node
                && let Some(masked) = self.text(text, found)
            {
                *text = Cow::Owned(masked);
            }
            Then::Descend
        });
    }

    /// Looks at one text; returns it masked, if something is to be.
    fn text<'a>(&'a self, text: &str, found: &mut Found<'a>) -> Option<String> {
        let words = fold::words(text);
        let mut masks: Vec<Range<usize>> = Vec::new();
        for list in &self.lists {
            let mut ranges = list.list.find(&words);
            if ranges.is_empty() {
                continue;
            }
            match list.action {
                Action::Reject => found.rejected = found.rejected.or(Some(list)),
                Action::Mask => masks.append(&mut ranges),
                Action::Flag => {
                    found.flagged.insert(&list.name);
                }
            }
        }
        if masks.is_empty() {
            return None;
        }
        found.masked += 1;
        masks.sort_by_key(|range| range.start);
        Some(mask(text, &masks))
    }
}

/// A star for each character in the ranges, which come in the order of the text; white
/// space stays.
fn mask(text: &str, ranges: &[Range<usize>]) -> String {
    let mut ranges = ranges.iter().peekable();
    let mut end = 0;
    let star = |(at, letter): (usize, char)| {
        while let Some(range) = ranges.next_if(|range| range.start <= at) {
            end = end.max(range.end);
        }
        if at < end && !letter.is_whitespace() {
            '*'
        } else {
            letter
        }
    };
    text.char_indices().map(star).collect()
}

fn named(settings: &Settings<'_>, name: &str) -> Result<Named, String> {
    let key = format!("{LISTS}{name}");
    if !is_header(name) {
        return Err(Settings::wrong(
            key,
            "a list's name must match [a-z0-9-]{1,64}",
        ));
    }
    let setting: Option<ListSetting> = settings.json(&key)?;
    let setting = setting.ok_or_else(|| Settings::wrong(&key, "is null"))?;
    let list = List::new(&setting.words).map_err(|error| Settings::wrong(&key, error))?;
    let usual = || format!("it has words in it that are not allowed here ({name})");
    Ok(Named {
        name: name.to_owned(),
        action: setting.action,
        reason: setting.reason.unwrap_or_else(usual),
        list,
    })
}

fn is_header(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(known)
}

sdk::export!(Moderation);

#[cfg(test)]
mod tests;
