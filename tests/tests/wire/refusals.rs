//! Every documented code, provoked. What this table does not provoke is named with the
//! reason; a code that is in neither place fails the test.

use harness::Deployment;
use protocol::class::Class;
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::Encoding;

use super::seen::Seen;
use super::{
    closes, commands, credit, ephemeral, expected, filter, handshake, history, presence, rates,
    rfc6455, tickets, tokens, trouble,
};

/// The node with time-outs as they are by default.
pub const PATIENT: usize = 0;
/// The node with time-outs so short that they can be waited for.
pub const HURRIED: usize = 1;
/// The node that allows little.
pub const STRICT: usize = 2;
/// Commands a second of a connection to the strict node.
pub const OPERATIONS_PER_SECOND: u64 = 5;
/// Sessions of a user on the strict node.
pub const SESSIONS_PER_USER: usize = 2;
/// Longest data, bytes.
pub const DATA_BYTES_MAX: usize = 16 << 10;
/// Longest WebSocket message, bytes.
pub const MESSAGE_BYTES_MAX: usize = 48 << 10;
/// Subscriptions of a session.
pub const SUBSCRIPTIONS_MAX: usize = 4;
/// Publishes that may wait.
pub const WINDOW: u32 = 4;
/// Unreadable frames of a session.
pub const BAD_FRAMES_MAX: u32 = 10;
/// Bytes of a stream: the least that a store may have.
pub const STREAM_BYTES_MAX: u64 = 1 << 20;
/// Sessions of the hurried node.
pub const HURRIED_SESSIONS: usize = 3;
/// Time-outs of the hurried node, milliseconds.
const HURRIED_MS: u64 = 1_000;

/// Error codes that cannot be provoked here, and where they are.
const ERRORS_ELSEWHERE: [(ErrorCode, &str); 5] = [
    (
        ErrorCode::TicketTooLong,
        "needs keys and hundreds of channels; auth: tickets_within_and_beyond_their_bytes",
    ),
    (
        ErrorCode::TokenRevoked,
        "what is revoked stays so: wire::revoked has a deployment for it",
    ),
    (
        ErrorCode::TooManyWatched,
        "needs 4,096 channels; edge: watched_channels_within_and_beyond_their_limit",
    ),
    (ErrorCode::Rejected, "needs a gate; e2e::ephemeral"),
    (ErrorCode::GateFailed, "needs a gate; e2e::ephemeral"),
];
/// Close codes that cannot be provoked here, and where they are.
const CLOSES_ELSEWHERE: [(CloseCode, &str); 3] = [
    (
        CloseCode::SlowConsumer,
        "a reader must stall for 20 s; e2e::slow does that and looks at others meanwhile",
    ),
    (
        CloseCode::Disconnected,
        "needs a second node to be of any worth: wire::manage",
    ),
    (
        CloseCode::Revoked,
        "what is revoked stays so: wire::revoked has a deployment for it",
    ),
];

fn builder() -> harness::Builder {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[])
        .workers(0)
        .edges(3);
    let builder = builder.store(|store| store.max_bytes = STREAM_BYTES_MAX);
    builder.edge_config(|index, config| {
        let limits = &mut config.limits;
        limits.data_bytes = DATA_BYTES_MAX;
        limits.message_bytes = MESSAGE_BYTES_MAX;
        limits.subscriptions = SUBSCRIPTIONS_MAX;
        limits.publish_window = WINDOW;
        limits.bad_frames_max = BAD_FRAMES_MAX;
        if index == HURRIED {
            limits.handshake_timeout_ms = HURRIED_MS;
            limits.ping_interval_ms = HURRIED_MS;
            // Elsewhere a token is served for 30 s after its end.
            config.auth.leeway_ms = 0;
            limits.expiry_grace_ms = HURRIED_MS;
            limits.connections = HURRIED_SESSIONS;
            limits.message_timeout_ms = 4 * HURRIED_MS;
        }
        if index == STRICT {
            limits.connection.operations_per_second = OPERATIONS_PER_SECOND;
            limits.connections_per_user = SESSIONS_PER_USER;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_code_is_provoked() {
    let Some(mut deployment) = builder().start().await else {
        return;
    };
    let mut seen = Seen::default();
    ephemeral::allow(&deployment, "doc", &[Class::Durable, Class::Ephemeral]).await;
    for encoding in [Encoding::Json, Encoding::Msgpack] {
        tokens::provoke(&deployment, encoding, &mut seen).await;
        commands::provoke(&deployment, encoding, &mut seen).await;
        history::provoke(&deployment, encoding, &mut seen).await;
        expected::provoke(&deployment, encoding, &mut seen).await;
        ephemeral::provoke(&deployment, encoding, &mut seen).await;
        presence::provoke(&deployment, encoding, &mut seen).await;
        credit::provoke(&deployment, encoding, &mut seen).await;
        filter::provoke(&deployment, encoding, &mut seen).await;
        tickets::provoke(&deployment, encoding, &mut seen).await;
        closes::provoke(&deployment, encoding, &mut seen).await;
        rates::provoke(&deployment, encoding, &mut seen).await;
    }
    closes::provoke_bare(&deployment, &mut seen).await;
    let address = deployment.edges[PATIENT].address();
    rfc6455::provoke(address, &mut seen).await;
    handshake::provoke(address).await;
    handshake::provoke_full(deployment.edges[HURRIED].address()).await;
    trouble::provoke_full(&deployment, &mut seen).await;
    closes::provoke_epoch(&deployment, &mut seen).await;
    closes::provoke_restart(&mut deployment, &mut seen).await;
    deployment.stop().await;
    trouble::provoke_forgotten_and_gone(&mut seen).await;

    for code in ErrorCode::ALL {
        let elsewhere = ERRORS_ELSEWHERE.iter().any(|(listed, _)| *listed == code);
        assert_ne!(
            seen.errors.contains(&code),
            elsewhere,
            "{code:?} is provoked here, or listed with the reason"
        );
    }
    for code in CloseCode::ALL {
        let elsewhere = CLOSES_ELSEWHERE.iter().any(|(listed, _)| *listed == code);
        assert_ne!(
            seen.closes.contains(&code),
            elsewhere,
            "{code:?} is provoked here, or listed with the reason"
        );
    }
}
