//! `eddyline function dev`: a function at work on this machine. Built on save and
//! deployed; what each event became is shown as it happens. The stack is its own, without
//! mirror, or that of a running `dev`.
//!
//! - [`put`]: namespaces and the function, into the stack
//! - [`show`]: what the journal tells
//!
//! Owns the stack that it starts.

mod put;
mod show;

use std::convert::Infallible;

use bus::Bus;
use local::{Stack, StackOptions};
use running::{Claim, DevState, Which};
use service::shutdown::Shutdown;
use workbench::build::{BuildError, Built};
use workbench::project::Project;
use workbench::watch::{LOOK_INTERVAL, Watched};

use super::super::dev;
use super::build;
use super::failure;
use crate::args::author::FunctionDev;
use crate::args::nats::NatsArgs;
use crate::error::CliError;
use crate::nats;
use crate::output::Output;

/// The stack that is used.
struct Host {
    state: DevState,
    /// It, and the name under which others find it, where it is our own.
    own: Option<(Stack, Claim)>,
}

/// Runs until a signal comes.
///
/// # Errors
/// There is no function, or no stack.
pub(super) async fn run(
    args: FunctionDev,
    output: &Output,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    let project = failure::project(&args.project)?;
    let mut host = match host(args.dev.as_deref(), output, shutdown).await {
        Err(error) if shutdown.is_triggered() && error.message.is_empty() => return Ok(()),
        host => host?,
    };
    let outcome = work(&args, project, &mut host, output, shutdown).await;
    match host.own {
        None => outcome,
        Some((stack, claim)) => {
            drop(claim);
            output.note("stopping");
            let stopped = stack.stop().await.map_err(CliError::from);
            outcome.and(stopped)
        }
    }
}

/// Joins the `dev` that runs, or starts a stack without mirror.
async fn host(name: Option<&str>, output: &Output, shutdown: &Shutdown) -> Result<Host, CliError> {
    let which = Which {
        name,
        address: None,
    };
    if let Some(state) = running::find(&running::cache(), which)? {
        output.note(&format!("joining the running dev named {}", state.name));
        return Ok(Host { state, own: None });
    }
    let claim = Claim::take(&running::cache(), None)?;
    let options = StackOptions {
        // One node is enough for one person.
        edge_ports: vec![0],
        mirror: false,
        examples: false,
        ..StackOptions::default()
    };
    let stack = dev::start(options, output, shutdown).await?;
    for trouble in &stack.troubles {
        output.note(&format!("not serving: {trouble}"));
    }
    let state = dev::state(&stack, &dev::ready(&stack, claim.name()));
    claim.write(&state)?;
    let own = Some((stack, claim));
    Ok(Host { state, own })
}

async fn work(
    args: &FunctionDev,
    project: Project,
    host: &mut Host,
    output: &Output,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    let nats = NatsArgs {
        dev: Some(host.state.name.clone()),
        ..NatsArgs::default()
    };
    let bus = nats::connect(&nats).await?;
    let outcome = {
        let follow = show::Follow::new(&bus, &project).await?;
        // All branches are cancel safe: a build that is cut off ends its tools.
        tokio::select! {
            () = shutdown.triggered() => Ok(()),
            outcome = keep_building(args, project, host.state.name.clone(), &bus, output) => outcome,
            outcome = follow.run(output) => outcome,
            never = news(&mut host.own, output) => match never {},
        }
    };
    bus.drain().await;
    outcome
}

/// Tells what happens to the stack meanwhile.
async fn news(own: &mut Option<(Stack, Claim)>, output: &Output) -> Infallible {
    match own {
        None => std::future::pending().await,
        Some((stack, _)) => loop {
            output.note(&stack.news().await);
        },
    }
}

/// Builds and deploys, and again at each change. What does not build leaves the version
/// that runs.
async fn keep_building(
    args: &FunctionDev,
    mut project: Project,
    stack: String,
    bus: &Bus,
    output: &Output,
) -> Result<(), CliError> {
    let mut watched = Watched::new(&project.folder);
    let mut sources = Watched::new(&project.sources());
    let mut welcomed = false;
    loop {
        match once(&project, bus, output).await {
            Ok(()) if !welcomed => {
                output.note(&welcome(&project, &stack));
                welcomed = true;
            }
            Ok(()) => {}
            Err(error) => {
                output.note(&format!("error: {}", error.message));
                if let Some(hint) = &error.hint {
                    output.note(&format!("hint: {hint}"));
                }
                output.note(match welcomed {
                    true => "the version before goes on; waiting for a change",
                    false => "waiting for a change",
                });
            }
        }
        // Both are asked, so that neither keeps a change for later.
        while !(watched.changed() | sources.changed()) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        output.note("changed");
        match failure::project(&args.project) {
            Ok(changed) => project = changed,
            Err(error) => output.note(&format!("error: {}", error.message)),
        }
    }
}

async fn once(project: &Project, bus: &Bus, output: &Output) -> Result<(), CliError> {
    let built: Result<Built, BuildError> = build::build(project, output).await;
    let built = built.map_err(failure::of_build)?;
    put::put(bus, project, built, output).await
}

fn welcome(project: &Project, stack: &str) -> String {
    if let Some(schedule) = &project.entry.schedule {
        let times = schedule.times();
        return format!(
            "\nIt is called at its times ({times}). Every save builds it again. Ctrl-C ends it.\n"
        );
    }
    let which = match stack {
        running::NAME => String::new(),
        name => format!(" --dev {name}"),
    };
    let mut gated = project.app.namespaces.iter();
    let gated = gated.find(|(_, entry)| entry.gate.as_ref() == Some(&project.name));
    let reacts = project.entry.on.first();
    let reacts = reacts.map(|pattern| pattern.as_str().split('.').next().unwrap_or_default());
    let namespace = match (gated, reacts) {
        (Some((namespace, _)), _) => namespace.as_str(),
        (None, Some(first)) if first != "*" && first != ">" => first,
        _ => project.name.as_str(),
    };
    format!(
        "\nTry it in a second terminal:\n\n  eddyline pub {namespace}.a hello{which}\n\n\
         Every save builds it again. Ctrl-C ends it.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::app::App;

    fn project(json: &str) -> Project {
        let app: App = serde_json::from_str(json).unwrap();
        let (name, entry) = app.functions.iter().next().unwrap();
        Project {
            folder: ".".into(),
            name: name.clone(),
            entry: entry.clone(),
            app: app.clone(),
        }
    }

    #[test]
    fn the_welcome_names_a_channel_that_the_function_sees() {
        let gate = project(r#"{"namespaces":{"talk":{"gate":"shout"}},"functions":{"shout":{}}}"#);
        assert!(welcome(&gate, "dev").contains("eddyline pub talk.a hello\n"));
        assert!(welcome(&gate, "dev-2").contains("pub talk.a hello --dev dev-2\n"));
        let reactive = project(r#"{"functions":{"count":{"on":["chat.>"]}}}"#);
        assert!(welcome(&reactive, "dev").contains("eddyline pub chat.a hello\n"));
    }
}
