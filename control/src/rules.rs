//! What may be configured and deployed beside what there is.
//!
//! Owns nothing: decisions from a spec and the landscape around it. It must not know
//! buckets.

use std::collections::BTreeSet;

use protocol::envelope::HOPS_MAX;
use protocol::name::{ChannelPattern, FunctionName, Namespace, StoreName};
use protocol::spec::{FunctionSpec, NamespaceSpec, Path, Schedule, SpecError, Trigger};

use crate::landscape::Landscape;

fn refuse<T>(field: &'static str, problem: String) -> Result<T, SpecError> {
    Err(SpecError { field, problem })
}

/// Judges a namespace that was `before`; tells what is accepted but not as it should be.
///
/// # Errors
/// [`SpecError`] names the field.
pub fn namespace(
    spec: &NamespaceSpec,
    before: Option<&NamespaceSpec>,
    land: &Landscape,
) -> Result<Vec<String>, SpecError> {
    spec.check()?;
    known_store(&spec.store, land)?;
    if let Some(before) = before {
        same_way(spec, before)?;
    }
    let Some(gate) = spec.gate() else {
        return Ok(Vec::new());
    };
    let Some(deployed) = land.functions.get(gate) else {
        return Ok(vec![format!(
            "{gate} is not deployed: events of {} are refused until it is",
            spec.name
        )]);
    };
    fits(spec, &deployed.spec)?;
    let paused = deployed.spec.paused.is_some();
    let told = format!("{gate} is paused: events of {} wait", spec.name);
    Ok(paused.then_some(told).into_iter().collect())
}

fn known_store(store: &StoreName, land: &Landscape) -> Result<(), SpecError> {
    if land.stores.contains_key(store) {
        return Ok(());
    }
    let known: Vec<&str> = land.stores.keys().map(StoreName::as_str).collect();
    let problem = format!("{store} is no store; there are: {}", known.join(", "));
    refuse("store", problem)
}

/// What is stored already stays in its order only while a namespace's way is the same.
fn same_way(spec: &NamespaceSpec, before: &NamespaceSpec) -> Result<(), SpecError> {
    let name = &spec.name;
    if spec.store != before.store {
        let problem = format!(
            "{name} lives in the store {} for good: make a namespace of another name there",
            before.store
        );
        return refuse("store", problem);
    }
    match (&before.path, &spec.path) {
        (one, other) if one == other => Ok(()),
        (Path::Function(gate), Path::Function(_)) => refuse(
            "gate",
            format!(
                "{name} passes {gate} for good: deploy other code under the name {gate}, or \
                 make a namespace of another name"
            ),
        ),
        (Path::Function(gate), Path::Direct) => refuse(
            "gate",
            format!("{name} passes {gate} for good: make a namespace of another name without one"),
        ),
        (Path::Direct, _) => refuse(
            "gate",
            format!("{name} has none for good: make a namespace of another name with one"),
        ),
    }
}

/// Whether a deployed function can be the gate of a namespace.
fn fits(namespace: &NamespaceSpec, gate: &FunctionSpec) -> Result<(), SpecError> {
    if !matches!(gate.trigger, Trigger::Gate) {
        let problem = format!(
            "{} is a function of the kind {}: a gate is deployed without channels or a schedule",
            gate.name,
            gate.trigger.kind()
        );
        return refuse("gate", problem);
    }
    if gate.store != namespace.store {
        let problem = format!(
            "{} handles the store {}, and {} lives in {}",
            gate.name, gate.store, namespace.name, namespace.store
        );
        return refuse("gate", problem);
    }
    Ok(())
}

/// Whether a namespace may be removed.
///
/// # Errors
/// [`SpecError`]: a function may emit to it, or has its ticks there.
pub fn removal_of_namespace(name: &Namespace, land: &Landscape) -> Result<(), SpecError> {
    let functions = land.functions.values().map(|entry| &entry.spec);
    let mut emitting = functions.clone().filter(|spec| {
        let mut named = emits(spec).filter_map(ChannelPattern::namespace);
        named.any(|named| named == *name)
    });
    if let Some(spec) = emitting.next() {
        let problem = format!(
            "{} may emit to {name}: deploy it without, or remove it first",
            spec.name
        );
        return refuse("name", problem);
    }
    let ticks = |spec: &&FunctionSpec| {
        let schedule = spec.schedule();
        schedule.is_some_and(|schedule| schedule.channel().namespace() == name.as_str())
    };
    match functions.clone().find(ticks) {
        None => Ok(()),
        Some(spec) => {
            let problem = format!("the ticks of {} go there: remove it first", spec.name);
            refuse("name", problem)
        }
    }
}

