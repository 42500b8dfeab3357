//! `eddyline namespace`: where channels live, and what their events pass.

use control::{Landscape, NamespaceDraft};
use protocol::class::Classes;
use protocol::name::{ChannelPattern, FunctionName, Namespace, StoreName};
use protocol::spec::{FunctionSpec, NamespaceSpec, Trigger};
use serde::Serialize;
use service::clock;

use crate::args::namespace::{ApplyNamespace, ListNamespaces, NamedNamespace, NamespaceCommand};
use crate::error::{CliError, EXIT_FAILED};
use crate::nats;
use crate::output::Output;
use crate::table::{Table, when};

/// Does one of them.
///
/// # Errors
/// Those of the command.
pub async fn run(command: NamespaceCommand, output: &Output) -> Result<(), CliError> {
    match command {
        NamespaceCommand::Apply(args) => apply(&args, output).await,
        NamespaceCommand::List(args) => list(&args, output).await,
        NamespaceCommand::Show(args) => show(&args, output).await,
        NamespaceCommand::Remove(args) => remove(&args, output).await,
    }
}

#[derive(Serialize)]
struct Applied<'a> {
    namespace: &'a NamespaceSpec,
    created: bool,
    changed: bool,
    notes: &'a [String],
}

async fn apply(args: &ApplyNamespace, output: &Output) -> Result<(), CliError> {
    let draft = NamespaceDraft {
        name: nats::name(&args.name)?,
        store: nats::name::<StoreName>(&args.store)?,
        gate: args.gate.as_deref().map(nats::name).transpose()?,
        classes: Classes::of(&args.class).ok(),
        conflate: args.conflate.clone(),
        batch_ms: args.batch,
        quota_bytes: args.quota,
        presence: args.presence,
    };
    let deployer = nats::deployer(&args.nats).await?;
    let applied = deployer.apply_namespace(draft).await?;
    let name = &applied.spec.name;
    let told = Applied {
        namespace: &applied.spec,
        created: applied.created,
        changed: applied.changed,
        notes: &applied.notes,
    };
    output.result(&told, || match (applied.created, applied.spec.gate()) {
        (true, None) => format!("{name} is made: publish to {name}.ANYTHING"),
        (true, Some(gate)) => format!("{name} is made: what is published to it passes {gate}"),
        (false, _) if applied.changed => {
            let conflated = applied.spec.conflate.as_ref();
            let conflated = conflated.map_or(String::new(), |by| format!(", conflated by {by}"));
            let classes = applied.spec.classes;
            let batch = match applied.spec.batch_ms {
                0 => String::new(),
                ms => format!(", delivered {ms} ms together"),
            };
            let presence = presence_text(&applied.spec);
            format!(
                "{name} allows {classes} events from now on{conflated}{batch}; presence: {presence}"
            )
        }
        (false, _) => format!("{name} is there already, and the same"),
    })?;
    for note in &applied.notes {
        output.note(&format!("note: {note}"));
    }
    Ok(())
}

async fn list(args: &ListNamespaces, output: &Output) -> Result<(), CliError> {
    let deployer = nats::deployer(&args.nats).await?;
    let land = deployer.landscape().await?;
    nats::tell_unreadable(&land, output);
    let specs = land.namespaces.values().map(|entry| &entry.spec);
    if output.is_json() {
        for spec in specs {
            output.result(spec, String::new)?;
        }
        return Ok(());
    }
    if land.namespaces.is_empty() {
        output.note("there is no namespace; `eddyline namespace apply NAME` makes one");
        return Ok(());
    }
    let (mut table, now_us) = (
        Table::new(&["NAME", "STORE", "GATE", "CLASSES", "PRESENCE", "MADE"]),
        clock::now_us(),
    );
    for spec in specs {
        table.row([
            spec.name.to_string(),
            spec.store.to_string(),
            spec.gate()
                .map_or("-".to_owned(), |gate| gate_state(gate, &land)),
            spec.classes.to_string(),
            presence_text(spec),
            when(spec.written.as_ref(), now_us),
        ]);
    }
    output.text(&table.text())
}

