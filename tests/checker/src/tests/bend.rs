//! How a valid history is bent: one message looked up, changed, repeated or taken away.
//!
//! State: none. Must not know: which violation that is.

use super::generator::EVENTS;
use crate::{Expected, History, Kind, Refused, Stored, Tick, Verdict};

pub fn refuse(h: &mut History, publisher: String, n: u64) {
    let (channel, code) = ("acme/chat.room0".into(), "forbidden".into());
    h.push(Refused {
        publisher,
        n,
        channel,
        code,
        temporary: false,
    });
}

/// A stored message that fits, in the middle of the history rather than at an end.
pub fn find(h: &mut History, fits: impl Fn(&Stored) -> bool) -> &mut Stored {
    let count = h.stored.iter().filter(|s| fits(s)).count();
    h.stored
        .iter_mut()
        .filter(|s| fits(s))
        .nth(count / 2)
        .expect("the base history has one")
}

pub fn is_output(s: &Stored) -> bool {
    s.kind == Kind::Ev && s.ordinal.is_some()
}

pub fn is_direct(s: &Stored) -> bool {
    s.kind == Kind::Ev && s.function.is_none()
}

pub fn is_checkpoint(s: &Stored) -> bool {
    matches!(s.kind, Kind::Checkpoint { .. })
}

/// A checkpoint of a lane that has got somewhere.
pub fn is_progress(s: &Stored) -> bool {
    matches!(s.kind, Kind::Checkpoint { input_seq: 1.., .. })
}

/// Stores a copy of a message again at the end of its stream, with everything else consistent.
pub fn again(h: &mut History, fits: impl Fn(&Stored) -> bool, change: impl Fn(&mut Stored)) {
    let mut copy = find(h, fits).clone();
    let state = h
        .streams
        .iter_mut()
        .find(|s| s.stream == copy.stream)
        .expect("declared");
    state.last_seq += 1;
    copy.seq = state.last_seq;
    change(&mut copy);
    h.push(copy);
}

/// A function on a schedule of ten seconds, with these ticks: when due, number, left out.
pub fn ticking(h: &mut History, ticks: &[(u64, u64, u64)]) {
    let mut function = h.functions[0].clone();
    function.name = "clock".into();
    function.input_stream = EVENTS.into();
    function.channels = vec!["acme/reports.tick".into()];
    function.every_s = Some(10);
    h.push(function);
    let lane = h.stored.iter().map(|s| s.lane).max().unwrap_or_default() + 1;
    for (due, n, missed) in ticks.iter().copied() {
        again(h, is_direct, |s| {
            s.id = format!("clock/tick/{due}");
            (s.lane, s.channel) = (lane, "acme/reports.tick".into());
            let function = "clock".into();
            s.tick = Some(Tick {
                function,
                due,
                n,
                missed,
            });
        });
    }
}

/// Removes everything that a function stored for one input.
pub fn unanswer(h: &mut History, fits: impl Fn(&Stored) -> bool) {
    let source = find(h, fits).source.clone();
    h.stored.retain(|s| s.source != source);
}

/// Two sequences of one stream change places.
pub fn swap(h: &mut History, stream: &str, a: u64, b: u64) {
    for s in h.stored.iter_mut().filter(|s| s.stream == stream) {
        match s.seq {
            seq if seq == a => s.seq = b,
            seq if seq == b => s.seq = a,
            _ => {}
        }
    }
}

/// The first two messages that fit and belong together by a name.
pub fn pair(
    h: &History,
    fits: impl Fn(&Stored) -> bool,
    name: impl Fn(&Stored) -> String,
) -> (Stored, Stored) {
    let mut fitting: Vec<_> = h.stored.iter().filter(|s| fits(s)).collect();
    fitting.sort_by_key(|s| (name(s), s.seq));
    let two = fitting
        .windows(2)
        .find(|two| name(two[0]) == name(two[1]))
        .expect("there are two");
    (two[0].clone(), two[1].clone())
}

pub fn expect_verdict(h: &mut History, verdict: Verdict) {
    let input_seq = find(h, |s| s.ordinal == Some(0) && from_gate(s))
        .source
        .clone()
        .expect("output")
        .seq;
    h.functions[0].expectation = Some(vec![Expected { input_seq, verdict }]);
}

pub fn from_gate(s: &Stored) -> bool {
    s.function.as_deref() == Some("gate")
}
