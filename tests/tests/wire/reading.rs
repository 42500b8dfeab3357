//! Channels over Server-Sent Events and long polling: complete across the death of a
//! node, the same refusals as everywhere, and an end that is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use client::{Client, Draft};
use harness::{Builder, Deployment};
use protocol::error_code::ErrorCode::{self, *};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::request::{Answer, get, send, try_get};
use super::stream::EventStream;

/// Channels that are read, and events on each.
const CHANNELS: [&str; 3] = ["chat.a", "chat.b", "chat.c"];
const EVENTS: u64 = 400;
/// Events before the node dies.
const BEFORE: usize = 300;
/// Sessions of the second node.
const SESSIONS: usize = 2;
/// Ping interval of the hurried node, milliseconds.
const HURRIED_MS: u64 = 1_000;

fn builder() -> Builder {
    Deployment::builder()
        .without_mirror()
        .functions(&[])
        .workers(0)
        .edges(2)
}

fn path(transport: &str, more: &str) -> String {
    let channels: Vec<String> = CHANNELS
        .iter()
        .map(|channel| format!("channel={channel}"))
        .collect();
    format!("/v1/{transport}?{}{more}", channels.join("&"))
}

/// What came of each channel: a chain, or the test ends.
#[derive(Debug, Default)]
struct Seen {
    last: BTreeMap<String, u64>,
    data: BTreeMap<String, Vec<Value>>,
}

impl Seen {
    fn event(&mut self, event: &Value) {
        let channel = event["channel"].as_str().unwrap().to_owned();
        let number = |key: &str| event[key].as_u64().unwrap();
        let last = self.last.insert(channel.clone(), number("seq"));
        assert_eq!(number("prev"), last.unwrap_or(0), "{channel}");
        self.data
            .entry(channel)
            .or_default()
            .push(event["data"].clone());
    }

    fn count(&self) -> usize {
        self.data.values().map(Vec::len).sum()
    }

    /// Every event, once, in order.
    fn is_whole(&self) -> bool {
        let whole: Vec<Value> = (0..EVENTS).map(Value::from).collect();
        assert!(self.data.values().all(|data| whole.starts_with(data)));
        self.count() == CHANNELS.len() * whole.len()
    }
}

