//! Writes how a trial ended.
//!
//! Owns nothing: the judgement lives in `FUNCTIONS`, and the first one counts.

use bus::{Kv, directory};
use protocol::name::FunctionName;
use protocol::spec::Judgement;
use service::fault::Faults;

/// Writes a judgement; false if nobody knows whether the version is judged, and it is to
/// be judged again.
pub async fn write(
    functions: &Kv,
    faults: &Faults,
    name: &FunctionName,
    judgement: &Judgement,
) -> bool {
    faults.hit("trial.before_judgement");
    let (version, verdict) = (judgement.version, judgement.verdict.as_str());
    match directory::judge(functions, name, judgement).await {
        Ok(Some(_)) => {
            let reason = &judgement.reason;
            tracing::info!(function = %name, version, verdict, reason, "the trial is over");
            metrics::counter!("function_trials_total", "function" => name.to_string(), "verdict" => verdict)
                .increment(1);
            faults.hit("trial.after_judgement");
            true
        }
        Ok(None) => true,
        Err(error) => {
            tracing::warn!(%error, function = %name, version, verdict, "how the trial ends is not written yet");
            false
        }
    }
}
