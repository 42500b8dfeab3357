//! JSON data that is nested as deep as it may be, and deeper.

use protocol::error_code::ErrorCode;
use protocol::frame::{Action, JSON_DEPTH_MAX, Publish};

use super::mutate::publish;
use super::seen::Probe;

fn nested(probe: &Probe<'_>, n: u64, depth: usize) -> Publish {
    let data = ["[".repeat(depth), "]".repeat(depth)].concat();
    publish(probe.encoding, "chat.depth", n, data.as_bytes())
}

/// At the limit and past it, by a little and by as much as a message holds.
pub async fn provoke(probe: &mut Probe<'_>) {
    let full = nested(probe, 40, JSON_DEPTH_MAX);
    let what = "data as deep as allowed";
    probe.accepted(what, Action::Publish(full)).await;
    for depth in [JSON_DEPTH_MAX + 1, 129, 8_000] {
        let deep = nested(probe, 41, depth);
        let what = format!("data of {depth} levels");
        let code = ErrorCode::BadData;
        probe.refused(&what, Action::Publish(deep), code).await;
    }
}
