//! Ticks of the function's schedule: made by the lane that they belong to, as part of a
//! commit like any other, so that its guard lets each be stored once.
//!
//! Owns nothing of its own: it is part of the state machine.

use super::{Action, Flight, Machine};
use crate::lane::progress::Effect;
use crate::lane::ticks;

/// What became of the ticks that were due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    /// They are staged.
    pub made: u64,
    /// They were missed, and are left out.
    pub left_out: u64,
}

impl Machine {
    /// When a tick is due, or the server's time is not known; microseconds since 1970.
    pub(super) fn next_tick(&self) -> Option<u64> {
        let schedule = self.scope.schedule()?;
        let ticked = self.staging.view.ticked.as_ref();
        self.clock.ask_at(schedule, ticked)
    }

    pub(super) fn ask_time(&mut self) -> Action {
        self.flight = Some(Flight::AskingTime);
        Action::AskTime
    }

    /// The time of the server that leads EVENTS, microseconds since 1970; `None`: it could
    /// not be had. Stages the ticks that are due by it.
    ///
    /// # Panics
    /// If nothing was asked for.
    pub fn told_time(&mut self, server_us: Option<u64>, now: u64) -> Made {
        let asked = self.flight.take();
        assert!(
            matches!(asked, Some(Flight::AskingTime)),
            "the time comes while {asked:?} is under way"
        );
        self.clock.told(server_us, now);
        let mut made = Made::default();
        let (Some(schedule), Some(server_us)) = (self.scope.schedule().cloned(), server_us) else {
            return made;
        };
        let ticked = self.staging.view.ticked.as_ref();
        for step in ticks::steps(&schedule, ticked, server_us) {
            made.left_out += step.left_out;
            made.made += u64::from(step.tick.is_some());
            let tick = step.tick.iter();
            let messages = tick.map(|tick| ticks::message(&self.scope, &schedule, tick));
            let effect = Effect::ticked(step.ticked, messages.collect());
            self.stage(effect, now);
        }
        made
    }
}
