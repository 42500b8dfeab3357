//! One service of a stack, looked after: started, started again when it does not start
//! or has ended by itself, stopped in order.
//!
//! A task owns the instance; the rest of the stack sees what it shows of itself. One
//! part that fails never keeps another from running.

use std::time::Duration;

use service::shutdown::Shutdown;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::backoff::Backoff;
use crate::instance::{Instance, InstanceError};
use crate::sentence::sentence;
use crate::service::Service;

/// What is seen of a part from outside.
#[derive(Debug, Clone)]
pub(super) enum Seen<V> {
    /// It starts for the first time.
    Starting,
    /// It runs, and shows this of itself.
    Runs(V),
    /// It does not run, for this reason; it is tried again.
    Failed(String),
}

/// A view of a part.
pub(super) type View<S> = watch::Receiver<Seen<<S as Service>::View>>;

/// Ends with the part.
pub(super) type Parts = JoinSet<Result<(), InstanceError>>;

/// Starts a part; its task ends when `stop` is triggered and the part has drained.
pub(super) fn keep<S>(
    parts: &mut Parts,
    instance: Instance<S>,
    stop: Shutdown,
    notes: mpsc::Sender<String>,
) -> View<S>
where
    S: Service,
    S::View: Clone,
{
    let (seen, view) = watch::channel(Seen::Starting);
    parts.spawn(run(instance, seen, stop, notes));
    view
}

async fn run<S>(
    mut instance: Instance<S>,
    seen: watch::Sender<Seen<S::View>>,
    stop: Shutdown,
    notes: mpsc::Sender<String>,
) -> Result<(), InstanceError>
where
    S: Service,
    S::View: Clone,
{
    let mut backoff = Backoff::default();
    while !stop.is_triggered() {
        let started = Instant::now();
        let problem = match instance.start().await {
            Err(error) => format!("does not start: {}", sentence(&error)),
            Ok(()) => {
                if let Some(view) = instance.view() {
                    seen.send_replace(Seen::Runs(view.clone()));
                }
                // Both branches are cancel safe.
                let failure = tokio::select! {
                    failure = instance.ended_here() => failure,
                    () = stop.triggered() => return instance.stop().await,
                };
                let reason = failure.map(|error| format!(": {}", sentence(&*error)));
                format!("has ended by itself{}", reason.unwrap_or_default())
            }
        };
        backoff.ran_for(started.elapsed());
        let wait: Duration = backoff.next();
        let text = format!("{} {problem}; next try in {wait:?}", instance.name());
        seen.send_replace(Seen::Failed(format!("{} {problem}", instance.name())));
        // An error means that nobody listens any more.
        let _ = notes.send(text).await;
        // Both branches are cancel safe.
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.triggered() => {}
        }
    }
    Ok(())
}
