//! A gate that adds fields from tables in its settings, looked up by a field, the user,
//! the tenant or a token of the channel.
//!
//! Owns its tables. Must not know what they mean. It never overwrites what a publisher
//! wrote unless a rule says so; a rule that says so is how a field is made trustworthy.
//!
//! The page `README.md` beside this crate names the settings.

use std::collections::BTreeMap;

use json_tree::Node;
use sdk::{Config, Emitter, Event, Outcome, Worker, metrics};
use settings::{Data, OtherData, Settings, store};

mod rule;

use rule::{By, RuleSetting, Target};

/// The setting with the rules.
const ADD: &str = "add";
/// What the settings with tables begin with.
const TABLES: &str = "table.";
/// The key of a table's entry for what has none of its own.
const ANY: &str = "*";

type Table = BTreeMap<String, Node<'static>>;

struct Rule {
    table: String,
    by: By,
    into: Target,
    overwrite: bool,
    required: bool,
}

/// The gate.
pub struct Enrichment {
    tables: BTreeMap<String, Table>,
    rules: Vec<Rule>,
    other_data: OtherData,
}

impl Worker for Enrichment {
    fn init(config: &Config) -> Result<Self, String> {
        let settings = Settings::new(config, &[ADD, TABLES, "other_data"])?;
        let tables = settings.group(TABLES).map(|(name, text)| {
            let key = format!("{TABLES}{name}");
            Ok((name.to_owned(), table(&key, text)?))
        });
        let tables: BTreeMap<_, _> = tables.collect::<Result<_, String>>()?;
        let rules: Vec<RuleSetting> = settings.json(ADD)?;
        if rules.is_empty() {
            return Err(Settings::wrong(ADD, "has no rule"));
        }
        let rules = rules.into_iter().enumerate().map(|(at, rule)| {
            let read = read_rule(rule, &tables);
            read.map_err(|error| Settings::wrong(ADD, format!("rule {}: {error}", at + 1)))
        });
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            tables,
            other_data: OtherData::of_json(&settings, OtherData::Reject)?,
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let mut document = match self.other_data.read(event, out) {
            Data::Json(node) => node,
            Data::Text(_) => return Outcome::reject("not json"),
            Data::Settled(outcome) => return outcome,
        };
        if !matches!(document, Node::Object(_)) {
            return match self.other_data {
                OtherData::Pass => out.pass(),
                OtherData::Reject | OtherData::Text => Outcome::reject("must be an object"),
            };
        }
        let (mut set, mut kept, mut missed) = (0, 0, 0);
        for rule in &self.rules {
            let Some(entry) = self.entry(rule, event, &document) else {
                if rule.required {
                    metrics::count("rejected", 1);
                    return Outcome::reject(format!("nothing is known about its {}", rule.by));
                }
                missed += 1;
                continue;
            };
            let (more, left) = rule.into.put(&mut document, entry, rule.overwrite);
            set += more;
            kept += left;
        }
        let counts = [("added", set), ("kept", kept), ("missed", missed)];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            metrics::count(name, count);
        }
        if set == 0 {
            return out.pass();
        }
        store(&document, out)
    }
}

impl Enrichment {
    fn entry(&self, rule: &Rule, event: &Event<'_>, document: &Node<'_>) -> Option<&Node<'static>> {
        let table = self.tables.get(&rule.table)?;
        let key = rule.by.key(event, document);
        key.and_then(|key| table.get(key))
            .or_else(|| table.get(ANY))
    }
}

fn table(key: &str, text: &str) -> Result<Table, String> {
    match Settings::tree(key, text)?.into_owned() {
        Node::Object(members) => Ok(members
            .into_iter()
            .map(|(name, node)| (name.into_owned(), node))
            .collect()),
        _ => Err(Settings::wrong(key, "must be an object")),
    }
}

fn read_rule(rule: RuleSetting, tables: &BTreeMap<String, Table>) -> Result<Rule, String> {
    let into = Target::read(rule.into.as_deref())?;
    let table = tables.get(&rule.table);
    let table = table.ok_or_else(|| format!("there is no {TABLES}{}", rule.table))?;
    let odd = table
        .iter()
        .find(|(_, entry)| !matches!(entry, Node::Object(_)));
    match odd {
        Some((key, _)) if into.is_root() => Err(format!(
            "the entry {key:?} of {TABLES}{} must be an object, or the rule say `into`",
            rule.table
        )),
        _ => Ok(Rule {
            by: By::read(&rule.by)?,
            table: rule.table,
            into,
            overwrite: rule.overwrite,
            required: rule.required,
        }),
    }
}

sdk::export!(Enrichment);

#[cfg(test)]
mod tests;
