//! How much of a store a tenant may have: one that stores all it can is stopped on every
//! node, another one goes on beside it, and a namespace may allow less.

use control::{Deployer, NamespaceDraft};
use harness::{Deployment, RawSession, until};
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Encoding, ErrorBody};
use protocol::name::Namespace;
use protocol::stream::StreamName;

use super::mutate::publish;
use super::pair::pair;

/// Bytes of a stream.
const STREAM_BYTES_MAX: u64 = 16 << 20;
/// Bytes of an event.
const EVENT_BYTES: usize = 60 << 10;
/// Bytes that a tenant may have in the small namespace.
const NAMESPACE_BYTES: u64 = 256 << 10;
/// More events than anybody may have.
const TRIES: u64 = 2 * STREAM_BYTES_MAX / EVENT_BYTES as u64;

/// One writer of a tenant.
struct Writer {
    session: RawSession,
    n: u64,
}

impl Writer {
    async fn of(deployment: &Deployment, edge: usize, tenant: &str) -> Self {
        let address = deployment.edges[edge].address();
        let mut session = RawSession::open(address, Encoding::Json, None)
            .await
            .unwrap();
        let token = deployment.token_of(tenant, "ann");
        let name = format!("{tenant}-{edge}");
        session.connect(&token, &name).await.unwrap();
        Self { session, n: 0 }
    }

    async fn publish(&mut self, channel: &str) -> Option<ErrorBody> {
        self.n += 1;
        let data = format!("\"{}\"", "x".repeat(EVENT_BYTES));
        let body = publish(Encoding::Json, channel, self.n, data.as_bytes());
        self.session.ask(Action::Publish(body)).await.unwrap().error
    }

    /// Stores as much as it may on this channel; bytes of data, and what it was told then.
    async fn fill(&mut self, channel: &str) -> (u64, ErrorBody) {
        for stored in 0..TRIES {
            if let Some(error) = self.publish(channel).await {
                assert_eq!(error.code, ErrorCode::QuotaExceeded, "{error:?}");
                return (stored * EVENT_BYTES as u64, error);
            }
        }
        panic!("it may have more than there is");
    }
}

fn builder() -> harness::Builder {
    pair().store(|store| store.max_bytes = STREAM_BYTES_MAX)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_has_its_share_of_the_store_on_all_nodes_together() {
    let Some(mut deployment) = builder().start().await else {
        return;
    };
    small_namespace(&deployment).await;
    let mut noisy = Writer::of(&deployment, 0, "noisy").await;
    let (stored, told) = noisy.fill("chat.a").await;
    assert!(told.temporary && told.message.contains("noisy"), "{told:?}");
    // Half of the stream, but for what events have beside their data.
    let half = STREAM_BYTES_MAX / 2;
    assert!((half * 9 / 10..=half).contains(&stored), "{stored}");
    // What came through one node counts on the other, once that has heard of it.
    let mut elsewhere = Writer::of(&deployment, 1, "noisy").await;
    until("the other node knows", async || {
        match elsewhere.publish("chat.b").await {
            Some(error) if error.code == ErrorCode::QuotaExceeded => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // Somebody else has room, on both.
    for edge in [0, 1] {
        let mut victim = Writer::of(&deployment, edge, "victim").await;
        for _ in 0..10 {
            assert_eq!(victim.publish("chat.a").await, None);
        }
    }
    let stream = StreamName::events(deployment.store_name());
    let state = deployment.bus.stream_state(&stream).await.unwrap();
    assert!(state.bytes < STREAM_BYTES_MAX, "{state:?}");
    deployment.stop().await;
}

/// In a namespace that allows a tenant little it has little, and elsewhere its share.
async fn small_namespace(deployment: &Deployment) {
    let store = deployment.store_name().clone();
    let draft = NamespaceDraft {
        quota_bytes: Some(NAMESPACE_BYTES),
        ..NamespaceDraft::new(Namespace::parse("small").unwrap(), store, None)
    };
    let deployer = Deployer::new(&deployment.bus, "tester");
    deployer.apply_namespace(draft).await.unwrap();
    let mut writer = Writer::of(deployment, 0, "frugal").await;
    until("the node knows the namespace", async || {
        match writer.publish("small.a").await {
            None => Ok(()),
            Some(error) => Err(format!("{error:?}")),
        }
    })
    .await;
    let (stored, told) = writer.fill("small.a").await;
    assert!(stored < NAMESPACE_BYTES, "{stored}");
    assert!(told.message.contains("namespace small"), "{told:?}");
    assert_eq!(writer.publish("chat.a").await, None);
}
