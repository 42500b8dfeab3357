//! Schedules: each tick is stored once, in order, and what is left out is told by the next.
//!
//! State: none. Must not know: what functions make of ticks; they are inputs like others.

use std::collections::HashMap;

use crate::index::{Index, place};
use crate::record::Tick;
use crate::report::Sink;
use crate::violation::Violation;

pub(crate) fn check(index: &Index<'_>, sink: &mut Sink) {
    let functions = index.history.functions.iter();
    let scheduled =
        functions.filter_map(|function| Some((function.name.as_str(), function.every_s?)));
    let every: HashMap<&str, u64> = scheduled.collect();
    let mut last: HashMap<&str, &Tick> = HashMap::new();
    for stored in index.streams.values().flatten() {
        let Some(tick) = &stored.tick else {
            continue;
        };
        let function = tick.function.as_str();
        let before = last.insert(function, tick);
        let n = before.map_or(1, |before| before.n + 1);
        if tick.n != n {
            sink.push(Violation::TickOutOfOrder {
                function: function.into(),
                place: place(stored),
                expected: n,
                found: tick.n,
            });
        }
        let Some(every) = every.get(function) else {
            sink.push(Violation::UnknownFunction {
                function: function.into(),
                place: place(stored),
            });
            continue;
        };
        let due = before.map(|before| before.due + every * (tick.missed + 1));
        if let Some(due) = due.filter(|due| *due != tick.due) {
            sink.push(Violation::TickNotDue {
                function: function.into(),
                place: place(stored),
                expected: due,
                found: tick.due,
            });
        }
    }
}
