//! How far each of the servers of a stream has come: its leader, one that was deposed
//! and does not know it, a follower that lags. Pure; owns the marks, not the log.

use super::faults::{Dice, ModelFaults};
use super::log::{Log, VIEW_EVENTS_MAX};
use super::stream::micros;

/// The servers of one stream.
#[derive(Debug, Default)]
pub(super) struct Views {
    /// How far the follower has come; it never goes back.
    follower: u64,
    /// Until when a deposed leader answers too, and where it stopped.
    stale: Option<(u64, u64)>,
    /// Until when nobody leads.
    leaderless_until: u64,
    /// Grows when every consumer of the stream is lost.
    pub consumers: u64,
}

impl Views {
    /// Whether somebody leads.
    pub(super) fn led(&self, now: u64) -> bool {
        self.leaderless_until <= now
    }

    /// Nobody leads for a while.
    pub(super) fn depose(&mut self, until: u64) {
        self.leaderless_until = until;
    }

    /// From now on a leader that stands still here answers too.
    pub(super) fn freeze(&mut self, until: u64, last_seq: u64) {
        self.stale = Some((until, last_seq));
    }

    /// Up to which sequence a leader answers.
    pub(super) fn leader(
        &mut self,
        log: &Log,
        (now, link): (u64, usize),
        faults: &ModelFaults,
        dice: &mut Dice,
    ) -> u64 {
        let last = log.last_seq();
        match self.stale {
            Some((until, seq)) if now < until && last - seq < VIEW_EVENTS_MAX => {
                let deposed = if faults.leaders_alternate {
                    dice.coin()
                } else {
                    (until + link as u64).is_multiple_of(2)
                };
                if deposed { seq } else { last }
            }
            _ => {
                self.stale = None;
                if dice.happens("stale_leader", faults.stale_leader) {
                    let until = now + dice.micros(&faults.stale_for);
                    self.freeze(until, last);
                }
                last
            }
        }
    }

    /// Up to which sequence somebody answers who need not lead. `wall_us` is the time
    /// that events are stored with.
    pub(super) fn any(
        &mut self,
        log: &Log,
        wall_us: u64,
        faults: &ModelFaults,
        dice: &mut Dice,
    ) -> u64 {
        let last = log.last_seq();
        if !dice.happens("lag", faults.lag) {
            return last;
        }
        let behind = dice.up_to(faults.lag_events.min(VIEW_EVENTS_MAX - 1));
        let old = wall_us.saturating_sub(micros(faults.lag_for));
        let mut seq = last.saturating_sub(behind).max(self.follower.min(last));
        while seq < last
            && log
                .get(seq + 1, last)
                .is_none_or(|event| event.time_us <= old)
        {
            seq += 1;
        }
        self.follower = seq;
        seq
    }
}
