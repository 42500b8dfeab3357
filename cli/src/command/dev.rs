//! `eddyline dev`: the whole stack on this machine, until Ctrl-C.

use std::os::unix::process::parent_id;
use std::sync::Arc;
use std::time::Duration;

use protocol::name::{Tenant, User};
use running::{Claim, DevState};
use serde::Serialize;
use service::shutdown::Shutdown;
use tokio::time::{Instant, MissedTickBehavior};

use crate::args::{Dev, StackArgs};
use crate::error::{CliError, sentence};
use crate::output::{Output, thousands};
use local::{OnStep, Stack, StackOptions, Status};

/// Name of the program.
const NAME: &str = "eddyline";
/// Tenant of the token that is printed.
pub(super) const TENANT: &str = "demo";
/// Its user.
const USER: &str = "dev";
/// What it allows: everything in its tenant.
pub(super) const SCOPES: [&str; 5] = [
    "publish:>",
    "subscribe:>",
    "replay:>",
    "inputs:>",
    "trace:>",
];
/// How long it is valid.
pub(super) const TOKEN_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the status is read.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Where everything is.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// The name of this `dev`.
    pub name: String,
    /// WebSocket addresses of the edge nodes.
    pub edges: Vec<String>,
    /// Metrics of each edge node; one process, so all say the same.
    pub metrics: Vec<String>,
    /// Address of the bridge's gRPC, if there is a mirror.
    pub grpc: Option<String>,
    /// Address of NATS.
    pub nats: String,
    /// Address of Kafka, if there is a mirror.
    pub kafka: Option<String>,
    /// Processes of NATS and of Kafka, where there are some of ours.
    pub processes: [Option<u32>; 2],
    /// Tenant of the token.
    pub tenant: String,
    /// User of the token.
    pub user: String,
    /// A token to try, valid for a day.
    pub token: String,
}

#[derive(Serialize)]
struct Told<'a> {
    ready: &'a Ready,
}

#[derive(Serialize)]
struct StatusTold {
    status: Status,
    delivered_per_second: u64,
}

/// Runs until a signal comes. Whatever ends by itself is started again.
///
/// # Errors
/// The stack does not start.
pub async fn run(args: Dev, output: &Output, shutdown: &Shutdown) -> Result<(), CliError> {
    let parent = args.with_parent.then(parent_id);
    let claim = Claim::take(&running::cache(), args.name.as_deref())?;
    let options = StackOptions {
        edge_ports: args.ports,
        grpc_port: args.grpc_port,
        mirror: !args.without_mirror,
        ..options(args.stack)
    };
    let mut stack = match start(options, output, shutdown).await {
        Err(error) if shutdown.is_triggered() && error.message.is_empty() => return Ok(()),
        started => started?,
    };
    let ready = ready(&stack, claim.name());
    let outcome = match claim.write(&state(&stack, &ready)) {
        Ok(()) => serve(&mut stack, &ready, parent, output, shutdown).await,
        Err(error) => Err(error.into()),
    };
    drop(claim);
    output.note("stopping");
    let stopped = stack.stop().await.map_err(CliError::from);
    outcome.and(stopped)
}

/// The options that arguments stand for.
pub(super) fn options(args: StackArgs) -> StackOptions {
    StackOptions {
        data: args.data,
        functions: args.functions,
        ..StackOptions::default()
    }
}

/// Starts a stack and shows the steps; a signal cuts it off.
pub(super) async fn start(
    options: StackOptions,
    output: &Output,
    shutdown: &Shutdown,
) -> Result<Stack, CliError> {
    // Steps come from other threads; a few fit, and one more than that is not worth
    // holding up a download for.
    let (steps, mut told) = tokio::sync::mpsc::channel::<String>(64);
    let on_step: OnStep = Arc::new(move |step: &str| drop(steps.try_send(step.to_owned())));
    let starting = Stack::start(options, on_step);
    tokio::pin!(starting);
    loop {
        // All branches are cancel safe but the start, which goes on until the end.
        tokio::select! {
            biased;
            Some(step) = told.recv() => output.note(&step),
            started = &mut starting => return Ok(started?),
            () = shutdown.triggered() => return Err(CliError::interrupted()),
        }
    }
}

