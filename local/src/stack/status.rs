//! What a stack is doing, in a few numbers. Reads; owns nothing.

use bus::Bus;
use protocol::stream::StreamName;
use serde::Serialize;
use service::telemetry;

use super::error::StackError;
use super::options::store;
use super::part::Seen;
use super::services::Services;

/// The metric of events put into outboxes, by edge nodes.
const DELIVERIES: &str = "edge_deliveries_total";
/// The metric of sessions.
const CONNECTIONS: &str = "edge_connections";

/// A stack at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Messages stored in EVENTS: events, dead letters and the functions' checkpoints.
    pub stored: u64,
    /// Messages stored in INGRESS: raw input of function namespaces.
    pub ingress: u64,
    /// Events put into clients' outboxes since the start.
    pub delivered: u64,
    /// WebSocket sessions.
    pub connections: u64,
    /// Lanes owned by the worker, over all functions.
    pub lanes_owned: usize,
    /// Lanes there are.
    pub lanes: usize,
    /// Messages stored but not yet mirrored, over both streams, if there is a mirror.
    pub mirror_lag: Option<u64>,
}

/// Reads the status.
pub(super) async fn read(bus: &Bus, services: &Services) -> Result<Status, StackError> {
    let (events, ingress) = (StreamName::events(&store()), StreamName::ingress(&store()));
    let stored = bus.stream_state(&events).await?.last_seq;
    let raw = bus.stream_state(&ingress).await?.last_seq;
    let lag = services.mirror.as_ref().map(|mirror| {
        let mirrored = |stream: &StreamName| match &*mirror.borrow() {
            Seen::Runs(status) => {
                let status = status.borrow();
                status.shards.get(stream).map_or(0, |shard| shard.mirrored)
            }
            _ => 0,
        };
        stored.saturating_sub(mirrored(&events)) + raw.saturating_sub(mirrored(&ingress))
    });
    let metrics = telemetry::metrics_handle().render();
    Ok(Status {
        stored,
        ingress: raw,
        delivered: total(&metrics, DELIVERIES),
        connections: total(&metrics, CONNECTIONS),
        lanes_owned: match &*services.worker.borrow() {
            Seen::Runs(status) => status.lanes_owned(),
            _ => 0,
        },
        lanes: services.lanes(),
        mirror_lag: lag,
    })
}

/// The sum of a metric over its labels, in Prometheus' text format.
fn total(metrics: &str, name: &str) -> u64 {
    let samples = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.trim().parse::<f64>().ok()
    });
    samples.sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_added_over_their_labels() {
        let text = "# TYPE edge_deliveries_total counter\n\
            edge_deliveries_total{from=\"live\"} 40\n\
            edge_deliveries_total{from=\"stream\"} 2\n\
            edge_deliveries_total_more 5\n\
            edge_connections 3\n";
        assert_eq!(total(text, DELIVERIES), 42);
        assert_eq!(total(text, CONNECTIONS), 3);
        assert_eq!(total(text, "absent"), 0);
    }
}
