//! Drives a lane's state machine: reads the stream, calls the guest, commits.
//!
//! Owns the lane's place at the intake and on a guest thread. It decides nothing: what to
//! do next is the machine's, what became of a commit is the checkpoint's.

use std::sync::Arc;
use std::time::Duration;

use bus::BusError;
use protocol::lane::Lane;
use protocol::subject::Subject;
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

use super::beside::Beside;
use super::commit;
use super::driven::Driven;
use super::grant::Grant;
use super::guard::Landed;
use super::kept::Unread;
use super::messages::Scope;
use super::progress::Key;
use super::range;
use super::recall;
use super::shared::Shared;
use super::staging::Commit;
use super::state::{Action, Machine};
use super::takeover::{self, Taken, TakeoverError};
use super::time;
use super::version::Version;
use crate::deployed::Deployed;
use crate::error::LaneError;
use crate::intake::{Tap, TapError};
use crate::status::OwnedLane;
use crate::trial::Count;
use host::fault::Broken;
use host::pack::Item;

/// Wait before a guest is called again for which there was no instance.
const UNAVAILABLE_DELAY: Duration = Duration::from_millis(500);

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
    pub deployed: watch::Receiver<Deployed>,
    /// The right to run it.
    pub grant: &'a Grant,
    /// Ends it.
    pub stop: &'a Shutdown,
    /// What the worker shows of the lane.
    pub shown: &'a OwnedLane,
}

