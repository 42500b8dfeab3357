//! Waiting until every lane runs what was deployed, or telling which does not and why.
//! Owns nothing.

use control::{Deployed, Deployer, Rollout};
use serde::Serialize;

use crate::args::function::WaitArgs;
use crate::error::{CliError, EXIT_FAILED};
use crate::output::Output;

#[derive(Serialize)]
struct Told<'a> {
    function: &'a str,
    rollout: &'a Rollout,
}

/// Waits for one function.
///
/// # Errors
/// Time is up and a lane does not run it; what is deployed stays deployed.
pub async fn wait(
    deployer: &Deployer,
    deployed: &Deployed,
    args: &WaitArgs,
    output: &Output,
) -> Result<(), CliError> {
    let spec = &deployed.spec;
    if args.no_wait || spec.paused.is_some() {
        return Ok(());
    }
    output.status(&format!("waiting for the lanes of {}", spec.name));
    let waited = deployer.rollout(spec, deployed.revision, args.timeout);
    let rollout = waited.await?;
    let told = Told {
        function: spec.name.as_str(),
        rollout: &rollout,
    };
    let (running, lanes) = (rollout.running, rollout.lanes);
    output.result(&told, || {
        let mut text = format!("{}: {running} of {lanes} lanes run it", spec.name);
        for (reason, lanes) in &rollout.waiting {
            let lanes: Vec<String> = lanes.iter().map(u16::to_string).collect();
            text.push_str(&format!("\n    lanes {}: {reason}", lanes.join(", ")));
        }
        text
    })?;
    if rollout.is_done() {
        return Ok(());
    }
    let (name, seconds) = (&spec.name, args.timeout.as_secs());
    let text = format!("after {seconds} s not every lane of {name} runs it; it stays deployed");
    Err(CliError::new(EXIT_FAILED, text).hint(format!(
        "`eddyline function rollback {name}` takes it back; --timeout waits longer, --no-wait not \
         at all"
    )))
}
