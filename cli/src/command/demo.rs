//! `eddyline demo`: runs the demo against a stack of its own, or against the one
//! that is named, and tells what came of it.

use std::sync::Arc;
use std::time::Duration;

use protocol::name::{Tenant, User};
use running::{DevState, Which};
use service::shutdown::Shutdown;
use tokio::sync::watch;

use super::dev::{self, SCOPES, TENANT, TOKEN_TTL};
use crate::args::Demo;
use crate::config;
use crate::error::{CliError, EXIT_FAILED, EXIT_UNAVAILABLE};
use crate::output::{Output, thousands};
use demo::generator::{Session, generate};
use demo::trace::Trace;
use demo::{self, Board, DemoError, Nobody, Plan, Report, Targets};
use local::Stack;

/// Malformed edits that are tried, over all editors: one of each kind.
const MALFORMED: usize = 5;
/// Edits that are sent twice, over all editors.
const RESENT: usize = 4;
/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Runs the demo.
///
/// # Errors
/// It could not be brought to its end, or something did not hold.
pub async fn run(args: Demo, output: &Output, shutdown: &Shutdown) -> Result<(), CliError> {
    let plan = Plan {
        trace: Arc::new(load(&args).await?),
        rate: args.rate,
        malformed: MALFORMED,
        resent: RESENT,
    };
    output.note(&introduction(&args, &plan));
    let report = if args.edges.is_empty() {
        on_own_stack(args, &plan, output, shutdown).await?
    } else {
        let targets = named(&args).await?;
        play(&plan, &targets, output, shutdown).await?
    };
    output.result(&report, || report.to_string())?;
    if report.holds() {
        return Ok(());
    }
    Err(CliError::new(EXIT_FAILED, "not everything held; see above"))
}

async fn load(args: &Demo) -> Result<Trace, CliError> {
    let session = Session::default();
    let session = Session {
        seed: args.seed.unwrap_or(session.seed),
        txns: args.txns.map_or(session.txns, |txns| txns as usize),
        ..session
    };
    let path = args.trace.clone();
    // Reading and checking a trace blocks.
    let loaded = tokio::task::spawn_blocking(move || match path {
        Some(path) => Trace::load(path),
        None => Ok(generate(&session)),
    });
    let trace = loaded.await.map_err(DemoError::from)?;
    Ok(trace.map_err(DemoError::from)?)
}

fn introduction(args: &Demo, plan: &Plan) -> String {
    let what = match &args.trace {
        Some(path) => format!("the trace {}", path.display()),
        None => "a generated session".to_owned(),
    };
    format!(
        "{} editors replay {what}: {} transactions at {:.0} a second",
        plan.trace.agents,
        thousands(plan.trace.txns.len() as u64),
        plan.rate
    )
}

async fn on_own_stack(
    args: Demo,
    plan: &Plan,
    output: &Output,
    shutdown: &Shutdown,
) -> Result<Report, CliError> {
    let mut stack = dev::start(dev::options(args.stack), output, shutdown).await?;
    let outcome = match stack.troubles.first() {
        Some(trouble) => Err(CliError::new(EXIT_UNAVAILABLE, trouble.as_str())),
        None => {
            let targets = own(&stack, plan);
            // Both branches are cancel safe: the demo's tasks end with it.
            tokio::select! {
                outcome = play(plan, &targets, output, shutdown) => outcome,
                never = told(&mut stack, output) => match never {},
            }
        }
    };
    let stopped = stack.stop().await.map_err(CliError::from);
    let report = outcome?;
    stopped.map(|()| report)
}

/// Tells what happens to the stack meanwhile.
async fn told(stack: &mut Stack, output: &Output) -> std::convert::Infallible {
    loop {
        output.note(&stack.news().await);
    }
}

/// The stack's own addresses, and a token for each editor.
fn own(stack: &Stack, plan: &Plan) -> Targets {
    let tenant = Tenant::parse(TENANT).expect("a valid name");
    let token = |agent: usize| {
        let user = User::parse(&format!("editor-{}", agent + 1)).expect("a valid name");
        stack.token(&tenant, &user, &SCOPES, TOKEN_TTL)
    };
    Targets {
        edges: stack.edges.iter().map(ToString::to_string).collect(),
        grpc: stack.grpc.expect("the demo's own stack has a mirror"),
        tokens: (0..plan.trace.agents).map(token).collect(),
        witness: Arc::new(Nobody),
    }
}

/// The addresses that were given.
async fn named(args: &Demo) -> Result<Targets, CliError> {
    let which = Which {
        name: args.dev.as_deref(),
        address: args.edges.first().map(String::as_str),
    };
    let running = |state: DevState| Some(state.token);
    let token = config::given_or_running(args.token.as_deref(), "--token", which, running)?;
    let grpc = args.grpc.as_deref().unwrap_or_default();
    Ok(Targets {
        edges: args.edges.clone(),
        grpc: config::resolve(grpc).await?,
        tokens: vec![token],
        witness: Arc::new(Nobody),
    })
}

async fn play(
    plan: &Plan,
    targets: &Targets,
    output: &Output,
    shutdown: &Shutdown,
) -> Result<Report, CliError> {
    let (board, mut watched) = watch::channel(None);
    let started = move |started| drop(board.send_replace(Some(started)));
    let demo = demo::run(plan, targets, started);
    tokio::pin!(demo);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        // All branches are cancel safe but the demo, which goes on until the end.
        tokio::select! {
            outcome = &mut demo => return Ok(outcome?),
            () = shutdown.triggered() => return Err(CliError::interrupted()),
            _ = ticks.tick() => {}
        }
        let board: Option<Arc<Board>> = watched.borrow_and_update().clone();
        if let Some(board) = board {
            output.status(&progress(&board, plan.trace.agents));
        }
    }
}

fn progress(board: &Board, editors: usize) -> String {
    let progress = board.progress();
    let (txns, published) = (progress.txns as u64, progress.published as u64);
    let delivered = progress.delivered as u64;
    if published == txns && delivered == txns * editors as u64 {
        return "all delivered; rebuilding the document from the mirror".to_owned();
    }
    let rate = published as f64 / progress.elapsed.as_secs_f64().max(0.001);
    format!(
        "{} of {} events, {} delivered, {rate:.0} events/s",
        thousands(published),
        thousands(txns),
        thousands(delivered)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_where_the_demo_is() {
        let board = Board::new(2);
        board.publish(0);
        board.deliver();
        assert!(progress(&board, 2).starts_with("1 of 2 events, 1 delivered"));
        board.publish(1);
        (0..3).for_each(|_| board.deliver());
        assert!(progress(&board, 2).contains("mirror"));
    }
}