/// What other commands are told of a stack.
pub(super) fn state(stack: &Stack, ready: &Ready) -> DevState {
    DevState {
        name: ready.name.clone(),
        edges: ready.edges.clone(),
        grpc: ready.grpc.clone(),
        nats: Some(ready.nats.clone()),
        token: ready.token.clone(),
        token_secret: stack.secret.expose().to_owned(),
    }
}

/// Where everything of a stack is.
pub(super) fn ready(stack: &Stack, name: &str) -> Ready {
    let tenant = Tenant::parse(TENANT).expect("a valid name");
    let user = User::parse(USER).expect("a valid name");
    Ready {
        name: name.to_owned(),
        edges: stack
            .edges
            .iter()
            .map(|edge| format!("ws://{edge}/v1/ws"))
            .collect(),
        metrics: stack
            .health
            .iter()
            .map(|address| format!("http://{address}/metrics"))
            .collect(),
        grpc: stack.grpc.map(|address| address.to_string()),
        nats: stack.nats.clone(),
        kafka: stack.kafka.clone(),
        processes: stack.processes(),
        tenant: TENANT.into(),
        user: USER.into(),
        token: stack.token(&tenant, &user, &SCOPES, TOKEN_TTL),
    }
}

async fn serve(
    stack: &mut Stack,
    ready: &Ready,
    parent: Option<u32>,
    output: &Output,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    output.result(&Told { ready }, || welcome(ready, &program()))?;
    for trouble in &stack.troubles {
        output.note(&format!("not serving: {trouble}"));
    }
    let mut ticks = tokio::time::interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<(u64, Instant)> = None;
    let mut halted = stack.troubles.clone();
    loop {
        // All branches are cancel safe.
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            text = stack.news() => {
                output.note(&text);
                continue;
            }
            _ = ticks.tick() => {}
        }
        // A process whose parent has ended gets another one.
        if parent.is_some_and(|parent| parent != parent_id()) {
            output.note("the program that started this one has ended");
            return Ok(());
        }
        let now = stack.halted();
        for text in now.iter().filter(|text| !halted.contains(text)) {
            output.note(&format!("not serving: {text}"));
        }
        halted = now;
        let status = match stack.status().await {
            Ok(status) => status,
            Err(error) => {
                output.status(&format!("no status: {}", sentence(&error)));
                continue;
            }
        };
        let now = Instant::now();
        let rate = before.map_or(0, |(delivered, then)| {
            let seconds = now.duration_since(then).as_secs_f64();
            (status.delivered.saturating_sub(delivered) as f64 / seconds).round() as u64
        });
        before = Some((status.delivered, now));
        tell(status, rate, output)?;
    }
}

fn tell(status: Status, delivered_per_second: u64, output: &Output) -> Result<(), CliError> {
    if !output.is_json() {
        output.status(&line(&status, delivered_per_second));
        return Ok(());
    }
    if output.status_is_due() {
        let told = StatusTold {
            status,
            delivered_per_second,
        };
        output.result(&told, String::new)?;
    }
    Ok(())
}

fn line(status: &Status, rate: u64) -> String {
    let mirror = match status.mirror_lag {
        Some(lag) => format!("mirror lag {}", thousands(lag)),
        None => "no mirror".to_owned(),
    };
    format!(
        "{} stored, {} delivered/s, {} clients, {}/{} lanes, {mirror}",
        thousands(status.stored),
        thousands(rate),
        thousands(status.connections),
        status.lanes_owned,
        status.lanes,
    )
}

