//! What becomes of a candidate, by what it and the version beside it have done.
//!
//! Owns nothing: a pure decision from the terms of the trial, figures and the time.

use std::time::Duration;

use protocol::spec::{Canary, Verdict};
use protocol::work::Work;

/// Events of each version before their shares are compared: of fewer, one event more or
/// less says nothing. A trial on fewer is judged on those.
pub const COMPARED_EVENTS_MIN: u64 = 50;
/// How much larger a candidate's share of rejected or repeated events may be: one in a
/// hundred.
pub const SHARE_MARGIN: f64 = 0.01;
/// And how much of what is above that may be chance, in standard deviations. A trial is
/// looked at again and again: of versions that are at the very margin, three would take
/// back 4 to 7 in a hundred and four 1 (drawn 2,000 times, looked at after each of 5,000
/// events); of those that are as good as the other, none.
pub const CHANCE_DEVIATIONS: f64 = 4.0;
/// Events of each version before their guest times are compared: what an instance costs to
/// start is spread over them.
pub const TIMED_EVENTS_MIN: u64 = 200;
/// How often the guest time of the version beside it a candidate may take.
pub const TIME_FACTOR: f64 = 2.0;
/// Guest time an event that is never too much, microseconds: a candidate with few channels
/// has small batches, and a call costs some microseconds. Far below what anybody notices
/// of an event's whole way.
pub const TIME_US_FREE: f64 = 100.0;

/// What is known of a trial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Why the candidate does not run on some worker, or not any more.
    pub failed: Option<String>,
    /// What the candidate has done.
    pub candidate: Work,
    /// What the version beside it has done on the other channels.
    pub other: Work,
}

/// Decides at `now_us` (microseconds since 1970); with the reason, for people. `beside` is
/// the version beside the candidate. `None`: it goes on.
pub fn judge(
    canary: &Canary,
    beside: u64,
    figures: &Figures,
    now_us: u64,
) -> Option<(Verdict, String)> {
    if let Some(reason) = worse(canary, beside, figures) {
        return Some((Verdict::RolledBack, reason));
    }
    let (tried, compared) = (figures.candidate.settled(), handled(&figures.other));
    let least = COMPARED_EVENTS_MIN.min(canary.events_min);
    let enough = tried >= canary.events_min && compared >= least;
    if enough && now_us >= canary.due_us() {
        return Some((Verdict::Promoted, no_worse(canary, beside, figures, now_us)));
    }
    if now_us < canary.last_us() {
        return None;
    }
    let (time, wanted) = (span(canary, now_us), canary.events_min);
    let reason = match tried >= wanted {
        false => {
            format!("after {time} it has handled {tried} events of the {wanted} to judge it by")
        }
        true => format!(
            "after {time} version {beside} has handled {compared} events of the {least} to compare \
             it with"
        ),
    };
    Some((Verdict::RolledBack, reason))
}

/// Why a candidate is worse than the version beside it, if it is.
fn worse(canary: &Canary, beside: u64, figures: &Figures) -> Option<String> {
    let Figures {
        failed,
        candidate,
        other,
    } = figures;
    if failed.is_some() {
        return failed.clone();
    }
    let events = handled(candidate).min(handled(other));
    if events < COMPARED_EVENTS_MIN.min(canary.events_min) {
        return None;
    }
    for (what, of) in [
        ("rejects", rejected as fn(&Work) -> u64),
        ("repeats", |work| work.retry),
    ] {
        let (one, all) = (of(candidate), handled(candidate));
        let (share, beside_share) = (part(one, all), part(of(other), handled(other)));
        let base = (beside_share + SHARE_MARGIN).min(1.0);
        let chance = CHANCE_DEVIATIONS * (base * (1.0 - base) / all as f64).sqrt();
        if share > base + chance {
            return Some(format!(
                "it {what} {one} of {all} events, {}; version {beside} {}",
                percent(share),
                percent(beside_share)
            ));
        }
    }
    let (took, usual) = (time_us(candidate), time_us(other));
    let timed = events >= TIMED_EVENTS_MIN.min(canary.events_min);
    let slow = took > TIME_FACTOR * usual && took > usual + TIME_US_FREE;
    (timed && slow).then(|| {
        format!("it takes {took:.0} µs of guest time an event, version {beside} {usual:.0} µs")
    })
}

fn no_worse(canary: &Canary, beside: u64, figures: &Figures, now_us: u64) -> String {
    let Figures {
        candidate, other, ..
    } = figures;
    let share = |work: &Work| percent(part(rejected(work), handled(work)));
    format!(
        "{} events in {}: it rejects {}, version {beside} {}; it takes {:.0} µs of guest time an \
         event, version {beside} {:.0} µs",
        candidate.settled(),
        span(canary, now_us),
        share(candidate),
        share(other),
        time_us(candidate),
        time_us(other),
    )
}

/// Events that a version has answered, as often as it has.
fn handled(work: &Work) -> u64 {
    work.ack + work.drop + work.reject + work.retry
}

fn rejected(work: &Work) -> u64 {
    work.reject + work.dead_letter
}

fn part(count: u64, all: u64) -> f64 {
    count as f64 / all.max(1) as f64
}

fn time_us(work: &Work) -> f64 {
    work.cpu_us as f64 / handled(work).max(1) as f64
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// How long it has been on trial, in whole seconds where it has been any.
fn span(canary: &Canary, now_us: u64) -> String {
    let ms = now_us.saturating_sub(canary.since_us()) / 1_000;
    let shown = if ms < 1_000 { ms } else { ms / 1_000 * 1_000 };
    let unit = |seconds: u64| match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    };
    match Duration::from_millis(shown).as_secs() {
        0 => format!("{shown} ms"),
        seconds => unit(seconds),
    }
}

#[cfg(test)]
mod tests;
