//! Every limit of the edge is shown obeyed and violated, by a test that is named here.

use edge::EdgeLimits;
use serde_json::Value;

use super::tree;

/// A limit, the test that keeps it, and the test that breaks it: `file::function`.
type Row = (&'static str, &'static str, &'static str);

/// The limits that are settings.
const SETTINGS: [Row; 20] = [
    (
        "message_bytes",
        "tests/tests/wire/closes.rs::too_large",
        "tests/tests/wire/rfc6455.rs::too_large",
    ),
    (
        "data_bytes",
        "tests/tests/wire/commands.rs::limits_obeyed",
        "tests/tests/wire/commands.rs::events",
    ),
    (
        "subscriptions",
        "tests/tests/wire/commands.rs::counts",
        "tests/tests/wire/mounts.rs::provoke",
    ),
    (
        "publish_window",
        "tests/tests/wire/commands.rs::window",
        "tests/tests/wire/commands.rs::window",
    ),
    (
        "outbox_bytes",
        "shares/src/outbox.rs::the_limit_obeyed_and_violated",
        "tests/tests/e2e/slow.rs::who_reads_again_is_complete_and_others_do_not_notice",
    ),
    (
        "outboxes_bytes",
        "shares/src/outbox.rs::the_bytes_of_the_node_obeyed_and_violated",
        "shares/src/outbox.rs::the_bytes_of_the_node_obeyed_and_violated",
    ),
    (
        "connections",
        "tests/tests/wire/handshake.rs::provoke_full",
        "tests/tests/wire/handshake.rs::provoke_full",
    ),
    (
        "handshake_timeout_ms",
        "edge/src/core/session/state/tests.rs::times_end_sessions",
        "tests/tests/wire/closes.rs::provoke_bare",
    ),
    (
        "ping_interval_ms",
        "edge/src/core/session/state/tests.rs::times_end_sessions",
        "tests/tests/wire/closes.rs::provoke_bare",
    ),
    (
        "message_timeout_ms",
        "edge/src/ws/socket/tests.rs::each_byte_is_a_sign_of_life_and_a_message_has_a_beginning",
        "tests/tests/wire/closes.rs::slow_message",
    ),
    (
        "bad_frames_max",
        "tests/tests/wire/closes.rs::bad_frames",
        "tests/tests/wire/closes.rs::bad_frames",
    ),
    (
        "connection",
        "edge/src/core/admission/allowance.rs::a_connection_a_user_and_a_tenant_within_and_beyond_their_rates",
        "tests/tests/wire/rates.rs::operations",
    ),
    (
        "user",
        "edge/src/core/admission/allowance.rs::a_connection_a_user_and_a_tenant_within_and_beyond_their_rates",
        "edge/src/core/admission/allowance.rs::a_connection_a_user_and_a_tenant_within_and_beyond_their_rates",
    ),
    (
        "tenant",
        "edge/src/core/admission/allowance.rs::a_connection_a_user_and_a_tenant_within_and_beyond_their_rates",
        "edge/src/core/admission/allowance.rs::what_the_tenant_stops_costs_the_connection_nothing",
    ),
    (
        "subscribes_per_second",
        "edge/src/core/session/state/tests/rates.rs::subscriptions_within_and_beyond_the_rate",
        "edge/src/core/session/state/tests/rates.rs::subscriptions_within_and_beyond_the_rate",
    ),
    (
        "connections_per_user",
        "edge/src/core/admission/allowance.rs::sessions_of_a_user_within_and_beyond_their_limit",
        "tests/tests/wire/rates.rs::sessions",
    ),
    (
        "connections_per_address",
        "shares/src/addresses.rs::connections_of_an_address_within_and_beyond_their_limit",
        "shares/src/addresses.rs::connections_of_an_address_within_and_beyond_their_limit",
    ),
    (
        "accepts_per_second",
        "shares/src/rate.rs::a_burst_is_taken_at_once_and_the_next_waits_for_its_share",
        "shares/src/rate.rs::no_more_passes_than_is_allowed",
    ),
    (
        "closes_per_second",
        "shares/src/departures.rs::one_leaves_after_the_other_at_the_rate",
        "edge/src/core/session/state/tests/leaving.rs::a_session_goes_on_until_its_turn_to_leave",
    ),
    (
        "expiry_grace_ms",
        "tests/tests/wire/refresh.rs::ended",
        "edge/src/core/session/state/tests/grants.rs::without_another_token_the_session_is_closed_after_the_grace",
    ),
];

/// The limits that are constants which a client can meet, as PROTOCOL.md states them.
const STATED: [Row; 22] = [
    (
        "at most 32 KiB long",
        "auth/src/ticket.rs::tickets_within_and_beyond_their_bytes",
        "auth/src/ticket.rs::tickets_within_and_beyond_their_bytes",
    ),
    (
        "at most 200 writers in a second",
        "edge/src/core/presence/tests/writers.rs::writers_are_told_of_at_their_pace",
        "edge/src/core/presence/tests/writers.rs::writers_are_told_of_at_their_pace",
    ),
    (
        "have 1,024 bytes together at most",
        "edge/src/core/session/state/tests/filter.rs::filters_within_and_beyond_their_bytes",
        "tests/tests/wire/filter.rs::provoke",
    ),
    (
        "At most 1,000,000 events",
        "shares/src/credit.rs::credit_within_and_beyond_its_limit",
        "tests/tests/wire/credit.rs::provoke",
    ),
    (
        "256 frames",
        "tests/tests/wire/commands.rs::limits_obeyed",
        "tests/tests/wire/neighbours.rs::provoke",
    ),
    (
        "120 levels",
        "tests/tests/wire/depth.rs::provoke",
        "tests/tests/wire/depth.rs::provoke",
    ),
    (
        "at most 16",
        "tests/tests/wire/commands.rs::limits_obeyed",
        "tests/tests/wire/commands.rs::events",
    ),
    (
        "at most 1,024 bytes",
        "tests/tests/wire/commands.rs::limits_obeyed",
        "tests/tests/wire/commands.rs::events",
    ),
    (
        "more than 100 headers",
        "tests/tests/wire/handshake.rs::long",
        "tests/tests/wire/handshake.rs::long",
    ),
    (
        "16 KiB of their names and values",
        "tests/tests/wire/handshake.rs::long",
        "tests/tests/wire/handshake.rs::long",
    ),
    (
        "more than a minute ahead",
        "edge/src/core/session/state/tests.rs::a_first_attempt_ahead_of_our_clock_is_refused",
        "edge/src/core/session/state/tests.rs::a_first_attempt_ahead_of_our_clock_is_refused",
    ),
    (
        "1 to 255 printable characters",
        "edge/src/http/body.rs::keys_within_and_beyond_their_limit",
        "edge/src/http/body.rs::keys_within_and_beyond_their_limit",
    ),
    (
        "4,096 channels at a time",
        "edge/src/core/presence/tests.rs::watched_channels_within_and_beyond_their_limit",
        "edge/src/core/presence/tests.rs::watched_channels_within_and_beyond_their_limit",
    ),
    (
        "at most 1,000, 0 for none",
        "protocol/src/spec/presence.rs::members_that_are_named_within_and_beyond_their_limit",
        "protocol/src/spec/presence.rs::members_that_are_named_within_and_beyond_their_limit",
    ),
    (
        "has at most 512 KiB",
        "protocol/src/presence.rs::a_part_within_and_beyond_its_bytes",
        "protocol/src/presence.rs::a_part_within_and_beyond_its_bytes",
    ),
    (
        "At most 1,000 nodes",
        "presence/src/nodes.rs::nodes_within_and_beyond_their_limit",
        "presence/src/nodes.rs::nodes_within_and_beyond_their_limit",
    ),
    (
        "not been heard for 4 seconds",
        "presence/src/nodes.rs::silence_within_and_beyond_its_limit",
        "presence/src/nodes.rs::silence_within_and_beyond_its_limit",
    ),
    (
        "ten times a second at most",
        "presence/src/room/tests.rs::a_storm_of_sessions_is_written_at_its_pace",
        "presence/src/room/tests.rs::a_storm_of_sessions_is_written_at_its_pace",
    ),
    (
        "once a second at most while",
        "presence/src/told.rs::beyond_the_number_counts_alone_are_told_at_their_pace",
        "presence/src/told.rs::beyond_the_number_counts_alone_are_told_at_their_pace",
    ),
    (
        "4 looks and pages",
        "edge/src/core/session/state/tests/presence.rs::looks_within_and_beyond_their_limit",
        "edge/src/core/session/state/tests/presence.rs::looks_within_and_beyond_their_limit",
    ),
    (
        "longer than 125 bytes",
        "tests/tests/wire/rfc6455.rs::allowed",
        "tests/tests/wire/rfc6455.rs::broken",
    ),
    (
        "takes nothing for 20 seconds",
        "tests/tests/e2e/slow.rs::who_reads_again_is_complete_and_others_do_not_notice",
        "tests/tests/e2e/slow.rs::who_stalls_for_long_is_closed_and_resumes_elsewhere",
    ),
];

#[test]
fn every_setting_that_limits_has_its_tests() {
    let limits = serde_json::to_value(EdgeLimits::default()).expect("limits are settings");
    let Value::Object(limits) = limits else {
        panic!("{limits}")
    };
    let listed: Vec<_> = SETTINGS.iter().map(|(name, ..)| *name).collect();
    let missing: Vec<_> = limits
        .keys()
        .filter(|name| !listed.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "limits without a row: {missing:?}");
    let gone: Vec<_> = listed
        .iter()
        .filter(|name| !limits.contains_key(**name))
        .collect();
    assert!(gone.is_empty(), "rows without a limit: {gone:?}");
}

#[test]
fn what_is_stated_is_on_the_page() {
    let page = tree::read(&tree::root().join("PROTOCOL.md"));
    for (text, ..) in STATED {
        assert!(page.contains(text), "PROTOCOL.md lacks: {text}");
    }
}

#[test]
fn the_tests_of_limits_are_there() {
    for (limit, obeyed, violated) in SETTINGS.into_iter().chain(STATED) {
        for test in [obeyed, violated] {
            let (file, function) = test.split_once("::").expect("a file and a function");
            let text = tree::read(&tree::root().join(file));
            let is_there = text.contains(&format!("fn {function}("));
            assert!(is_there, "{limit}: there is no {test}");
        }
    }
}
