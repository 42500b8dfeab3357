//! `eddyline function deploy`: one function of an application, or a module by itself.

use control::{Action, CanaryDraft, Start, Step, Thing};

use super::source;
use crate::args::function::Deploy;
use crate::command::application;
use crate::command::rollout;
use crate::error::{CliError, EXIT_SETTINGS};
use crate::moment::moment;
use crate::nats;
use crate::output::Output;

/// Deploys it.
///
/// # Errors
/// The file or the module cannot be used; NATS cannot be reached or written; something is
/// not accepted, and then nothing is changed.
pub async fn run(args: &Deploy, output: &Output) -> Result<(), CliError> {
    let mut wanted = source::wanted(&args.source)?;
    let start = args.start.as_deref().map(|text| start("--start", text));
    let start = start.transpose()?;
    for (draft, _) in &mut wanted.functions {
        draft.restart = args.restart;
        draft.start = start.unwrap_or(draft.start);
        draft.canary = args.canary.map(|permille| CanaryDraft {
            permille,
            events_min: args.canary_events,
            for_ms: u64::try_from(args.canary_for.as_millis()).unwrap_or(u64::MAX),
        });
    }
    let deployer = nats::deployer(&args.nats).await?.keep(args.keep as usize);
    let plan = deployer.plan(wanted).await?;
    let deployed = application::carry_out(&deployer, &plan, false, output).await?;
    let is_new = |step: &Step| step.action == Action::Create;
    let functions = plan.steps.iter();
    let mut functions = functions.filter(|step| matches!(step.thing, Thing::Function(..)));
    if start.is_some() && !args.restart && !functions.all(is_new) {
        output
            .note("note: it goes on where it is; --start is for a new function, or for --restart");
    }
    if plan.is_empty() {
        output.note("nothing has changed since it was deployed");
    }
    for deployed in &deployed {
        rollout::wait(&deployer, deployed, &args.wait, output).await?;
    }
    Ok(())
}

/// A place to begin: a word, a time, or a time ago.
pub(super) fn start(option: &str, text: &str) -> Result<Start, CliError> {
    match text {
        "earliest" => return Ok(Start::Earliest),
        "latest" => return Ok(Start::Latest),
        _ => {}
    }
    match moment(text) {
        Some(since_us) => Ok(Start::Time(since_us)),
        None => {
            let text = format!("{option} {text:?} is neither earliest, latest nor a time");
            Err(CliError::new(EXIT_SETTINGS, text)
                .hint("times are 2026-07-01T12:00:00Z, or 2h for two hours ago"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_words_or_times() {
        let read = |text: &str| start("--start", text).ok();
        assert_eq!(read("latest"), Some(Start::Latest));
        assert_eq!(read("1970-01-01T00:00:01Z"), Some(Start::Time(1_000_000)));
        assert!(matches!(read("2h"), Some(Start::Time(_))));
        assert_eq!(read("yesterday"), None);
    }
}
