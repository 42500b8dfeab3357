//! Reads a schema: JSON Schema, draft 2020-12, by what its keywords say.
//!
//! Whatever would not be obeyed is refused, with its place: a keyword that is not known
//! is more often a slip of the pen than a remark. References lead to a place in the same
//! schema; nothing is fetched.
//!
//! Owns the parts until all are read. Must not know the data that they are held against.

use std::collections::BTreeMap;
use std::fmt;

use json_tree::Node;

use crate::pattern;
use crate::schema::{Id, ListRule, ObjectRule, Part, Rule, SameRule, Schema};
use crate::value;

/// The only dialect, as `$schema` names it.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Most schemas in a row that are held against the same value, one inside the other:
/// with the depth of a document they make up the stack of a check.
pub const SAME_MAX: usize = 32;
/// Keywords that ask for nothing. `format` is a remark in this draft.
const REMARKS: &[&str] = &[
    "$comment",
    "$schema",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "$defs",
    "definitions",
];
/// Keywords that another one reads.
const BESIDE: &[&str] = &["then", "else", "minContains", "maxContains"];

/// Why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// Where: a JSON pointer into the schema.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:?}: {}", self.place, self.problem)
    }
}

impl std::error::Error for SchemaError {}

/// Reads a schema.
///
/// # Errors
/// [`SchemaError`] names the place.
pub fn compile(root: &Node<'_>) -> Result<Schema, SchemaError> {
    let mut compiler = Compiler {
        root,
        known: BTreeMap::new(),
        schema: Schema::default(),
    };
    if let Some(dialect) = root.member("$schema") {
        let same = dialect.text().map(|text| text.trim_end_matches('#'));
        if same != Some(DIALECT) {
            return Err(wrong("/$schema", format!("must be {DIALECT}")));
        }
    }
    compiler.part(String::new(), root)?;
    compiler.check_circles()?;
    Ok(compiler.schema)
}

fn wrong(place: impl Into<String>, problem: impl Into<String>) -> SchemaError {
    SchemaError {
        place: place.into(),
        problem: problem.into(),
    }
}

fn below(place: &str, step: impl fmt::Display) -> String {
    let step = step.to_string().replace('~', "~0").replace('/', "~1");
    format!("{place}/{step}")
}

struct Compiler<'a> {
    root: &'a Node<'a>,
    /// The parts that are read, or being read, by place.
    known: BTreeMap<String, Id>,
    schema: Schema,
}

impl<'a> Compiler<'a> {
    fn part(&mut self, place: String, node: &'a Node<'a>) -> Result<Id, SchemaError> {
        if let Some(id) = self.known.get(&place) {
            return Ok(*id);
        }
        let id = self.schema.parts.len();
        self.known.insert(place.clone(), id);
        self.schema.parts.push(Part::default());
        let mut rules = Vec::new();
        match node {
            Node::Bool(true) => {}
            Node::Bool(false) => rules.push((String::new(), Rule::Never)),
            Node::Object(members) => {
                for (keyword, value) in members {
                    let rule = self.rule(&place, node, keyword, value)?;
                    rules.extend(rule.map(|rule| (keyword.clone().into_owned(), rule)));
                }
            }
            _ => return Err(wrong(place, "a schema is an object, or true, or false")),
        }
        rules.sort_by_key(|(keyword, _)| keyword.starts_with("unevaluated"));
        self.schema.parts[id] = Part { place, rules };
        Ok(id)
    }

    fn rule(
        &mut self,
        place: &str,
        schema: &'a Node<'a>,
        keyword: &str,
        value: &'a Node<'a>,
    ) -> Result<Option<Rule>, SchemaError> {
        let here = below(place, keyword);
        let read = value::read(keyword, value).map_err(|problem| wrong(&here, problem))?;
        if let Some(rule) = read {
            return Ok(Some(Rule::Value(rule)));
        }
        if let Some(rule) = self.list_rule(&here, schema, keyword, value)? {
            return Ok(Some(Rule::List(rule)));
        }
        if let Some(rule) = self.object_rule(&here, schema, keyword, value)? {
            return Ok(Some(Rule::Object(rule)));
        }
        if let Some(rule) = self.same_rule(place, schema, keyword, value)? {
            return Ok(Some(Rule::Same(rule)));
        }
        let known = REMARKS.contains(&keyword)
            || BESIDE.contains(&keyword)
            || keyword.starts_with("x-")
            || (keyword == "$id" && place.is_empty());
        if known {
            return Ok(None);
        }
        Err(wrong(here, "this keyword is not supported"))
    }

    fn list_rule(
        &mut self,
        here: &str,
        schema: &'a Node<'a>,
        keyword: &str,
        value: &'a Node<'a>,
    ) -> Result<Option<ListRule>, SchemaError> {
        let beside = |name: &str| {
            let count = schema.member(name).map(value::count).transpose();
            count.map_err(|problem| wrong(here, format!("{name} {problem}")))
        };
        Ok(Some(match keyword {
            "prefixItems" => ListRule::First(self.all(here, value)?),
            "items" => {
                let first = match schema.member("prefixItems") {
                    Some(Node::List(items)) => items.len(),
                    _ => 0,
                };
                ListRule::Rest(first, self.part(here.to_owned(), value)?)
            }
            "contains" => ListRule::Contains {
                id: self.part(here.to_owned(), value)?,
                min: beside("minContains")?.unwrap_or(1),
                max: beside("maxContains")?.unwrap_or(u64::MAX),
            },
            "unevaluatedItems" => {
                self.schema.remembers = true;
                ListRule::Unevaluated(self.part(here.to_owned(), value)?)
            }
            _ => return Ok(None),
        }))
    }

