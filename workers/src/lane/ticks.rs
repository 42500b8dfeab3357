//! A schedule on the lane of its ticks: when the next is due, what is stored of it, and
//! how far the schedule has come then.
//!
//! Owns what is known of the server's clock. Ticks are made by that clock, the one by
//! which events are stamped: whichever worker has the lane, and however wrong its own clock
//! is, it makes the same ticks at the same times. It never awaits, and must not know who
//! asks the server.

use protocol::bus::Outgoing;
use protocol::envelope::Envelope;
use protocol::header;
use protocol::spec::Schedule;
use protocol::subject::{Kind, Subject};
use protocol::tick::{Tick, Ticked};

use super::messages::Scope;

/// Wait before the server is asked for its time again that did not say it, microseconds.
const ASK_AGAIN_US: u64 = 500_000;
const SECOND_US: u64 = 1_000_000;

/// The server's clock, as far as this worker knows it.
#[derive(Debug, Default)]
pub struct Clock {
    /// How far it was ahead of the worker's own when it was last asked, microseconds.
    ahead_us: Option<i64>,
    not_before: u64,
}

impl Clock {
    /// When the server is to be asked for its time, by the worker's own clock, because
    /// something is due then; both in microseconds since 1970. `None`: never.
    pub fn ask_at(&self, schedule: &Schedule, ticked: Option<&Ticked>) -> Option<u64> {
        let known = self.ahead_us.zip(ticked.filter(|to| goes_on(schedule, to)));
        let Some((ahead_us, ticked)) = known else {
            return Some(self.not_before);
        };
        let due_us = schedule.after(ticked.until)?.saturating_mul(SECOND_US);
        Some(due_us.saturating_add_signed(-ahead_us).max(self.not_before))
    }

    /// The server said its time, or did not.
    pub fn told(&mut self, server_us: Option<u64>, now: u64) {
        match server_us {
            Some(server_us) => {
                self.ahead_us = Some(server_us.wrapping_sub(now).cast_signed());
                self.not_before = 0;
            }
            None => self.not_before = now + ASK_AGAIN_US,
        }
    }
}

/// Whether what is known belongs to these times.
fn goes_on(schedule: &Schedule, ticked: &Ticked) -> bool {
    ticked.times == schedule.times()
}

/// One step of a schedule.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// How far it has come then.
    pub ticked: Ticked,
    /// The tick, unless none is made.
    pub tick: Option<Tick>,
    /// Ticks that this step leaves out.
    pub left_out: u64,
}

/// The steps that are to be taken at a time of the server, in order. A schedule begins
/// with the first tick that is due after it was first seen, and so does one whose times
/// have changed.
pub fn steps(schedule: &Schedule, ticked: Option<&Ticked>, server_us: u64) -> Vec<Step> {
    let now = server_us / SECOND_US;
    let Some(ticked) = ticked.filter(|ticked| goes_on(schedule, ticked)) else {
        return vec![begin(schedule, ticked, now)];
    };
    let due = schedule.due(ticked.until, now);
    let (mut n, mut missed) = (ticked.n, ticked.missed + due.left_out);
    let mut steps = Vec::with_capacity(due.make.len());
    let mut left_out = due.left_out;
    for at in due.make {
        n += 1;
        steps.push(Step {
            ticked: progress(schedule, at, n, 0),
            tick: Some(Tick { due: at, n, missed }),
            left_out,
        });
        (missed, left_out) = (0, 0);
    }
    if let (true, Some(until)) = (steps.is_empty(), due.until) {
        steps.push(Step {
            ticked: progress(schedule, until, n, missed),
            tick: None,
            left_out,
        });
    }
    steps
}

fn begin(schedule: &Schedule, before: Option<&Ticked>, now: u64) -> Step {
    // Never before what other times have made: two ticks would have one id.
    let until = before.map_or(now, |before| now.max(before.until));
    let n = before.map_or(0, |before| before.n);
    Step {
        ticked: progress(schedule, until, n, 0),
        tick: None,
        left_out: 0,
    }
}

fn progress(schedule: &Schedule, until: u64, n: u64, missed: u64) -> Ticked {
    Ticked {
        until,
        n,
        missed,
        times: schedule.times().to_owned(),
    }
}

/// The event of a tick.
pub fn message(scope: &Scope, schedule: &Schedule, tick: &Tick) -> Outgoing {
    let envelope = Envelope {
        id: tick.id(&scope.spec.name),
        time: Some(tick.due * SECOND_US),
        ..Envelope::default()
    };
    let mut headers = envelope.to_headers();
    headers.push(header::TICK, scope.spec.name.as_str());
    let (tenant, channel) = (schedule.tenant(), schedule.channel());
    let payload = serde_json::to_vec(tick).expect("a tick has only numbers");
    Outgoing {
        subject: Subject::event(Kind::Ev, &scope.store.name, scope.lane, tenant, channel),
        headers,
        payload: payload.into(),
        msg_id: None,
        expect: None,
    }
}

#[cfg(test)]
mod tests;