/// Whether a store may be removed.
///
/// # Errors
/// [`SpecError`]: a namespace lives in it, or a function handles it.
pub fn removal_of_store(name: &StoreName, land: &Landscape) -> Result<(), SpecError> {
    let namespaces = land.namespaces.values().map(|entry| &entry.spec);
    let mut namespaces = namespaces.filter(|spec| spec.store == *name);
    if let Some(spec) = namespaces.next() {
        let problem = format!(
            "the namespace {} lives in {name}: remove it first",
            spec.name
        );
        return refuse("name", problem);
    }
    let functions = land.functions.values().map(|entry| &entry.spec);
    let mut functions = functions.filter(|spec| spec.store == *name);
    match functions.next() {
        None => Ok(()),
        Some(spec) => {
            let problem = format!("the function {} handles {name}: remove it first", spec.name);
            refuse("name", problem)
        }
    }
}

/// Whether a function may be removed.
///
/// # Errors
/// [`SpecError`]: a namespace names it as its gate.
pub fn removal_of_function(name: &FunctionName, land: &Landscape) -> Result<(), SpecError> {
    let named: Vec<&str> = land
        .namespaces_of(name)
        .map(|spec| spec.name.as_str())
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let problem = format!(
        "{name} is the gate of {}: remove that first, or pause the function",
        named.join(", ")
    );
    refuse("name", problem)
}

/// Judges a function that was `before`; tells what is accepted but not as it should be.
///
/// # Errors
/// [`SpecError`] names the field.
pub fn function(
    spec: &FunctionSpec,
    before: Option<&FunctionSpec>,
    land: &Landscape,
) -> Result<Vec<String>, SpecError> {
    spec.check()?;
    known_store(&spec.store, land)?;
    if let Some(before) = before {
        same_place(spec, before)?;
    }
    for namespace in land.namespaces_of(&spec.name) {
        fits(namespace, spec).map_err(|SpecError { problem, .. }| SpecError {
            field: "on",
            problem: format!("{} names it as its gate: {problem}", namespace.name),
        })?;
    }
    for pattern in &spec.emits {
        destination(pattern, spec, land)?;
    }
    if let Some(schedule) = spec.schedule() {
        ticks(schedule, spec, land)?;
    }
    round(spec, land)?;
    sources(spec, land)
}

/// A function's checkpoints speak of one stream; only a new beginning does without them.
fn same_place(spec: &FunctionSpec, before: &FunctionSpec) -> Result<(), SpecError> {
    if spec.incarnation != before.incarnation {
        return Ok(());
    }
    let way = "deploy it under another name, or let it begin anew with --restart";
    let (kind, was) = (spec.trigger.kind(), before.trigger.kind());
    if kind != was {
        let kind = match &before.trigger {
            Trigger::Gate => "a gate",
            Trigger::Reactive(_) => "a reactive function",
            Trigger::Schedule(_) => "a function on a schedule",
        };
        return refuse("on", format!("{} has been {kind}: {way}", spec.name));
    }
    let channel = |spec: &FunctionSpec| {
        let schedule = spec.schedule()?;
        Some((schedule.tenant().clone(), schedule.channel().clone()))
    };
    // Whoever has the lane of its ticks knows which were made.
    if channel(spec) != channel(before) {
        let problem = format!("{} has its ticks elsewhere: {way}", spec.name);
        return refuse("schedule.channel", problem);
    }
    if spec.store != before.store {
        let problem = format!(
            "{} has handled the store {}: {way}",
            spec.name, before.store
        );
        return refuse("store", problem);
    }
    Ok(())
}

fn destination(
    pattern: &ChannelPattern,
    spec: &FunctionSpec,
    land: &Landscape,
) -> Result<(), SpecError> {
    let text = pattern.as_str();
    let Some(name) = pattern.namespace() else {
        return refuse("emits", format!("{text} must begin with a namespace"));
    };
    is_at_home("emits", (text, name.as_str()), spec, land)
}