    fn object_rule(
        &mut self,
        here: &str,
        schema: &'a Node<'a>,
        keyword: &str,
        value: &'a Node<'a>,
    ) -> Result<Option<ObjectRule>, SchemaError> {
        Ok(Some(match keyword {
            "properties" => ObjectRule::Named(self.each(here, value)?.into_iter().collect()),
            "patternProperties" => {
                let parts = self.each(here, value)?.into_iter();
                let parts = parts.map(|(name, id)| Ok((read_pattern(here, &name)?, id)));
                ObjectRule::Patterns(parts.collect::<Result<_, SchemaError>>()?)
            }
            "additionalProperties" => {
                let names = |keyword| match schema.member(keyword) {
                    Some(Node::Object(members)) => {
                        members.iter().map(|(name, _)| name.to_string()).collect()
                    }
                    _ => Vec::new(),
                };
                let patterns = names("patternProperties");
                let patterns = patterns.iter().map(|name| read_pattern(here, name));
                ObjectRule::Additional {
                    names: names("properties"),
                    patterns: patterns.collect::<Result<_, _>>()?,
                    id: self.part(here.to_owned(), value)?,
                }
            }
            "propertyNames" => ObjectRule::Names(self.part(here.to_owned(), value)?),
            "unevaluatedProperties" => {
                self.schema.remembers = true;
                ObjectRule::Unevaluated(self.part(here.to_owned(), value)?)
            }
            _ => return Ok(None),
        }))
    }

    fn same_rule(
        &mut self,
        place: &str,
        schema: &'a Node<'a>,
        keyword: &str,
        value: &'a Node<'a>,
    ) -> Result<Option<SameRule>, SchemaError> {
        let here = below(place, keyword);
        let mut beside = |keyword: &str| {
            let node = schema.member(keyword);
            node.map(|node| self.part(below(place, keyword), node))
                .transpose()
        };
        Ok(Some(match keyword {
            "if" => {
                let (then, otherwise) = (beside("then")?, beside("else")?);
                SameRule::If(self.part(here, value)?, then, otherwise)
            }
            "$ref" => SameRule::All(vec![self.reference(&here, value)?]),
            "allOf" => SameRule::All(self.all(&here, value)?),
            "anyOf" => SameRule::Any(self.all(&here, value)?),
            "oneOf" => SameRule::One(self.all(&here, value)?),
            "not" => SameRule::Not(self.part(here, value)?),
            "dependentSchemas" => SameRule::Dependent(self.each(&here, value)?),
            _ => return Ok(None),
        }))
    }

    /// The schemas of an array.
    fn all(&mut self, here: &str, value: &'a Node<'a>) -> Result<Vec<Id>, SchemaError> {
        let Node::List(items) = value else {
            return Err(wrong(here, "must be an array of schemas"));
        };
        let items = items.iter().enumerate();
        items
            .map(|(at, item)| self.part(below(here, at), item))
            .collect()
    }

    /// The schemas of an object, by name.
    fn each(&mut self, here: &str, value: &'a Node<'a>) -> Result<Vec<(String, Id)>, SchemaError> {
        let Node::Object(members) = value else {
            return Err(wrong(here, "must be an object of schemas"));
        };
        members
            .iter()
            .map(|(name, node)| Ok((name.to_string(), self.part(below(here, name), node)?)))
            .collect()
    }

    fn reference(&mut self, here: &str, value: &Node<'_>) -> Result<Id, SchemaError> {
        let target = value
            .text()
            .ok_or_else(|| wrong(here, "must be a string"))?;
        let own = self
            .root
            .member("$id")
            .and_then(Node::text)
            .unwrap_or_default();
        let local = target
            .strip_prefix(own.trim_end_matches('#'))
            .unwrap_or(target);
        let pointer = match local.strip_prefix('#') {
            Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => pointer,
            _ => {
                return Err(wrong(
                    here,
                    format!("{target:?} does not lead to a place in this schema (\"#/...\")"),
                ));
            }
        };
        let pointer = decode_percent(pointer);
        let root = self.root;
        let node = root.pointer(&pointer);
        let node = node.ok_or_else(|| wrong(here, format!("there is nothing at {target:?}")))?;
        self.part(pointer, node)
    }

    /// No schema may lead to itself for the same value, and not by too long a way.
    fn check_circles(&self) -> Result<(), SchemaError> {
        let mut depths = vec![None; self.schema.parts.len()];
        (0..depths.len()).try_for_each(|id| self.depth(id, 0, &mut depths).map(drop))
    }

    fn depth(
        &self,
        id: Id,
        above: usize,
        depths: &mut Vec<Option<usize>>,
    ) -> Result<usize, SchemaError> {
        if let Some(depth) = depths[id] {
            return Ok(depth);
        }
        let part = &self.schema.parts[id];
        if above > SAME_MAX {
            return Err(wrong(
                &part.place,
                format!("it holds itself, or over {SAME_MAX} others, against the same value"),
            ));
        }
        let mut deepest = 0;
        for (_, rule) in &part.rules {
            if let Rule::Same(rule) = rule {
                for inner in rule.ids() {
                    deepest = deepest.max(1 + self.depth(inner, above + 1, depths)?);
                }
            }
        }
        depths[id] = Some(deepest);
        if deepest > SAME_MAX {
            return Err(wrong(
                &part.place,
                format!("it holds over {SAME_MAX} others against the same value"),
            ));
        }
        Ok(deepest)
    }
}

fn read_pattern(here: &str, text: &str) -> Result<regex::Regex, SchemaError> {
    pattern::read(text).map_err(|problem| wrong(below(here, text), problem))
}

/// A fragment of a URI without its percent signs; one that is wrong stays as it is.
fn decode_percent(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| fragment.to_owned())
}
