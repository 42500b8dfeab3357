//! A lane's half of a trial: the candidate on the lane's share of its channels, and what
//! becomes of an event that it cannot handle.
//!
//! Owns the candidate's place on a guest thread. What a candidate fails on is given to the
//! version beside it, at once: only where that can handle it is the candidate to blame, and
//! then the trial is over. So a candidate costs no event an attempt and holds up no channel.

use std::sync::Arc;

use host::fault::Broken;
use host::pack::Item;
use host::reply::Handled;
use protocol::lane::Lane;

use super::messages::Scope;
use super::shared::Shared;
use super::tally::Tally;
use super::version::Version;
use crate::status::OwnedLane;
use crate::trial::Trial;
use crate::trial::split::{Split, is_failure, sound};

/// The candidate on one lane.
pub struct Beside {
    trial: Arc<Trial>,
    tried: Version,
}

impl Beside {
    /// A place for the candidate, if there is one that has not failed on this worker.
    pub fn begin(
        shared: &Shared,
        shown: &OwnedLane,
        lane: Lane,
        trial: Option<&Arc<Trial>>,
    ) -> Option<Self> {
        shown.costs_beside(&Arc::default());
        let trial = trial?;
        let program = trial.program()?.clone();
        shared.faults.hit("trial.begin");
        let guest = shared.host.attach(lane.0);
        shown.costs_beside(guest.cost());
        Some(Self {
            trial: trial.clone(),
            tried: Version {
                program,
                guest,
                meter: shown.meter(trial.version, Some(trial.candidate.clone())),
            },
        })
    }

    /// Counts what has become of the candidate's events.
    pub fn count(&self, tally: &Tally) {
        self.tried.meter.count(tally);
    }

    /// Whether the candidate has failed on this worker.
    pub fn is_over(&self) -> bool {
        self.trial.program().is_none()
    }

    /// Hands each event to the version that has its channel; `own` is the one beside the
    /// candidate. The answers are for the first events, never for none. Not cancel safe:
    /// the calls go on.
    ///
    /// # Errors
    /// [`Broken`] when the version beside the candidate cannot be called, or the candidate
    /// not now.
    pub async fn run(
        &self,
        own: &Version,
        scope: &Scope,
        items: Vec<Item>,
    ) -> Result<Vec<Handled>, Broken> {
        if self.is_over() {
            return own.run(items).await;
        }
        let first = items.first().cloned();
        let split = Split::of(items, |event| scope.is_tried(event));
        let (theirs, tried) = tokio::join!(
            ask(own, split.other.clone()),
            ask(&self.tried, split.candidate.clone())
        );
        let (tried, failure) = match tried {
            Ok(tried) => sound(tried),
            Err(Broken::Init(reason)) => {
                self.fail(scope, &format!("it does not start: {reason}"));
                (Vec::new(), None)
            }
            // Somebody else has the room for the moment: its events come again.
            Err(broken @ (Broken::Unavailable(_) | Broken::Rests)) if split.other.is_empty() => {
                return Err(broken);
            }
            Err(Broken::Unavailable(_) | Broken::Rests) => (Vec::new(), None),
        };
        let joined = split.join(theirs?, tried);
        let (true, Some(first)) = (joined.is_empty(), first) else {
            return Ok(joined);
        };
        // The candidate has nothing to say of the very first: the version beside it has.
        let answer = own.run(vec![first]).await?;
        let Some(reason) = failure.filter(|_| !answer.first().is_some_and(is_failure)) else {
            return Ok(answer);
        };
        let version = scope.spec.version;
        let reason = format!("it fails on an event that version {version} handles: {reason}");
        self.fail(scope, &reason);
        Ok(answer)
    }

    fn fail(&self, scope: &Scope, reason: &str) {
        if self.trial.fail(reason) {
            let (function, lane, version) = (&scope.spec.name, scope.lane.0, self.trial.version);
            tracing::warn!(%function, lane, version, reason, "the version on trial has failed");
        }
    }
}

/// A version has nothing to say of no events.
async fn ask(version: &Version, items: Vec<Item>) -> Result<Vec<Handled>, Broken> {
    match items.is_empty() {
        true => Ok(Vec::new()),
        false => version.run(items).await,
    }
}