impl Run<'_> {
    /// Runs the lane until it is stopped or lost.
    ///
    /// # Errors
    /// Those of the bus that no waiting helps; the lane is to be given up and claimed
    /// again. Not cancel safe.
    pub async fn run(&mut self) -> Result<End, LaneError> {
        loop {
            let (scope, deployed) = self.scope();
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
                Ok(taken) => self.drive(scope, deployed, taken).await?,
                Err(TakeoverError::Superseded) => Some(End::Superseded),
                Err(TakeoverError::Bus(error)) => return Err(error.into()),
                Err(TakeoverError::Alarm(reason)) => self.hold(&reason, None).await,
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// What is deployed now, and what runs it.
    fn scope(&mut self) -> (Scope, Deployed) {
        let deployed = self.deployed.borrow_and_update().clone();
        let spec = &deployed.program.spec;
        self.shown.runs(deployed.revision, spec.version);
        let tried = deployed.candidate();
        let scope = Scope {
            spec: match (tried, &spec.canary) {
                (None, Some(_)) => Arc::new(spec.without_canary()),
                _ => spec.clone(),
            },
            store: self.shared.store.clone(),
            lane: self.lane,
            remembers: deployed.program.remembers() || tried.is_some_and(|tried| tried.remembers()),
        };
        (scope, deployed)
    }

    /// The lane's half of the trial that is under way, if one is.
    fn beside(&self, deployed: &Deployed) -> Option<Beside> {
        let trial = deployed.trial.as_ref();
        Beside::begin(self.shared, self.shown, self.lane, trial)
    }

    /// Opens the lane behind what was taken over.
    fn begin(&self, scope: Scope, deployed: Deployed, taken: Taken) -> (Tap, Machine, Driven) {
        let (stream, filter, from) = (scope.stream(), scope.filter(), taken.from);
        let tap = self.shared.intakes.attach(&stream, &filter, from);
        let machine = Machine::resume(
            scope.clone(),
            &taken.checkpoint,
            taken.guard,
            self.grant.revision,
            self.shared.batch_events,
        );
        let kept = match scope.is_gate() {
            true => self.shared.ingress.clone(),
            false => self.shared.events.clone(),
        };
        let guest = self.shared.host.attach(self.lane.0);
        self.shown.costs(guest.cost());
        let lane = Driven {
            own: Version {
                meter: self.shown.meter(scope.spec.version, count(&deployed)),
                program: deployed.program.clone(),
                guest,
            },
            beside: self.beside(&deployed),
            scope,
            fence: taken.fence,
            kept,
            unread: Unread::from(from),
        };
        if let Some(range) = taken.lost {
            lane.tell_lost(range, self.shown);
        }
        (tap, machine, lane)
    }

    /// Takes up what is deployed now; false if the lane has to be taken over anew for it.
    fn reload(&mut self, lane: &mut Driven, machine: &mut Machine) -> bool {
        self.shared.faults.hit("lane.before_swap");
        let (scope, deployed) = self.scope();
        let goes_on = scope.spec.incarnation == lane.scope.spec.incarnation
            && scope.stream() == lane.scope.stream()
            && (lane.fence.is_some() || !scope.remembers);
        if goes_on {
            lane.own.meter = self.shown.meter(scope.spec.version, count(&deployed));
            lane.beside = self.beside(&deployed);
            (lane.scope, lane.own.program) = (scope.clone(), deployed.program);
            self.shared.faults.hit("lane.in_swap");
            machine.reload(scope);
        }
        self.shared.faults.hit("lane.after_swap");
        goes_on
    }

    /// Runs from a checkpoint on; `None`: to be taken over anew.
    async fn drive(
        &mut self,
        scope: Scope,
        deployed: Deployed,
        taken: Taken,
    ) -> Result<Option<End>, LaneError> {
        let (mut tap, mut machine, mut lane) = self.begin(scope, deployed, taken);
        loop {
            if self.grant.is_lost() {
                return Ok(Some(End::Superseded));
            }
            if self.deployed.has_changed().unwrap_or(false) && !self.reload(&mut lane, &mut machine)
            {
                return Ok(None);
            }
            if self.stop.is_triggered() {
                self.shared.faults.hit("lane.before_drain");
                machine.drain();
            }
            let mut action = Some(machine.next(now_us()));
            while let Some(current) = action.take() {
                match current {
                    Action::Run(items) => self.call(&mut lane, &mut machine, items).await,
                    Action::ReadParked { subject, from, to } => {
                        action = self
                            .read_parked(&lane.scope, &mut machine, subject, from, to)
                            .await
                    }
                    Action::Recall(keys) => {
                        action = self.recall(&lane.scope, &mut machine, keys).await
                    }
                    Action::AskTime => {
                        time::tell(&self.shared.bus, &lane.scope, &mut machine).await
                    }
                    Action::Commit(commit) => match self.commit(&mut lane, *commit).await? {
                        Landed::At(seq) => machine.committed(seq),
                        Landed::Superseded => return Ok(Some(End::Superseded)),
                        Landed::Moved => return Ok(None),
                    },
                    Action::Wait { until, hungry } => {
                        self.wait(&mut lane, &mut machine, &mut tap, until, hungry)
                            .await?
                    }
                    Action::Halted(reason) => {
                        if let Some(end) = self.hold(&reason, Some(&mut lane)).await {
                            return Ok(Some(end));
                        }
                    }
                    Action::Done => return Ok(Some(End::Stopped)),
                }
            }
            lane.report(&mut machine, &tap, self.shown);
        }
    }

    async fn call(&self, lane: &mut Driven, machine: &mut Machine, items: Vec<Item>) {
        self.shared.faults.hit("lane.before_run");
        let result = match &lane.beside {
            Some(beside) => beside.run(&lane.own, &lane.scope, items).await,
            None => lane.own.run(items).await,
        };
        if lane.beside.as_ref().is_some_and(Beside::is_over) {
            self.shared.faults.hit("trial.failed");
            self.shown.trial_failed();
            lane.end_trial(machine);
        }
        match result {
            Ok(handled) => machine.ran(handled, now_us()),
            Err(broken @ Broken::Init(_)) => machine.run_failed(Some(broken.to_string())),
            Err(broken) => {
                if broken != Broken::Rests {
                    tracing::warn!(function = lane.name(), lane = self.lane.0, "{broken}");
                }
                machine.run_failed(None);
                tokio::time::sleep(UNAVAILABLE_DELAY).await;
            }
        }
    }

    async fn commit(&self, lane: &mut Driven, mut commit: Commit) -> Result<Landed, BusError> {
        self.commits("lane.before_commit", "lane.before_last_commit");
        let began = Instant::now();
        let (lost, scope) = (|| self.grant.is_lost(), &lane.scope);
        if let (Some(change), Some(fence)) = (commit.change.take(), &mut lane.fence) {
            let lease = (self.grant.revision, *fence);
            match recall::store(&self.shared.bus, scope, &change, lease, lost).await? {
                Landed::At(seq) => *fence = seq,
                other => return Ok(other),
            }
            self.commits("lane.after_remembering", "lane.after_last_remembering");
        }
        let landed =
            commit::store(&self.shared.bus, scope, commit, &self.shared.faults, lost).await;
        lane.own.meter.committed(began.elapsed());
        self.commits("lane.after_commit", "lane.after_last_commit");
        landed
    }

    /// A step of a commit, which has another name beside its own where it may be the last.
    fn commits(&self, step: &'static str, last: &'static str) {
        self.shared.faults.hit(step);
        if self.stop.is_triggered() {
            self.shared.faults.hit(last);
        }
    }

    async fn recall(&self, scope: &Scope, machine: &mut Machine, keys: Vec<Key>) -> Option<Action> {
        match recall::load(&self.shared.bus, scope, keys).await {
            Ok(read) => Some(machine.recalled(read)),
            Err(error) => {
                tracing::warn!(%error, function = %scope.spec.name, lane = self.lane.0, "what is remembered cannot be read");
                machine.run_failed(None);
                tokio::time::sleep(UNAVAILABLE_DELAY).await;
                None
            }
        }
    }

    async fn read_parked(
        &self,
        scope: &Scope,
        machine: &mut Machine,
        subject: Subject,
        from: u64,
        to: u64,
    ) -> Option<Action> {
        match range::read(&self.shared.bus, scope, &subject, from, to).await {
            Ok((events, complete)) => machine.parked_read(events, complete, now_us()),
            Err(error) => {
                tracing::warn!(%error, function = %scope.spec.name, lane = self.lane.0, "a parked channel cannot be read");
                machine.parked_read(Vec::new(), false, now_us())
            }
        }
    }

    async fn wait(
        &mut self,
        lane: &mut Driven,
        machine: &mut Machine,
        tap: &mut Tap,
        until: Option<u64>,
        hungry: bool,
    ) -> Result<(), TapError> {
        let pause = until.map(|until| Duration::from_micros(until.saturating_sub(now_us())));
        // All branches are cancel safe: they only wait, and the tap keeps what it has.
        tokio::select! {
            events = tap.next_batch(), if hungry => {
                let events = events?;
                lane.unread.read(events.last().map_or(0, |event| event.seq));
                machine.push(events);
            }
            Ok(()) = lane.kept.changed() => {
                let idle = hungry && tap.pending() == 0;
                lane.look(idle, machine, self.shown);
                if idle && machine.is_quiet() {
                    lane.follow(&self.shared.bus, machine).await;
                }
            }
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            _ = self.deployed.changed() => self.deployed.mark_changed(),
            () = self.grant.lost() => {}
            () = self.stop.triggered() => {}
        }
        Ok(())
    }

    /// Holds a halted lane: nobody else could do better with the same spec. `None`:
    /// there is another spec now.
    async fn hold(&mut self, reason: &str, mut lane: Option<&mut Driven>) -> Option<End> {
        let function = self.deployed.borrow().program.spec.name.to_string();
        tracing::error!(
            function,
            lane = self.lane.0,
            reason,
            "function halted on the lane until its spec changes"
        );
        self.shown.halted(Some(reason));
        let end = loop {
            let shown = self.shown;
            let looks = async {
                match &mut lane {
                    Some(lane) => lane.overtaken(shown).await,
                    None => std::future::pending().await,
                }
            };
            // All branches are cancel safe: they only wait.
            tokio::select! {
                changed = self.deployed.changed() => {
                    self.deployed.mark_changed();
                    break changed.is_err().then_some(End::Stopped);
                }
                () = self.grant.lost() => break Some(End::Superseded),
                () = self.stop.triggered() => break Some(End::Stopped),
                () = looks => {}
            }
        };
        self.shown.halted(None);
        end
    }
}

/// What the version that most channels have does during a trial.
fn count(deployed: &Deployed) -> Option<Count> {
    let trial = deployed.trial.as_ref();
    trial.map(|trial| trial.other.clone())
}