/// Whether a channel, or a pattern, is of a namespace that there is, in the function's store.
fn is_at_home(
    field: &'static str,
    (text, name): (&str, &str),
    spec: &FunctionSpec,
    land: &Landscape,
) -> Result<(), SpecError> {
    let mut namespaces = land.namespaces.values().map(|entry| &entry.spec);
    let Some(namespace) = namespaces.find(|spec| spec.name.as_str() == name) else {
        let problem = format!("{text}: there is no namespace {name}; make it first");
        return refuse(field, problem);
    };
    if namespace.store != spec.store {
        let problem = format!(
            "{text}: {name} lives in the store {}, not in {}",
            namespace.store, spec.store
        );
        return refuse(field, problem);
    }
    Ok(())
}

/// Where the ticks go. Others may publish to the channel, and be handled by others: what
/// makes an event a tick is not its channel.
fn ticks(schedule: &Schedule, spec: &FunctionSpec, land: &Landscape) -> Result<(), SpecError> {
    let channel = schedule.channel();
    let of = (channel.as_str(), channel.namespace());
    is_at_home("schedule.channel", of, spec, land)
}

/// What a reactive function handles has to be there to be handled; a namespace may come
/// later.
fn sources(spec: &FunctionSpec, land: &Landscape) -> Result<Vec<String>, SpecError> {
    let on = match &spec.trigger {
        Trigger::Gate => return Ok(unused(spec, land)),
        Trigger::Reactive(on) => on,
        Trigger::Schedule(_) => return Ok(Vec::new()),
    };
    let mut notes = Vec::new();
    for pattern in on {
        let Some(name) = pattern.namespace() else {
            continue;
        };
        match land.namespaces.get(&name) {
            None => notes.push(format!("{pattern}: there is no namespace {name} yet")),
            Some(namespace) if namespace.spec.store != spec.store => {
                let home = &namespace.spec.store;
                let problem = format!(
                    "{pattern}: {name} lives in the store {home}, not in {}",
                    spec.store
                );
                return refuse("on", problem);
            }
            Some(_) => {}
        }
    }
    Ok(notes)
}

fn unused(spec: &FunctionSpec, land: &Landscape) -> Vec<String> {
    if land.namespaces_of(&spec.name).next().is_some() {
        return Vec::new();
    }
    let name = &spec.name;
    vec![format!(
        "no namespace names {name} as its gate yet: `eddyline namespace apply NAME --gate {name}`"
    )]
}

/// Refuses a circle of functions that none of them has declared.
fn round(spec: &FunctionSpec, land: &Landscape) -> Result<(), SpecError> {
    if spec.loops {
        return Ok(());
    }
    let Some(way) = circle(spec, land) else {
        return Ok(());
    };
    let names: Vec<&str> = way.iter().map(|name| name.as_str()).collect();
    refuse(
        "emits",
        format!(
            "its events come back to it: {}; if that is meant, say so with `loops` (an event ends \
             behind {HOPS_MAX} functions)",
            names.join(" -> ")
        ),
    )
}

/// The way by which a function's own events come back to it through others. What it
/// stores itself it never handles, so it alone makes no circle.
fn circle<'a>(spec: &'a FunctionSpec, land: &'a Landscape) -> Option<Vec<&'a FunctionName>> {
    let others: Vec<&FunctionSpec> = land
        .functions
        .values()
        .map(|entry| &entry.spec)
        .filter(|other| other.name != spec.name && other.store == spec.store)
        .collect();
    let mut seen: BTreeSet<&FunctionName> = BTreeSet::new();
    let mut open: Vec<Vec<&FunctionSpec>> = vec![vec![spec]];
    while let Some(way) = open.pop() {
        let last = *way.last().expect("a way begins with the function itself");
        if way.len() > 1 && feeds(last, spec) {
            let names = way.iter().map(|spec| &spec.name);
            return Some(names.chain([&spec.name]).collect());
        }
        for next in others.iter().filter(|next| feeds(last, next)) {
            if seen.insert(&next.name) {
                open.push([way.as_slice(), &[*next]].concat());
            }
        }
    }
    None
}

/// Where a function may emit to, the version that is on trial included.
fn emits(spec: &FunctionSpec) -> impl Iterator<Item = &ChannelPattern> {
    let tried = spec.canary.iter();
    let tried = tried.flat_map(|canary| &canary.candidate.emits);
    spec.emits.iter().chain(tried)
}

/// Whether what one function may emit is handled by another.
fn feeds(one: &FunctionSpec, other: &FunctionSpec) -> bool {
    let Trigger::Reactive(on) = &other.trigger else {
        return false;
    };
    emits(one).any(|emit| on.iter().any(|on| on.overlaps(emit)))
}

#[cfg(test)]
mod tests;
