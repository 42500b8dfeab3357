//! A lane under way: its versions, what it has read, and what is told of it.
//!
//! Owns what lasts from one takeover to the next. It must not know in which order things
//! are done: that is [`super::run`]'s.

use std::sync::Arc;

use bus::Bus;
use service::clock::now_us;
use tokio::sync::watch;

use super::beside::Beside;
use super::kept::{Kept, Unread};
use super::messages::Scope;
use super::quiet;
use super::state::Machine;
use super::tally::Tally;
use super::version::Version;
use crate::intake::Tap;
use crate::status::OwnedLane;

/// A lane under way.
pub(super) struct Driven {
    pub(super) own: Version,
    /// The version on trial.
    pub(super) beside: Option<Beside>,
    pub(super) scope: Scope,
    /// The sequence of our fence in STATE, if the function remembers anything.
    pub(super) fence: Option<u64>,
    pub(super) kept: watch::Receiver<Kept>,
    pub(super) unread: Unread,
}

impl Driven {
    pub(super) fn name(&self) -> String {
        self.scope.spec.name.to_string()
    }

    /// The candidate has failed: its channels are the function's from now on.
    pub(super) fn end_trial(&mut self, machine: &mut Machine) {
        self.beside = None;
        self.scope.spec = Arc::new(self.scope.spec.without_canary());
        machine.reload(self.scope.clone());
    }

    /// Compares what was read with what the stream keeps now.
    pub(super) fn look(&mut self, idle: bool, machine: &mut Machine, shown: &OwnedLane) {
        let kept = *self.kept.borrow_and_update();
        machine.keeps_from(kept.first);
        if let Some(range) = self.unread.look(kept, idle) {
            self.tell_lost(range, shown);
        }
    }

    /// Lets a quiet lane's position follow the stream before retention passes it.
    pub(super) async fn follow(&mut self, bus: &Bus, machine: &mut Machine) {
        let (position, kept) = (machine.position(), *self.kept.borrow());
        if !quiet::is_due(position, kept) {
            return;
        }
        match quiet::end(bus, &self.scope, position).await {
            Ok(Some(at)) => {
                self.unread.read(at.0);
                machine.move_on(at, now_us());
            }
            // Its inputs are on their way to it.
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, function = self.name(), lane = self.scope.lane.0, "how far a quiet lane may move is not known now");
            }
        }
    }

    /// Waits until the stream was looked at again, while the lane stands still. Cancel
    /// safe.
    pub(super) async fn overtaken(&mut self, shown: &OwnedLane) {
        if self.kept.changed().await.is_err() {
            return std::future::pending().await;
        }
        let kept = *self.kept.borrow_and_update();
        if let Some(range) = self.unread.look(kept, false) {
            self.tell_lost(range, shown);
        }
    }

    /// Retention has taken inputs, or may have: nobody can say how many were the lane's.
    pub(super) fn tell_lost(&self, (from, to): (u64, u64), shown: &OwnedLane) {
        metrics::counter!("function_inputs_lost_total", "function" => self.name())
            .increment(to - from + 1);
        tracing::error!(
            function = self.name(),
            lane = self.scope.lane.0,
            from,
            to,
            "retention has taken a range that may hold inputs of this lane"
        );
        let stream = self.scope.stream();
        shown.lost(format!(
            "{stream} has lost {from} to {to}, which may hold inputs of this lane"
        ));
    }

    pub(super) fn report(&self, machine: &mut Machine, tap: &Tap, shown: &OwnedLane) {
        self.own.meter.settled(&machine.take_since(), now_us());
        let (tally, tried) = machine.take_tallies();
        if let Some(beside) = self.beside.as_ref().filter(|_| tried != Tally::default()) {
            beside.count(&tried);
        }
        if tally != Tally::default() {
            self.own.meter.count(&tally);
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
        shown.unread(tap.refused());
        let events = tap.pending() + machine.queued() as u64;
        shown.lags(events, machine.oldest(), machine.parked() as u64);
    }
}