fn presence_text(spec: &NamespaceSpec) -> String {
    spec.presence
        .map_or("off".to_owned(), |presence| presence.to_string())
}

fn gate_state(gate: &FunctionName, land: &Landscape) -> String {
    match land.functions.get(gate) {
        None => format!("{gate} (not deployed)"),
        Some(entry) if entry.spec.paused.is_some() => format!("{gate} (paused)"),
        Some(_) => gate.to_string(),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    namespace: &'a NamespaceSpec,
    /// Functions that handle its stored events.
    handled_by: Vec<&'a str>,
    /// Functions that may emit to it, or have their ticks there.
    emitted_to_by: Vec<&'a str>,
}

async fn show(args: &NamedNamespace, output: &Output) -> Result<(), CliError> {
    let name: Namespace = nats::name(&args.name)?;
    let deployer = nats::deployer(&args.nats).await?;
    let land = deployer.landscape().await?;
    let Some(entry) = land.namespaces.get(&name) else {
        let text = format!("there is no namespace {name}");
        return Err(CliError::new(EXIT_FAILED, text).hint("`eddyline namespace list` lists them"));
    };
    let spec = &entry.spec;
    let of = |pattern: &ChannelPattern| pattern.namespace().is_none_or(|of| of == name);
    let functions = || land.functions.values().map(|entry| &entry.spec);
    let handled = functions().filter(|function| {
        let on = match &function.trigger {
            Trigger::Gate | Trigger::Schedule(_) => return false,
            Trigger::Reactive(on) => on,
        };
        function.store == spec.store && on.iter().any(of)
    });
    let ticks = |function: &FunctionSpec| {
        let schedule = function.schedule();
        schedule.is_some_and(|schedule| schedule.channel().namespace() == name.as_str())
    };
    let emitting = functions().filter(|function| function.emits.iter().any(of) || ticks(function));
    let shown = Shown {
        namespace: spec,
        handled_by: handled.map(|function| function.name.as_str()).collect(),
        emitted_to_by: emitting.map(|function| function.name.as_str()).collect(),
    };
    output.result(&shown, || text(&shown, &land))
}

fn text(shown: &Shown<'_>, land: &Landscape) -> String {
    let spec = shown.namespace;
    let mut table = Table::new(&[spec.name.as_str(), ""]);
    let mut row = |name: &str, value: String| table.row([format!("  {name}"), value]);
    row("store", spec.store.to_string());
    let gate = spec.gate();
    row(
        "gate",
        gate.map_or("-".to_owned(), |gate| gate_state(gate, land)),
    );
    row("classes", spec.classes.to_string());
    if let Some(header) = &spec.conflate {
        row("conflated by", header.clone());
    }
    if spec.batch_ms > 0 {
        row("delivered together", format!("{} ms", spec.batch_ms));
    }
    if let Some(bytes) = spec.quota_bytes {
        row("quota of a tenant", format!("{bytes} bytes"));
    }
    row("presence", presence_text(spec));
    row("made", when(spec.written.as_ref(), clock::now_us()));
    for (name, functions) in [
        ("handled by", &shown.handled_by),
        ("emitted to by", &shown.emitted_to_by),
    ] {
        if !functions.is_empty() {
            row(name, functions.join(", "));
        }
    }
    table.text()
}

async fn remove(args: &NamedNamespace, output: &Output) -> Result<(), CliError> {
    let name: Namespace = nats::name(&args.name)?;
    let deployer = nats::deployer(&args.nats).await?;
    let spec = deployer.remove_namespace(&name).await?;
    output.result(&spec, || {
        format!(
            "{name} is removed: nothing can be published to it; what is stored stays for as long \
             as the store {} keeps it",
            spec.store
        )
    })
}
