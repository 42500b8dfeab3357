//! Tells a lane's machine the time by which its ticks are made: the clock of the server
//! that leads EVENTS. Owns nothing.

use bus::Bus;
use protocol::stream::StreamName;
use service::clock::now_us;

use super::messages::Scope;
use super::state::Machine;

/// Asks for the time, and tells and counts what becomes of the ticks that are due. Not
/// cancel safe: the machine waits for it.
pub async fn tell(bus: &Bus, scope: &Scope, machine: &mut Machine) {
    let events = StreamName::events(&scope.store.name);
    let function = scope.spec.name.as_str();
    let server_us = bus.server_time(&events).await;
    if let Err(error) = &server_us {
        tracing::warn!(%error, function, lane = scope.lane.0, "the time of the server is not known, ticks wait");
    }
    let ticks = machine.told_time(server_us.ok(), now_us());
    metrics::counter!("function_ticks_total", "function" => function.to_owned())
        .increment(ticks.made);
    if ticks.left_out > 0 {
        metrics::counter!("function_ticks_missed_total", "function" => function.to_owned())
            .increment(ticks.left_out);
        tracing::warn!(
            function,
            missed = ticks.left_out,
            made = ticks.made,
            "ticks were missed and are left out"
        );
    }
}
