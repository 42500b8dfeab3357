//! Drives a lane's state machine: reads the stream, calls the guest, commits.
//!
//! Owns the reader and the lane's place on a guest thread. It decides nothing: what
//! to do next is the machine's, what became of a commit is the checkpoint's.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError, Reader, ReaderOptions};
use protocol::bus::Stored;
use protocol::lane::Lane;
use protocol::subject::Subject;
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

use super::commit::{self, Landed};
use super::grant::Grant;
use super::messages::Scope;
use super::shared::Shared;
use super::staging::Commit;
use super::state::{Action, Machine, PARKED_READ_MAX, RUN_BYTES_MAX};
use super::takeover::{self, Taken, TakeoverError};
use super::tally::Tally;
use host::fault::Broken;
use host::module::Program;
use host::pack::Item;
use host::pool::Guest;

/// Wait before a guest is called again for which there was no instance.
const UNAVAILABLE_DELAY: Duration = Duration::from_millis(500);
/// Bytes of one pull of the reader; two of them may wait.
const READ_BYTES: usize = 2 << 20;

/// Why a lane ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to; everything is committed.
    Stopped,
    /// The lease is lost, or another owner has committed.
    Superseded,
}

/// One lane under a lease.
pub struct Run<'a> {
    /// What all lanes share.
    pub shared: &'a Shared,
    /// Which lane.
    pub lane: Lane,
    /// The function as it is deployed now.
    pub program: watch::Receiver<Arc<Program>>,
    /// The lease.
    pub grant: &'a Grant,
    /// Ends it.
    pub stop: &'a Shutdown,
}

