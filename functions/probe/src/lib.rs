//! A function for trying out outcomes: it does what each event tells it to.
//!
//! Deploy it on channels of its own to see what publishers, dead letters, logs
//! and alarms look like when a function rejects, retries, halts, traps, never
//! returns or eats memory. The data of an event is a JSON object:
//!
//! | Field | Meaning |
//! |---|---|
//! | `do` | `pass`, `drop`, `reject`, `retry`, `halt`, `trap`, `loop` (never returns), `memory` (allocates without end), `stack` (calls itself without end), `log`, `print`, `metrics`, `count`, `remember` (counts the events of its channel), `state` (remembers under many keys), `huge`, `emit` or `hand` |
//! | `until_attempt` | from this attempt on, `pass` instead; without it, never |
//! | `delay_ms` | for `retry`: how long to wait, in milliseconds; 0 unless given |
//! | `times` | for `emit` and `hand`: how many events to emit; for `log`, `print`, `metrics`, `state`: how many lines, names or keys; for `huge`: how many MiB to emit; 1 unless given |
//! | `channel` | for `emit`: where to; the event's own channel unless given |
//! | `value` | for `emit`: what to put into each; for `hand`: an order for the next stage; for `remember`: what to emit instead of the count; `null` unless given |
//! | `key` | for `remember`: what to count under; `count` unless given |
//! | `then` | for `remember`: what to do after it has counted, `reject`, `retry` or `trap`; before `until_attempt` alone where that is given |
//!
//! With the setting `order` it does that with every event, whatever the event says.
//!
//! `pass` emits the event as it is, as `log`, `print`, `metrics` and `state` do afterwards; `emit`
//! emits `{"n":0,"value":..}` and so on, counting up; `hand` emits the value alone; `count` emits how many events this
//! instance has counted so far. What is no such object is rejected.
//!
//! The setting `pass_is` names another action that is done wherever `pass` is ordered: so
//! two versions of this function do different things with the same events.
//!
//! Owns nothing. Must not know the host's limits: it is there to pass them.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Duration;

use sdk::{Config, Emitter, Event, Outcome, State, Worker, log, metrics};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// What `memory` takes at a time, in bytes: one page of Wasm memory.
const BLOCK_BYTES: usize = 64 * 1024;

/// What `huge` counts in, in bytes.
const MIB: usize = 1 << 20;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Pass,
    Drop,
    Reject,
    Retry,
    Halt,
    Trap,
    Loop,
    Memory,
    Stack,
    Log,
    Print,
    Metrics,
    Count,
    Huge,
    Emit,
    Hand,
    Remember,
    State,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    Reject,
    Retry,
    Trap,
}

#[derive(Deserialize)]
struct Order<'a> {
    #[serde(rename = "do")]
    action: Action,
    until_attempt: Option<u32>,
    #[serde(default)]
    delay_ms: u32,
    #[serde(default = "once")]
    times: u32,
    #[serde(default, borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(default, borrow)]
    key: Cow<'a, str>,
    then: Option<Then>,
}

fn once() -> u32 {
    1
}

#[derive(Serialize)]
struct Emitted<'a> {
    n: u32,
    value: Option<&'a RawValue>,
}

/// The function.
#[derive(Default)]
pub struct Probe {
    counted: u32,
    order: Option<String>,
    /// What is done where `pass` is ordered.
    pass_is: Option<Action>,
}