/// Publishes on all channels in turn, by the last node.
async fn publishing(deployment: &Deployment) -> JoinHandle<()> {
    let client = Client::connect(deployment.client_options(&[1], "ann"))
        .await
        .unwrap();
    tokio::spawn(async move {
        for n in 0..EVENTS {
            for channel in CHANNELS {
                let draft = Draft::json(channel, n.to_string());
                client.publish(draft).await.unwrap();
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_complete_over_the_death_of_a_node() {
    let Some(mut deployment) = builder().processes().start().await else {
        return;
    };
    let token = deployment.token("joe");
    let (first, second) = (deployment.edges[0].address(), deployment.edges[1].address());
    let publisher = publishing(&deployment).await;
    let polled = tokio::spawn(poll_to_the_end([first, second], token.clone()));

    let (mut seen, path) = (Seen::default(), path("sse", "&from=earliest"));
    let mut stream = EventStream::open(first, &path, &token, "").await.unwrap();
    while seen.count() < BEFORE {
        seen.event(&stream.until("event").await);
    }
    deployment.edges[0].kill();
    // What had been on its way is read too, as a browser would.
    while let Some(sent) = stream.next().await {
        if sent.name == "event" {
            seen.event(&sent.data);
        }
    }
    let mut stream = EventStream::open(second, &path, &token, &stream.last_id)
        .await
        .unwrap();
    while !seen.is_whole() {
        seen.event(&stream.until("event").await);
    }
    publisher.await.unwrap();
    assert!(polled.await.unwrap().is_whole());
    deployment.stop().await;
}

/// Polls whichever node answers until everything has come.
async fn poll_to_the_end(nodes: [SocketAddr; 2], token: String) -> Seen {
    let (mut seen, mut after) = (Seen::default(), String::new());
    while !seen.is_whole() {
        let path = path(
            "poll",
            &format!("&from=earliest&wait_ms=5000&after={after}"),
        );
        let mut answered = None;
        for node in nodes {
            answered = attempt(node, &path, &token).await;
            if answered.is_some() {
                break;
            }
        }
        let Some(body) = answered else { continue };
        for frame in body["poll"]["frames"].as_array().unwrap() {
            seen.event(&frame["event"]);
        }
        body["poll"]["next"]
            .as_str()
            .unwrap()
            .clone_into(&mut after);
    }
    seen
}

/// A request's body, if the node lives and answers.
async fn attempt(node: SocketAddr, path: &str, token: &str) -> Option<Value> {
    // A dead node's connection ends without an answer, or in the middle of it.
    let answer = try_get(node, path, token).await?;
    let body = serde_json::from_str(&answer.text).ok()?;
    (answer.status == 200).then_some(body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_and_how_it_ends_is_told() {
    let builder = builder().edge_config(|index, config| {
        if index == 1 {
            config.limits.connections = SESSIONS;
        }
        config.limits.ping_interval_ms = HURRIED_MS;
        config.limits.subscriptions = 4;
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    refusals(&deployment).await;
    sessions(&deployment).await;
    cors(&deployment).await;
    waits(&deployment).await;
    curl(&deployment).await;
    super::openapi::held(&deployment).await;

    let address = deployment.edges[0].address();
    let short = deployment.token_with("joe", &["subscribe:chat.>"], Duration::from_secs(2));
    let mut ending = EventStream::open(address, &path("sse", ""), &short, "")
        .await
        .unwrap();
    let close = ending.until("close").await;
    let wanted = json!({"code": 4001, "reason": "token_expired", "reconnect": true});
    assert_eq!((close, ending.next().await), (wanted, None));

    let token = deployment.token("joe");
    let mut stream = EventStream::open(address, &path("sse", ""), &token, "")
        .await
        .unwrap();
    for _ in CHANNELS {
        stream.until("subscribe").await;
    }
    // Without anything of its client: longer than a silent WebSocket lives.
    stream.commented(3).await;
    let end = async {
        let away = stream.until("going_away").await;
        assert_eq!(away["reconnect_after_ms"].as_u64(), stream.retry_ms);
        let close = stream.until("close").await;
        let wanted = json!({"code": 1012, "reason": "restart", "reconnect": true});
        assert_eq!((close, stream.next().await), (wanted, None));
    };
    tokio::join!(deployment.edges[0].stop(), end);
    deployment.stop().await;
}

async fn refusals(deployment: &Deployment) {
    let address = deployment.edges[0].address();
    let scopes = ["subscribe:chat.>", "subscribe:nowhere.>"];
    let token = deployment.token_with("joe", &scopes, Duration::from_secs(600));
    let token = token.as_str();
    let many = vec!["channel=chat.a"; 33].join("&");
    let rows: [(&str, Option<&str>, u16, ErrorCode); 12] = [
        ("channel=chat.a", None, 401, BadToken),
        ("channel=chat.a", Some("a.b.c"), 401, BadToken),
        ("", Some(token), 400, BadFrame),
        ("channel=chat.a&surplus=1", Some(token), 400, BadFrame),
        ("channel=chat.a&after=x", Some(token), 400, BadFrame),
        ("channel=secret.a", Some(token), 403, Forbidden),
        ("channel=nowhere.a", Some(token), 404, UnknownNamespace),
        ("channel=chat.*", Some(token), 422, BadChannel),
        (
            "channel=chat.a&channel=chat.a",
            Some(token),
            409,
            AlreadySubscribed,
        ),
        (
            "channel=chat.a&from=ff:1",
            Some(token),
            409,
            PositionMismatch,
        ),
        (&many, Some(token), 429, TooManySubscriptions),
        (
            "channel=chat.1&channel=chat.2&channel=chat.3&channel=chat.4&channel=chat.5",
            Some(token),
            429,
            TooManySubscriptions,
        ),
    ];
    for transport in ["sse", "poll"] {
        for (query, token, status, code) in rows {
            let path = format!("/v1/{transport}?{query}");
            let answer: Answer = get(address, &path, token).await;
            assert_eq!((answer.status, answer.code()), (status, code), "{path}");
        }
    }
}

/// Streams and polls are sessions of their node like any other.
async fn sessions(deployment: &Deployment) {
    let (address, token) = (deployment.edges[1].address(), deployment.token("joe"));
    let mut streams = Vec::new();
    for _ in 0..SESSIONS {
        let opened = EventStream::open(address, &path("sse", ""), &token, "").await;
        streams.push(opened.unwrap());
    }
    for transport in ["sse", "poll"] {
        let answer = get(address, &path(transport, ""), Some(&token)).await;
        assert_eq!(
            (answer.status, answer.code()),
            (503, Unavailable),
            "{answer:?}"
        );
        assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    }
    drop(streams);
    let poll = path("poll", "&wait_ms=0");
    harness::until("their places are free again", async || {
        match get(address, &poll, Some(&token)).await.status {
            200 => Ok(()),
            status => Err(format!("{status}")),
        }
    })
    .await;
}

/// A browser on a page of another origin may ask, and see what it is answered.
async fn cors(deployment: &Deployment) {
    let address = deployment.edges[0].address();
    let origin = "Origin: https://app.example.org\r\n";
    let asks = format!(
        "{origin}Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n"
    );
    for path in [
        "/v1/publish",
        "/v1/sse?channel=chat.a",
        "/v1/history/chat.a",
    ] {
        let answer = send(address, "OPTIONS", path, &asks, "").await;
        assert_eq!(answer.status, 204, "{answer:?}");
        for header in [
            "access-control-allow-origin: *",
            "access-control-allow-headers: authorization, ",
            "access-control-allow-methods: get, post",
        ] {
            assert!(answer.head.contains(header), "{answer:?}");
        }
    }
    // Refusals are seen too.
    let answer = send(address, "GET", "/v1/poll?channel=chat.a", origin, "").await;
    assert_eq!(answer.status, 401);
    assert!(answer.head.contains("access-control-allow-origin: *"));
    let plain = get(address, "/v1/poll?channel=chat.a", None).await;
    assert!(!plain.head.contains("access-control-allow-origin"));
}

/// A poll waits for what comes, or for as long as it was told, and misses nothing that
/// comes between two of them.
async fn waits(deployment: &Deployment) {
    let (address, token) = (deployment.edges[0].address(), deployment.token("joe"));
    let poll = async |more: &str| {
        let path = format!("/v1/poll?channel=chat.waits{more}");
        let answer = get(address, &path, Some(&token)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body()["poll"].clone()
    };
    let none = poll("&wait_ms=0").await;
    assert_eq!(none["frames"], json!([]));
    let next = none["next"].as_str().unwrap().to_owned();
    let client = Client::connect(deployment.client_options(&[1], "ann"))
        .await
        .unwrap();
    let publish = async |data: &str| {
        let draft = Draft::json("chat.waits", data.to_owned());
        client.publish(draft).await.unwrap().position.seq
    };
    let seq = publish("1").await;
    // What has its ack may still be on its way to this node: it is waited for.
    let after = format!("&after={next}");
    let one = poll(&after).await;
    assert_eq!(one["frames"][0]["event"]["seq"].as_u64(), Some(seq));
    let again = poll(&format!("{after}&wait_ms=0")).await;
    assert_eq!(again["frames"], one["frames"]);
    let after = format!("&after={}", one["next"].as_str().unwrap());
    let (two, seq) = tokio::join!(poll(&after), publish("2"));
    assert_eq!(two["frames"].as_array().unwrap().len(), 1);
    assert_eq!(two["frames"][0]["event"]["seq"].as_u64(), Some(seq));
    client.close().await;
}

/// A reader that is nobody's, if it is there.
async fn curl(deployment: &Deployment) {
    let url = format!(
        "http://{}/v1/sse?channel=chat.waits&from=earliest",
        deployment.edges[0].address()
    );
    let bearer = format!("Authorization: Bearer {}", deployment.token("joe"));
    let mut command = tokio::process::Command::new("curl");
    command.args(["--silent", "--no-buffer", "-H", &bearer, &url]);
    command
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return eprintln!("skipped: curl is not there ({error})"),
    };
    let mut lines = {
        use tokio::io::AsyncBufReadExt;
        tokio::io::BufReader::new(child.stdout.take().unwrap()).lines()
    };
    let events = async {
        let mut events = Vec::new();
        while events.len() < 2 {
            let line = lines.next_line().await.unwrap().expect("it goes on");
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                events.extend(data.get("data").cloned());
            }
        }
        events
    };
    let events = harness::wait::within("curl shows two events", events).await;
    assert_eq!(events, [json!(1), json!(2)]);
}