impl Run<'_> {
    /// Runs the lane until it is stopped or lost.
    ///
    /// # Errors
    /// Those of the bus that no waiting helps; the lane is to be given up and claimed
    /// again. Not cancel safe.
    pub async fn run(&mut self) -> Result<End, BusError> {
        loop {
            let scope = self.scope();
            let lost = || self.grant.is_lost();
            let taken = takeover::take(
                &self.shared.bus,
                &scope,
                self.grant.revision,
                &self.shared.faults,
                &lost,
            )
            .await;
            let end = match taken {
                Ok(taken) => self.drive(taken).await?,
                Err(TakeoverError::Superseded) => Some(End::Superseded),
                Err(TakeoverError::Bus(error)) => return Err(error),
                Err(TakeoverError::Alarm(reason)) => self.hold(&reason).await,
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn scope(&mut self) -> Scope {
        let spec = self.program.borrow_and_update().spec.clone();
        Scope {
            spec,
            store: self.shared.store.clone(),
            lane: self.lane,
        }
    }

    /// Runs from a checkpoint on; `None`: to be taken over anew.
    async fn drive(&mut self, taken: Taken) -> Result<Option<End>, BusError> {
        let Taken {
            checkpoint,
            guard,
            from,
        } = taken;
        let scope = self.scope();
        let options = ReaderOptions {
            batch: self.shared.batch_events * 2,
            bytes_max: READ_BYTES,
        };
        let mut reader = self
            .shared
            .bus
            .reader(&scope.stream(), Some(&scope.filter()), from, options)
            .await?;
        let guest = self.shared.host.attach(self.lane.0);
        let mut machine = Machine::resume(
            scope.clone(),
            &checkpoint,
            guard,
            self.grant.revision,
            self.shared.batch_events,
        );
        let mut lane = Driven { scope, guest };
        loop {
            if self.grant.is_lost() {
                return Ok(Some(End::Superseded));
            }
            if self.program.has_changed().unwrap_or(false) {
                lane.scope = self.scope();
                machine.reload(lane.scope.clone());
            }
            if self.stop.is_triggered() {
                machine.drain();
            }
            let mut action = Some(machine.next(now_us()));
            while let Some(current) = action.take() {
                match current {
                    Action::Run(items) => self.call(&lane, &mut machine, items).await,
                    Action::ReadParked { subject, from, to } => {
                        action = self
                            .read_parked(&lane.scope, &mut machine, subject, from, to)
                            .await
                    }
                    Action::Commit(commit) => match self.commit(&lane.scope, commit).await? {
                        Landed::At(seq) => machine.committed(seq),
                        Landed::Superseded => return Ok(Some(End::Superseded)),
                        Landed::Moved => return Ok(None),
                    },
                    Action::Wait { until, hungry } => {
                        self.wait(&mut machine, &mut reader, until, hungry).await?
                    }
                    Action::Halted(reason) => {
                        if let Some(end) = self.hold(&reason).await {
                            return Ok(Some(end));
                        }
                    }
                    Action::Done => return Ok(Some(End::Stopped)),
                }
            }
            lane.report(&mut machine, reader.pending());
        }
    }

    async fn call(&self, lane: &Driven, machine: &mut Machine, items: Vec<Item>) {
        self.shared.faults.hit("lane.before_run");
        let began = Instant::now();
        let program = self.program.borrow().clone();
        let result = lane.guest.run(program, items).await;
        metrics::histogram!("function_run_seconds", "function" => lane.name())
            .record(began.elapsed());
        match result {
            Ok(handled) => machine.ran(handled, now_us()),
            Err(broken @ Broken::Init(_)) => machine.run_failed(Some(broken.to_string())),
            Err(broken @ Broken::Unavailable(_)) => {
                tracing::warn!(function = lane.name(), lane = self.lane.0, "{broken}");
                machine.run_failed(None);
                tokio::time::sleep(UNAVAILABLE_DELAY).await;
            }
        }
    }

    async fn commit(&self, scope: &Scope, commit: Commit) -> Result<Landed, BusError> {
        self.shared.faults.hit("lane.before_commit");
        let began = Instant::now();
        let lost = || self.grant.is_lost();
        let landed =
            commit::store(&self.shared.bus, scope, commit, &self.shared.faults, lost).await;
        metrics::histogram!("function_commit_seconds", "function" => scope.spec.name.to_string())
            .record(began.elapsed());
        self.shared.faults.hit("lane.after_commit");
        landed
    }

    async fn read_parked(
        &self,
        scope: &Scope,
        machine: &mut Machine,
        subject: Subject,
        from: u64,
        to: u64,
    ) -> Option<Action> {
        match read_range(&self.shared.bus, scope, &subject, from, to).await {
            Ok((events, complete)) => machine.parked_read(events, complete, now_us()),
            Err(error) => {
                tracing::warn!(%error, function = %scope.spec.name, lane = self.lane.0, "a parked channel cannot be read");
                machine.parked_read(Vec::new(), false, now_us())
            }
        }
    }

    async fn wait(
        &mut self,
        machine: &mut Machine,
        reader: &mut Reader,
        until: Option<u64>,
        hungry: bool,
    ) -> Result<(), BusError> {
        let pause = until.map(|until| Duration::from_micros(until.saturating_sub(now_us())));
        // All branches are cancel safe: they only wait, and the reader keeps what it has.
        tokio::select! {
            events = reader.next_batch(), if hungry => machine.push(events?),
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            _ = self.program.changed() => self.program.mark_changed(),
            () = self.grant.lost() => {}
            () = self.stop.triggered() => {}
        }
        Ok(())
    }

    /// Holds a halted lane: nobody else could do better with the same spec. `None`:
    /// there is another spec now.
    async fn hold(&mut self, reason: &str) -> Option<End> {
        let function = self.program.borrow().spec.name.to_string();
        tracing::error!(
            function,
            lane = self.lane.0,
            reason,
            "function halted on the lane until its spec changes"
        );
        let gauge = metrics::gauge!("function_halted", "function" => function, "lane" => self.lane.to_string());
        let _halted = self.shared.status.halted(gauge);
        // All branches are cancel safe: they only wait.
        tokio::select! {
            changed = self.program.changed() => {
                self.program.mark_changed();
                changed.is_err().then_some(End::Stopped)
            }
            () = self.grant.lost() => Some(End::Superseded),
            () = self.stop.triggered() => Some(End::Stopped),
        }
    }
}

struct Driven {
    scope: Scope,
    guest: Guest,
}

impl Driven {
    fn name(&self) -> String {
        self.scope.spec.name.to_string()
    }

    fn report(&self, machine: &mut Machine, pending: u64) {
        let tally = machine.take_tally();
        if tally != Tally::default() {
            for (outcome, count) in tally.outcomes().into_iter().filter(|(_, count)| *count > 0) {
                metrics::counter!("function_events_total", "function" => self.name(), "outcome" => outcome).increment(count);
            }
            metrics::counter!("function_emitted_total", "function" => self.name())
                .increment(tally.emitted);
            metrics::counter!("function_inputs_lost_total", "function" => self.name())
                .increment(tally.lost);
        }
        if tally.lost > 0 {
            tracing::error!(
                function = self.name(),
                lane = self.scope.lane.0,
                lost = tally.lost,
                "retention took parked inputs"
            );
        }
        let lane = || self.scope.lane.to_string();
        metrics::gauge!("function_parked", "function" => self.name(), "lane" => lane())
            .set(machine.parked() as f64);
        metrics::gauge!("function_lag_events", "function" => self.name(), "lane" => lane())
            .set(pending as f64);
    }
}

/// Reads one channel within a range, and says whether the range has no more of it
/// for certain: the server that answers may lag behind the stream's leader.
pub async fn read_range(
    bus: &Bus,
    scope: &Scope,
    subject: &Subject,
    from: u64,
    to: u64,
) -> Result<(Vec<Stored>, bool), BusError> {
    let chunk = bus
        .next_on(
            &scope.stream(),
            subject,
            from,
            PARKED_READ_MAX,
            RUN_BYTES_MAX,
        )
        .await?;
    let mut events = chunk.events;
    let read = events.len();
    events.retain(|event| event.seq <= to);
    if events.len() < read {
        return Ok((events, true));
    }
    if chunk.more {
        return Ok((events, false));
    }
    let known = events
        .last()
        .map_or(from.saturating_sub(1), |event| event.seq);
    // What this lane has read is known to the bus: a leader that has less is refused.
    // Asked before and after, because a deposed one may answer only one of them.
    bus.stream_state(&scope.stream()).await?;
    let last = bus
        .last_on(&scope.stream(), subject)
        .await?
        .map_or(0, |event| event.seq);
    bus.stream_state(&scope.stream()).await?;
    Ok((events, last <= known))
}