/// This program, as it can be called from any folder: by its name where `PATH` leads to
/// it, else by its whole path.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else {
        return NAME.to_owned();
    };
    #[allow(
        clippy::disallowed_methods,
        reason = "PATH is the shell's, no setting of ours"
    )]
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // The first one of that name is the one that a shell would start.
    let first = std::env::split_paths(&folders)
        .map(|folder| folder.join(NAME))
        .find(|program| program.is_file());
    let same = first.and_then(|first| first.canonicalize().ok());
    if same.is_some_and(|first| Some(first) == path.canonicalize().ok()) {
        return NAME.to_owned();
    }
    quoted(&path.display().to_string())
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn welcome(ready: &Ready, program: &str) -> String {
    let mut text = format!(
        "Eddyline is running; this `dev` is named {}.\n\n",
        ready.name
    );
    let mut row = |name: &str, value: &str| text.push_str(&format!("  {name:<10} {value}\n"));
    for edge in &ready.edges {
        row("edge", edge);
    }
    if let Some(grpc) = &ready.grpc {
        row("gRPC", grpc);
    }
    for metrics in ready.metrics.iter().take(1) {
        row("metrics", metrics);
    }
    let servers = [("NATS", Some(&ready.nats)), ("Kafka", ready.kafka.as_ref())];
    for ((name, address), process) in servers.into_iter().zip(ready.processes) {
        let process = process.map_or(String::new(), |pid| format!("  process {pid}"));
        if let Some(address) = address {
            row(name, &format!("{address}{process}"));
        }
    }
    let (tenant, user, token) = (&ready.tenant, &ready.user, &ready.token);
    text.push_str(&format!(
        "\nA token for the user {user} of the tenant {tenant}, valid for a day:\n\n  {token}\n\n"
    ));
    text.push_str("Try it in a second terminal (the token is found by itself):\n\n");
    let edges: Vec<String> = ready.edges.iter().map(|e| format!("--edge {e}")).collect();
    let which = match ready.name.as_str() {
        running::NAME => String::new(),
        name => format!(" --dev {name}"),
    };
    let mut commands = vec![
        format!("sub chat.lobby --from earliest{which}"),
        format!("pub chat.lobby '{{\"text\":\"hello\"}}'{which}"),
    ];
    if let Some(grpc) = &ready.grpc {
        commands.push(format!("replay 'chat.>'{which}"));
        commands.push(format!("demo {} --grpc {grpc}", edges.join(" ")));
    }
    for command in commands {
        text.push_str(&format!("  {program} {command}\n"));
    }
    text.push_str("\nCtrl-C stops everything.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_names_everything() {
        let ready = Ready {
            name: "dev-2".into(),
            edges: vec!["ws://a:1/v1/ws".into(), "ws://a:2/v1/ws".into()],
            metrics: vec!["http://a:1/metrics".into()],
            grpc: Some("a:3".into()),
            nats: "nats://a:4".into(),
            kafka: Some("a:5".into()),
            processes: [Some(4711), None],
            tenant: "demo".into(),
            user: "dev".into(),
            token: "e.y.J".into(),
        };
        let text = welcome(&ready, "eddyline");
        for part in [
            "ws://a:2/v1/ws",
            "http://a:1/metrics",
            "a:3",
            "nats://a:4  process 4711",
            "a:5",
            "e.y.J",
            "eddyline sub chat.lobby",
            "eddyline pub chat.lobby '{\"text\":\"hello\"}'",
            "eddyline replay 'chat.>' --dev dev-2",
            "eddyline demo --edge ws://a:1/v1/ws --edge ws://a:2/v1/ws --grpc a:3",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let alone = Ready {
            grpc: None,
            kafka: None,
            ..ready
        };
        let text = welcome(&alone, "eddyline");
        for part in ["gRPC", "Kafka", "replay", "demo --"] {
            assert!(!text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted("/opt/e/eddyline"), "/opt/e/eddyline");
        assert_eq!(quoted("/my files/it's"), "'/my files/it'\\''s'");
        assert!(std::path::Path::new(&program()).is_absolute());
    }

    #[test]
    fn the_status_fits_one_line() {
        let status = Status {
            stored: 1_234_567,
            ingress: 1,
            delivered: 1,
            connections: 1_000,
            lanes_owned: 8,
            lanes: 8,
            mirror_lag: Some(234),
        };
        let told = line(&status, 12_345);
        assert!(told.chars().count() < 80, "{told}");
        let alone = Status {
            mirror_lag: None,
            ..status
        };
        assert!(line(&alone, 1).ends_with("no mirror"));
    }
}
