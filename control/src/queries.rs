//! What of the mirror a function's history is: which namespaces its inputs and its outputs
//! are in. Pure.
//!
//! JetStream is read whole; the mirror has a topic for each namespace, so they have to be
//! named: those that are there today.

use std::collections::{BTreeMap, BTreeSet};

use protocol::lane::LANES_DEFAULT;
use protocol::name::{ChannelPattern, Namespace};
use protocol::spec::{FunctionSpec, Path, Trigger};

use crate::landscape::Landscape;
use crate::mirror::{Asked, Query};

/// The parts of the mirror that a function's history is in.
#[derive(Debug)]
pub(crate) struct Queries {
    spec: FunctionSpec,
    lanes: u16,
    inputs: Vec<(ChannelPattern, bool)>,
    outputs: BTreeSet<Namespace>,
}

impl Queries {
    /// Those of a function, and of inputs on these channels if not of all.
    pub(crate) fn new(
        land: &Landscape,
        spec: &FunctionSpec,
        channel: Option<&ChannelPattern>,
    ) -> Self {
        let store = land.stores.get(&spec.store);
        let inputs = inputs(land, spec, channel);
        let own = inputs
            .iter()
            .filter_map(|(channels, _)| channels.namespace());
        // What was stored was emitted by versions that may have had other destinations.
        let now = land.functions.get(&spec.name).map(|entry| &entry.spec);
        let before = land.versions.get(&spec.name).into_iter().flatten();
        let versions = before.map(|(_, spec)| spec).chain(now).chain([spec]);
        let emits = versions.flat_map(|spec| &spec.emits);
        let outputs = own
            .chain(emits.flat_map(|pattern| covered(land, spec, pattern)))
            .collect();
        Self {
            lanes: store.map_or(LANES_DEFAULT, |store| store.lanes),
            inputs,
            outputs,
            spec: spec.clone(),
        }
    }

    /// Its inputs.
    pub(crate) fn inputs(&self) -> Vec<Query> {
        let asked = match self.is_gate() {
            true => Asked::Inputs,
            false => Asked::Events,
        };
        self.of_inputs(&asked)
    }

    /// What became of them, but for dead letters.
    pub(crate) fn told(&self) -> Vec<Query> {
        let outputs = self.outputs.iter().map(whole);
        let mut queries: Vec<_> = outputs
            .map(|channels| self.query(Asked::Events, &channels))
            .collect();
        if self.is_gate() {
            queries.extend(self.of_inputs(&Asked::Outcomes));
        }
        queries
    }

    /// Its dead letters.
    pub(crate) fn letters(&self) -> Vec<Query> {
        self.of_inputs(&Asked::DeadLetters(self.spec.name.clone()))
    }

    fn is_gate(&self) -> bool {
        matches!(self.spec.trigger, Trigger::Gate)
    }

    fn of_inputs(&self, asked: &Asked) -> Vec<Query> {
        let inputs = self.inputs.iter();
        inputs
            .map(|channels| self.query(asked.clone(), channels))
            .collect()
    }

    fn query(&self, asked: Asked, (channels, whole): &(ChannelPattern, bool)) -> Query {
        Query {
            asked,
            channels: channels.clone(),
            whole_namespace: *whole,
            store: self.spec.store.clone(),
            lanes: self.lanes,
        }
    }
}

/// The channels that inputs are on.
fn inputs(
    land: &Landscape,
    spec: &FunctionSpec,
    channel: Option<&ChannelPattern>,
) -> Vec<(ChannelPattern, bool)> {
    // Said by name, a namespace need not be the function's any more: its inputs were.
    if let Some(wanted) = channel.filter(|wanted| wanted.namespace().is_some()) {
        return vec![(wanted.clone(), false)];
    }
    let mut found: BTreeMap<Namespace, Vec<ChannelPattern>> = BTreeMap::new();
    match &spec.trigger {
        Trigger::Gate => {
            let entries = land.namespaces.values().map(|entry| &entry.spec);
            let gated = entries.filter(|entry| {
                entry.store == spec.store && entry.path == Path::Function(spec.name.clone())
            });
            found.extend(gated.map(|entry| (entry.name.clone(), Vec::new())));
        }
        Trigger::Reactive(patterns) => {
            for pattern in patterns {
                for namespace in covered(land, spec, pattern) {
                    found.entry(namespace).or_default().push(pattern.clone());
                }
            }
        }
        Trigger::Schedule(schedule) => {
            let ticks = ChannelPattern::parse(schedule.channel().as_str());
            return vec![(ticks.expect("a channel is a pattern"), false)];
        }
    }
    let channels = found.iter().map(|(name, patterns)| match &patterns[..] {
        [pattern] if pattern.namespace().is_some() => (pattern.clone(), false),
        _ => whole(name),
    });
    channels.collect()
}

/// The namespaces of a function's store that a pattern may cover channels of.
fn covered(land: &Landscape, spec: &FunctionSpec, pattern: &ChannelPattern) -> Vec<Namespace> {
    match pattern.namespace() {
        Some(namespace) => vec![namespace],
        None => {
            let entries = land.namespaces.values().map(|entry| &entry.spec);
            let own = entries.filter(|entry| entry.store == spec.store);
            own.map(|entry| entry.name.clone()).collect()
        }
    }
}

/// All channels of a namespace.
fn whole(namespace: &Namespace) -> (ChannelPattern, bool) {
    let pattern = ChannelPattern::parse(&format!("{namespace}.>"));
    (
        pattern.expect("a namespace and a wildcard are a pattern"),
        true,
    )
}

#[cfg(test)]
mod tests;
