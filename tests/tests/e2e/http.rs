//! `POST /v1/publish` over bare TCP: the same ids, scopes, limits and errors as on a
//! WebSocket, and each event of a list answered on its own.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::{Builder, Deployment, FunctionChoice};
use jsonwebtoken::{EncodingKey, Header, encode};
use protocol::name::ClientId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::common::EARLIEST;

/// Longest data of an event in these tests, bytes.
const DATA_BYTES: usize = 1024;

/// What a request was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

fn edge() -> Builder {
    let builder = Deployment::builder()
        .without_mirror()
        // A gate that is deployed takes events whether or not a worker runs.
        .functions(&[FunctionChoice::Gate])
        .workers(0)
        .edges(1);
    builder.edge_config(|_, config| config.limits.data_bytes = DATA_BYTES)
}

async fn post(address: SocketAddr, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = format!(
        "POST /v1/publish HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = harness::wait::within("the node answers", exchange).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body,
    }
}

/// A client of a deployment's one node.
pub(super) struct Client {
    address: SocketAddr,
    authorization: String,
}

impl Client {
    pub(super) fn new(deployment: &Deployment, token: &str) -> Self {
        Self {
            address: deployment.edges[0].address(),
            authorization: format!("Bearer {token}"),
        }
    }

    pub(super) async fn publish(&self, key: Option<&str>, body: &Value) -> Answer {
        let mut headers = vec![("Authorization", self.authorization.as_str())];
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        post(self.address, &headers, &body.to_string()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stores_its_events_once_and_subscribers_see_them() {
    let Some(mut deployment) = edge().start().await else {
        return;
    };
    let joe = Client::new(&deployment, &deployment.token("joe"));
    let seen = deployment.follow(&[0], "ann", "chat.a", EARLIEST).await;
    let event = json!({"channel": "chat.a", "data": {"note": 1}, "headers": {"room": "blue"}});
    let first = joe.publish(Some("order-17"), &event).await;
    assert_eq!(
        (first.status, &first.body["publish"]["duplicate"]),
        (200, &json!(false))
    );
    let again = joe.publish(Some("order-17"), &event).await;
    assert_eq!(
        (again.status, &again.body["publish"]["duplicate"]),
        (200, &json!(true))
    );
    assert_eq!(
        first.body["publish"]["position"],
        again.body["publish"]["position"]
    );
    let other = json!({"channel": "chat.a", "data": {"note": 2}});
    let reused = joe.publish(Some("order-17"), &other).await;
    assert_eq!((reused.status, reused.code()), (422, "id_reused"));
    // Somebody else's key of the same text is another key.
    let eve = Client::new(&deployment, &deployment.token("eve"));
    assert_eq!(eve.publish(Some("order-17"), &other).await.status, 200);

    seen.received(2).await;
    let events = seen.events();
    let writer = ClientId::of_key("order-17");
    assert_eq!(events[0].id, format!("acme/joe/{writer}/0"));
    assert_eq!(
        Some(&events[0].seq),
        first.body["publish"]["position"]["seq"].as_u64().as_ref()
    );
    assert_eq!(events[1].user.as_deref(), Some("eve"));
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_answered_event_by_event_and_keeps_its_order() {
    let Some(mut deployment) = edge().start().await else {
        return;
    };
    let joe = Client::new(&deployment, &deployment.token("joe"));
    let good = |note: u64| json!({"channel": "chat.b", "data": {"note": note}});
    let large = json!({"channel": "chat.b", "data": "x".repeat(DATA_BYTES)});
    let list = json!([good(0), {"channel": "chat.b"}, good(2), large, good(4)]);
    let answer = joe.publish(Some("list"), &list).await;
    assert_eq!(answer.status, 207, "{answer:?}");
    let codes: Vec<_> = (0..5)
        .map(|at| {
            answer.body[at]["error"]["code"]
                .as_str()
                .unwrap_or("stored")
        })
        .collect();
    assert_eq!(
        codes,
        ["stored", "bad_frame", "stored", "data_too_large", "stored"]
    );
    let seqs: Vec<_> = [0, 2, 4]
        .map(|at| {
            answer.body[at]["publish"]["position"]["seq"]
                .as_u64()
                .unwrap()
        })
        .into();
    assert!(seqs.is_sorted(), "{seqs:?}");
    let again = joe.publish(Some("list"), &json!([good(0)])).await;
    assert_eq!(
        (again.status, &again.body[0]["publish"]["duplicate"]),
        (200, &json!(true))
    );
    // Explicit ids, through a namespace with a gate: the raw input is what is stored.
    let named = json!([{"channel": "doc.a", "data": {"txn": 1}, "client": "shop-1", "n": 5}]);
    let gated = joe.publish(None, &named).await;
    let stored = &gated.body[0]["publish"];
    assert_eq!(
        (gated.status, &stored["stored_in"], &stored["n"]),
        (200, &json!("ingress"), &json!(5))
    );
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_their_status_and_their_code() {
    let Some(mut deployment) = edge().start().await else {
        return;
    };
    let hour = Duration::from_secs(3600);
    let joe = Client::new(&deployment, &deployment.token("joe"));
    let narrow = deployment.token_with("joe", &["publish:doc.>"], hour);
    let narrow = Client::new(&deployment, &narrow);
    let nobody = Client::new(&deployment, "nonsense");
    let event = |channel: &str| json!({"channel": channel, "data": 1});
    let large = json!({"channel": "chat.a", "data": "x".repeat(DATA_BYTES)});
    let huge = json!({"channel": "chat.a", "data": "x".repeat(200 * DATA_BYTES)});
    let nest = (0..121).fold(json!(1), |inner, _| json!([inner]));
    let deep = json!({"channel": "chat.a", "data": nest});
    let padded = json!({"channel": "chat.a", "data": 1, "headers": {"room": "blue\n"}});
    for (client, key, body, status, code) in [
        (&joe, Some("k"), event("gone.a"), 404, "unknown_namespace"),
        (&joe, Some("k"), event("chat.*"), 422, "bad_channel"),
        (&joe, Some("k"), padded, 422, "bad_header"),
        (&joe, Some("k"), deep, 422, "bad_data"),
        (&joe, Some("k"), large, 413, "data_too_large"),
        (&joe, Some("k"), huge, 413, "data_too_large"),
        (&joe, Some("a b"), event("chat.a"), 422, "bad_header"),
        (&joe, None, event("chat.a"), 400, "bad_frame"),
        (&joe, Some("k"), json!([]), 400, "bad_frame"),
        (&narrow, Some("k"), event("chat.a"), 403, "forbidden"),
        (&nobody, Some("k"), event("chat.a"), 401, "bad_token"),
    ] {
        let answer = client.publish(key, &body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
        let asks = answer.head.contains("www-authenticate: bearer");
        assert_eq!(asks, status == 401);
    }
    let bare = post(joe.address, &[], "{}").await;
    assert_eq!((bare.status, bare.code()), (401, "bad_token"));
    let expired = expired(&deployment);
    let answer = Client::new(&deployment, &expired)
        .publish(Some("k"), &event("chat.a"))
        .await;
    assert_eq!((answer.status, answer.code()), (401, "token_expired"));
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_resend_is_stored_on_a_channel_that_never_rests() {
    let builder = edge().store(|store| {
        store.duplicate_window_events = Duration::from_secs(30);
        store.duplicate_window_ingress = Duration::from_secs(30);
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let stop = CancellationToken::new();
    let mut others = JoinSet::new();
    for busy in 0..3 {
        let client = Client::new(&deployment, &deployment.token(&format!("busy-{busy}")));
        let stop = stop.clone();
        others.spawn(async move {
            let mut round = 0;
            while !stop.is_cancelled() {
                let list = vec![json!({"channel": "chat.hot", "data": 1}); 50];
                let answer = client.publish(Some(&round.to_string()), &json!(list)).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                round += 1;
            }
        });
    }
    let joe = Client::new(&deployment, &deployment.token("joe"));
    let second = 1_000_000;
    for n in 1..=10 {
        let event = json!({
            "channel": "chat.hot", "data": n, "client": "late", "n": n,
            "first_sent": now_us() - 20 * second,
        });
        for duplicate in [false, true] {
            let answer = joe.publish(None, &event).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.body["publish"]["duplicate"], json!(duplicate));
        }
    }
    let ahead = json!({
        "channel": "chat.hot", "data": 1, "client": "late", "n": 11,
        "first_sent": now_us() + 3600 * second,
    });
    let refused = joe.publish(None, &ahead).await;
    assert_eq!((refused.status, refused.code()), (409, "outcome_unknown"));
    stop.cancel();
    while let Some(ended) = others.join_next().await {
        ended.unwrap();
    }
    deployment.stop().await;
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_micros() as u64
}

/// A token that ended long ago.
fn expired(deployment: &Deployment) -> String {
    let claims = json!({"sub": "joe", "tenant": "acme", "exp": 1, "scopes": ["publish:>"]});
    let key = EncodingKey::from_secret(deployment.secret.expose().as_bytes());
    encode(&Header::default(), &claims, &key).unwrap()
}