impl Worker for Probe {
    fn init(config: &Config) -> Result<Self, String> {
        let read = |name| {
            let name = Value::String(name);
            Action::deserialize(name).map_err(|error| format!("pass_is: {error}"))
        };
        let pass_is = config.get("pass_is").map(str::to_owned).map(read);
        Ok(Self {
            order: config.get("order").map(str::to_owned),
            pass_is: pass_is.transpose()?,
            ..Self::default()
        })
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let order = self.order.as_deref().map(str::as_bytes);
        let order: Order<'_> = match serde_json::from_slice(order.unwrap_or(event.data())) {
            Ok(order) => order,
            Err(error) => return Outcome::reject(format!("not an order: {error}")),
        };
        let last = order
            .until_attempt
            .is_some_and(|last| event.attempt() >= last);
        let action = match (order.action, self.pass_is) {
            (Action::Pass, Some(other)) => other,
            (action, _) => action,
        };
        match action {
            Action::Remember => remember(&order, last, event, out),
            _ if last => out.pass(),
            Action::Pass => out.pass(),
            Action::Drop => Outcome::drop("dropped as told"),
            Action::Reject => Outcome::reject("rejected as told"),
            Action::Retry => {
                let delay = Duration::from_millis(order.delay_ms.into());
                Outcome::retry(delay, "retried as told")
            }
            Action::Halt => Outcome::halt("halted as told"),
            Action::Trap => panic!("trapped as told"),
            Action::Loop => spin(),
            Action::Memory => fill(),
            Action::Stack => Outcome::reject(format!("{} deep", descend(0))),
            Action::Log | Action::Print | Action::Metrics => {
                flood(&order, event);
                out.pass()
            }
            Action::Count => {
                self.counted += 1;
                let data = self.counted.to_string();
                out.emit().data(data.as_bytes());
                Outcome::Ack
            }
            Action::Huge => {
                let data = vec![b'x'; order.times as usize * MIB];
                out.emit().data(&data);
                Outcome::Ack
            }
            Action::Emit => emit(&order, out),
            Action::Hand => hand(&order, out),
            Action::State => {
                let state = State::of(event);
                let mut keys = (0..order.times).map(|n| state.put(&format!("k{n}"), ""));
                match keys.find_map(Result::err) {
                    Some(error) => Outcome::reject(error.to_string()),
                    None => out.pass(),
                }
            }
        }
    }
}

fn hand(order: &Order<'_>, out: &mut Emitter<'_>) -> Outcome {
    let value = order.value.map_or("null", RawValue::get);
    for _ in 0..order.times {
        out.emit().data(value.as_bytes());
    }
    Outcome::Ack
}

fn emit(order: &Order<'_>, out: &mut Emitter<'_>) -> Outcome {
    for n in 0..order.times {
        let emitted = Emitted {
            n,
            value: order.value,
        };
        let written = out
            .emit()
            .channel(&order.channel)
            .content_type("application/json")
            .write(|writer| serde_json::to_writer(writer, &emitted));
        if let Err(error) = written {
            return Outcome::reject(format!("value cannot be written: {error}"));
        }
    }
    Outcome::Ack
}

/// Counts before it knows whether the event passes, so that what is taken back shows.
fn remember(order: &Order<'_>, last: bool, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
    let key = if order.key.is_empty() {
        "count"
    } else {
        &order.key
    };
    let state = State::of(event);
    let count = state.parse::<u64>(key).unwrap_or(0) + 1;
    if let Err(error) = state.put(key, count.to_string()) {
        return Outcome::reject(error.to_string());
    }
    match order.then.filter(|_| !last) {
        Some(Then::Reject) => return Outcome::reject("counted and rejected as told"),
        Some(Then::Retry) => return Outcome::retry(Duration::ZERO, "counted and retried as told"),
        Some(Then::Trap) => panic!("counted and trapped as told"),
        None => {}
    }
    let count = format!(r#"{{"count":{count}}}"#);
    let data = order.value.map_or(count.as_str(), RawValue::get);
    out.emit()
        .content_type("application/json")
        .data(data.as_bytes());
    Outcome::Ack
}

#[allow(
    clippy::print_stdout,
    reason = "what a guest prints is what this action shows"
)]
fn flood(order: &Order<'_>, event: &Event<'_>) {
    for n in 0..order.times {
        match order.action {
            Action::Log => log::info(&format!("line {n}")),
            Action::Print => println!("line {n}"),
            _ => metrics::count(&format!("name_{}_{n}", event.seq()), 1),
        }
    }
}

/// The optimiser must not make a loop of it.
#[allow(
    unconditional_recursion,
    reason = "the end of the stack is what this action shows"
)]
fn descend(depth: u64) -> u64 {
    black_box(descend(black_box(depth + 1)) + 1)
}

/// The optimiser must not see that the loop does nothing.
fn spin() -> Outcome {
    loop {
        black_box(());
    }
}

fn fill() -> Outcome {
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(vec![1_u8; BLOCK_BYTES]));
    }
}

sdk::export!(Probe);

#[cfg(test)]
mod tests;
