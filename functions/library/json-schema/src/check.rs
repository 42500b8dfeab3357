//! Holds a document against a schema.
//!
//! Owns nothing but what it remembers of one value while it looks at it. Must not know
//! how a schema was read, nor events.

use std::collections::BTreeSet;

use json_tree::{Node, Place};

use crate::schema::{Id, ListRule, ObjectRule, Rule, SameRule, Schema};

/// A rule that a document breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Where in the document: a JSON pointer.
    pub place: String,
    /// Which rule: a JSON pointer into the schema.
    pub rule: String,
    /// What should be there.
    pub problem: String,
}

/// What the rules of a schema have looked at in one value, if they obey.
#[derive(Debug, Default)]
struct Seen {
    items: BTreeSet<usize>,
    names: BTreeSet<String>,
}

impl Seen {
    fn add(&mut self, mut other: Self) {
        self.items.append(&mut other.items);
        self.names.append(&mut other.names);
    }
}

/// A rule is broken here, or further inside.
enum Fault {
    Here(String),
    Inside(Broken),
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Self::Inside(broken)
    }
}

impl Schema {
    /// Holds a document against the schema.
    ///
    /// # Errors
    /// The first rule, in the order of the schema, that it breaks.
    pub fn check(&self, node: &Node<'_>) -> Result<(), Broken> {
        self.check_part(0, node, &Place::Root).map(drop)
    }

    fn check_part(&self, id: Id, node: &Node<'_>, place: &Place<'_>) -> Result<Seen, Broken> {
        let part = &self.parts[id];
        let mut seen = Seen::default();
        for (keyword, rule) in &part.rules {
            let result = match rule {
                Rule::Never => Err(Fault::Here("is not allowed".into())),
                Rule::Value(rule) => rule.check(node).map_err(Fault::Here),
                Rule::List(rule) => self.check_list(rule, node, place, &mut seen),
                Rule::Object(rule) => self.check_object(rule, node, place, &mut seen),
                Rule::Same(rule) => self.check_same(rule, node, place, &mut seen),
            };
            result.map_err(|fault| match fault {
                Fault::Inside(broken) => broken,
                Fault::Here(problem) => Broken {
                    place: place.to_string(),
                    rule: match rule {
                        Rule::Never => part.place.clone(),
                        _ => format!("{}/{keyword}", part.place),
                    },
                    problem,
                },
            })?;
        }
        Ok(seen)
    }

    fn check_list(
        &self,
        rule: &ListRule,
        node: &Node<'_>,
        place: &Place<'_>,
        seen: &mut Seen,
    ) -> Result<(), Fault> {
        let Node::List(items) = node else {
            return Ok(());
        };
        let check = |id: Id, at: usize| self.check_part(id, &items[at], &Place::Item(place, at));
        let mut obey = |id: Id, at: usize| -> Result<(), Fault> {
            check(id, at)?;
            if self.remembers {
                seen.items.insert(at);
            }
            Ok(())
        };
        match rule {
            ListRule::First(ids) => {
                let mut pairs = ids.iter().zip(0..items.len());
                pairs.try_for_each(|(id, at)| obey(*id, at))
            }
            ListRule::Rest(first, id) => (*first..items.len()).try_for_each(|at| obey(*id, at)),
            ListRule::Unevaluated(id) => {
                let left: Vec<_> = (0..items.len())
                    .filter(|at| !seen.items.contains(at))
                    .collect();
                for at in left {
                    check(*id, at)?;
                    seen.items.insert(at);
                }
                Ok(())
            }
            ListRule::Contains { id, min, max } => {
                let fit: Vec<_> = (0..items.len())
                    .filter(|at| check(*id, *at).is_ok())
                    .collect();
                let found = u64::try_from(fit.len()).unwrap_or(u64::MAX);
                if found < *min || found > *max {
                    return Err(Fault::Here(contains(found, *min, *max)));
                }
                if self.remembers {
                    seen.items.extend(fit);
                }
                Ok(())
            }
        }
    }

    fn check_object(
        &self,
        rule: &ObjectRule,
        node: &Node<'_>,
        place: &Place<'_>,
        seen: &mut Seen,
    ) -> Result<(), Fault> {
        let Node::Object(members) = node else {
            return Ok(());
        };
        for (name, member) in members {
            let inside = Place::Member(place, name);
            let ids: Vec<Id> = match rule {
                ObjectRule::Named(parts) => parts.get(&**name).copied().into_iter().collect(),
                ObjectRule::Patterns(patterns) => patterns
                    .iter()
                    .filter(|(pattern, _)| pattern.is_match(name))
                    .map(|(_, id)| *id)
                    .collect(),
                ObjectRule::Additional {
                    names,
                    patterns,
                    id,
                } => {
                    let known = names.iter().any(|known| known == name)
                        || patterns.iter().any(|pattern| pattern.is_match(name));
                    if known { vec![] } else { vec![*id] }
                }
                ObjectRule::Unevaluated(id) => {
                    let known = seen.names.contains(&**name);
                    if known { vec![] } else { vec![*id] }
                }
                ObjectRule::Names(id) => {
                    self.check_part(*id, &Node::Text(name.clone()), &inside)?;
                    continue;
                }
            };
            for id in &ids {
                self.check_part(*id, member, &inside)?;
            }
            if self.remembers && !ids.is_empty() {
                seen.names.insert(name.to_string());
            }
        }
        Ok(())
    }

    fn check_same(
        &self,
        rule: &SameRule,
        node: &Node<'_>,
        place: &Place<'_>,
        seen: &mut Seen,
    ) -> Result<(), Fault> {
        let check = |id: Id| self.check_part(id, node, place);
        match rule {
            SameRule::All(ids) => {
                for id in ids {
                    seen.add(check(*id)?);
                }
            }
            SameRule::Any(ids) => self.check_any(ids, &check, seen)?,
            SameRule::One(ids) => {
                let mut fit = ids.iter().filter_map(|id| check(*id).ok());
                let first = fit.next();
                let first = first.ok_or_else(|| Fault::Here("fits none of the schemas".into()))?;
                if fit.next().is_some() {
                    return Err(Fault::Here("fits more than one of the schemas".into()));
                }
                seen.add(first);
            }
            SameRule::Not(id) => {
                if check(*id).is_ok() {
                    return Err(Fault::Here("fits the schema that it must not fit".into()));
                }
            }
            SameRule::If(id, then, otherwise) => {
                let branch = match check(*id) {
                    Ok(condition) => {
                        seen.add(condition);
                        then
                    }
                    Err(_) => otherwise,
                };
                if let Some(id) = branch {
                    seen.add(check(*id)?);
                }
            }
            SameRule::Dependent(dependents) => {
                let there = dependents
                    .iter()
                    .filter(|(name, _)| node.member(name).is_some());
                for (_, id) in there {
                    seen.add(check(*id)?);
                }
            }
        }
        Ok(())
    }

    fn check_any(
        &self,
        ids: &[Id],
        check: &dyn Fn(Id) -> Result<Seen, Broken>,
        seen: &mut Seen,
    ) -> Result<(), Fault> {
        let mut fits = false;
        for id in ids {
            if let Ok(other) = check(*id) {
                fits = true;
                seen.add(other);
                // What the others look at is only of interest to a rule that asks.
                if !self.remembers {
                    break;
                }
            }
        }
        if fits {
            Ok(())
        } else {
            Err(Fault::Here("fits none of the schemas".into()))
        }
    }
}

fn contains(found: u64, min: u64, max: u64) -> String {
    if found < min {
        format!("{found} items fit, fewer than {min}")
    } else {
        format!("{found} items fit, more than {max}")
    }
}
