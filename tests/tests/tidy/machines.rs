//! State machines see `protocol` alone and never await, so that they are tried without
//! a runtime and run in simulations.

use super::tree;

/// Every machine of the project.
const MACHINES: [&str; 42] = [
    "auth/src/cache.rs",
    "auth/src/keys.rs",
    "bridge/src/mirror/relay.rs",
    "bus/src/codes.rs",
    "bus/src/share.rs",
    "bus/src/whole.rs",
    "chain/src/ring.rs",
    "chain/src/state.rs",
    "client/src/chain.rs",
    "client/src/outstanding.rs",
    "edge/src/core/publisher/order.rs",
    "edge/src/core/publisher/turns.rs",
    "edge/src/core/session/state.rs",
    "host/src/turns.rs",
    "presence/src/nodes.rs",
    "presence/src/room.rs",
    "presence/src/roster.rs",
    "presence/src/told.rs",
    "shares/src/budget.rs",
    "shares/src/credit.rs",
    "shares/src/ledger.rs",
    "shares/src/line.rs",
    "shares/src/lossy.rs",
    "shares/src/outbox.rs",
    "shares/src/places.rs",
    "shares/src/pushing.rs",
    "shares/src/sieve.rs",
    "websocket/src/frame.rs",
    "websocket/src/parser.rs",
    "workers/src/fleet/share.rs",
    "workers/src/fleet/state.rs",
    "workers/src/lane/progress.rs",
    "workers/src/lane/retry.rs",
    "workers/src/lane/slot.rs",
    "workers/src/lane/staging.rs",
    "workers/src/lane/state.rs",
    "workers/src/lane/ticks.rs",
    "workers/src/lane/verdict.rs",
    "workers/src/request/answer.rs",
    "workers/src/trial/judge.rs",
    "workers/src/trial/jury.rs",
    "workers/src/trial/split.rs",
];

/// What none of them may name outside comments: who carries, waits or runs.
const FORBIDDEN: [&str; 15] = [
    ".await",
    "async ",
    "async_nats",
    "bus::Bus",
    "use bus::",
    "host::Host",
    "host::engine",
    "host::module",
    "host::pool",
    "use service::",
    "rdkafka",
    "tokio::spawn",
    "tokio::sync",
    "SystemTime",
    "wasmtime",
];

/// Lines of a source, tests and comments left out, that name something forbidden.
fn seen(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.filter(|line| FORBIDDEN.iter().any(|name| line.contains(name)))
        .collect()
}

#[test]
fn machines_see_the_protocol_alone() {
    for machine in MACHINES {
        let text = tree::read(&tree::root().join(machine));
        let seen = seen(&text);
        assert!(seen.is_empty(), "{machine}: {seen:?}");
    }
}

#[test]
fn a_machine_that_waits_is_found() {
    let text = "use bus::BusError;\n// use bus::Bus;\nfn f() {}\n#[cfg(test)]\nuse service::x;\n";
    assert_eq!(seen(text), ["use bus::BusError;"]);
}
