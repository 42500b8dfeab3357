//! Filters on real servers: a subscriber is sent the events that it wants, and of the others
//! enough to check the chain; the same live, from the store, resumed on another node, over an
//! event stream and in pages of history.

use harness::raw::Received;
use harness::wait::within;
use harness::{Deployment, RawSession};
use protocol::error_code::ErrorCode;
use protocol::filter::{FILTER_BYTES_MAX, HeaderFilter};
use protocol::frame::{Action, Encoding, History, Named, Publish, PublishReply, Start, Subscribe};
use protocol::position::Position;

use super::ephemeral::session;
use super::mutate::publish;
use super::pair::pair;
use super::refusals::PATIENT;
use super::request::get;
use super::seen::{Probe, Seen};
use super::stream::EventStream;

/// Events of the channel; every seventh is wanted, and every third has no kind.
const EVENTS: u64 = 700;
const FILTER: &str = r#"{"draft":{"absent":true},"kind":["paid",""],"shop":{"prefix":"de."}}"#;

fn filter() -> HeaderFilter {
    FILTER.parse().unwrap()
}

fn is_wanted(n: u64) -> bool {
    n.is_multiple_of(7)
}

fn event(channel: &str, n: u64) -> Publish {
    let mut event = publish(Encoding::Json, channel, n, n.to_string().as_bytes());
    let mut header = |name: &str, value: &str| event.headers.insert(name.into(), value.into());
    header("shop", "de.berlin");
    if !n.is_multiple_of(3) || is_wanted(n) {
        header("kind", "paid");
    }
    if !is_wanted(n) && !n.is_multiple_of(3) {
        header(["draft", "shop"][n as usize % 2], "fr.paris");
    }
    event
}

async fn store(session: &mut RawSession, channel: &str, from: u64, to: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    for n in from..to {
        let reply = session.ask(Action::Publish(event(channel, n))).await;
        let stored = reply.unwrap().publish.and_then(PublishReply::stored);
        seqs.push(stored.expect("it was stored").position.seq);
    }
    seqs
}

/// Provokes what is refused of a filter; limits in pairs.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let (address, token) = (deployment.edges[PATIENT].address(), deployment.token("ann"));
    let name = format!("filter-{encoding:?}");
    let mut probe = Probe::connect(address, encoding, &token, &name, seen).await;
    let subscribe = |headers: HeaderFilter| {
        Action::Subscribe(Subscribe {
            headers,
            ..Subscribe::new("chat.filter")
        })
    };
    let long = |bytes: usize| {
        let mut filter = HeaderFilter::default();
        filter.demand("kind", &"x".repeat(bytes - "kind".len()));
        filter
    };
    for wrong in [
        long(FILTER_BYTES_MAX + 1),
        r#"{"Kind":[]}"#.parse().unwrap(),
        r#"{"kind":{"prefix":""}}"#.parse().unwrap(),
    ] {
        let action = subscribe(wrong.clone());
        probe
            .refused("a filter", action, ErrorCode::BadFilter)
            .await;
        let history = History {
            channel: "chat.filter".into(),
            from: None,
            backwards: false,
            limit: None,
            headers: wrong,
        };
        let action = Action::History(history);
        probe.refused("a page", action, ErrorCode::BadFilter).await;
    }
    let action = subscribe(long(FILTER_BYTES_MAX));
    probe.accepted("the longest filter", action).await;
}

/// What a client has of the channel, and how: it fails where the chain breaks.
#[derive(Debug, Default)]
struct View {
    last: u64,
    time: Option<u64>,
    wanted: Vec<u64>,
    passed: u64,
}

impl View {
    fn link(&mut self, prev: u64, seq: u64, time: u64) {
        assert!(
            prev <= self.last && seq > self.last,
            "{prev}-{seq} {self:?}"
        );
        (self.last, self.time) = (seq, Some(time));
    }

    /// Reads until everything up to `last` has been told.
    async fn read(&mut self, session: &mut RawSession, last: u64) {
        while self.last < last {
            let frame = match within("more comes", session.next()).await {
                Received::Frame(frame) => *frame,
                ended => panic!("{ended:?}"),
            };
            if let Some(event) = frame.event {
                self.link(event.prev, event.seq, event.time);
                self.wanted.push(event.seq);
            } else if let Some(passed) = frame.passed {
                self.link(passed.prev, passed.seq, passed.time);
                self.passed += passed.count;
            } else if let Some(caught_up) = frame.caught_up {
                assert!(caught_up.seq <= self.last, "the rest was told before");
            }
        }
    }
}

fn of(seqs: &[u64]) -> Vec<u64> {
    let events = (0..).zip(seqs);
    events
        .filter(|(n, _)| is_wanted(*n))
        .map(|(_, seq)| *seq)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_channel_is_complete_live_resumed_and_in_pages() {
    let Some(mut deployment) = pair().start().await else {
        return;
    };
    for encoding in [Encoding::Json, Encoding::Msgpack] {
        let channel = format!("chat.{encoding:?}").to_lowercase();
        let writer = format!("ann-{encoding:?}");
        let mut ann = session(&deployment, 0, Encoding::Json, &writer).await;
        let subscribe = |from| {
            Action::Subscribe(Subscribe {
                from: Some(from),
                headers: filter(),
                ..Subscribe::new(&channel[..])
            })
        };
        // From the store, past what a feed keeps, up to an event that is wanted.
        let mut seqs = store(&mut ann, &channel, 0, EVENTS + 1).await;
        let mut reader = session(&deployment, 0, encoding, &channel[5..]).await;
        let start = Start::Named(Named::Earliest);
        let reply = reader.ask(subscribe(start)).await.unwrap();
        let epoch = reply.subscribe.expect("it stands").epoch;
        let mut view = View::default();
        view.read(&mut reader, *seqs.last().unwrap()).await;
        assert_eq!(view.wanted, of(&seqs));
        assert_eq!(view.passed + view.wanted.len() as u64, EVENTS + 1);
        // Live, up to the next one.
        seqs.extend(store(&mut ann, &channel, EVENTS + 1, EVENTS + 8).await);
        view.read(&mut reader, *seqs.last().unwrap()).await;
        assert_eq!(view.wanted, of(&seqs));
        drop(reader);
        // On the other node, from where it stood; what is after the last one that is wanted
        // is told with the end of the replay.
        seqs.extend(store(&mut ann, &channel, EVENTS + 8, EVENTS + 18).await);
        let mut reader = session(&deployment, 1, encoding, "resumed").await;
        let start = Start::After(Position {
            epoch,
            seq: view.last,
            time: view.time,
        });
        let reply = reader.ask(subscribe(start)).await.unwrap();
        reply.subscribe.expect("it stands");
        view.read(&mut reader, *seqs.last().unwrap()).await;
        assert_eq!(view.wanted, of(&seqs));
        assert_eq!(view.passed + view.wanted.len() as u64, seqs.len() as u64);
        pages(&mut reader, &channel, &seqs).await;
        requests(&deployment, &channel, &seqs).await;
    }
    deployment.stop().await;
}

/// The same in pages.
async fn pages(session: &mut RawSession, channel: &str, seqs: &[u64]) {
    let (mut from, mut wanted, mut passed) = (None, Vec::new(), 0);
    loop {
        let asked = History {
            channel: channel.into(),
            from: from.take(),
            backwards: false,
            limit: None,
            headers: filter(),
        };
        let reply = session.ask(Action::History(asked)).await.unwrap();
        let page = *reply.history.expect("a page");
        passed += page.passed;
        wanted.extend(page.events.iter().map(|event| event.seq));
        if !page.more {
            break;
        }
        from = Some(protocol::frame::Mark::Position(page.next));
    }
    assert_eq!(wanted, of(seqs));
    assert_eq!(passed + wanted.len() as u64, seqs.len() as u64);
}

/// And over HTTP, where the filter stands in the query.
async fn requests(deployment: &Deployment, channel: &str, seqs: &[u64]) {
    let (address, token) = (deployment.edges[0].address(), deployment.token("joe"));
    let query: String = FILTER.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let path = format!("/v1/history/{channel}?limit=256&headers={query}");
    let page = get(address, &path, Some(&token)).await.body();
    let events = page["history"]["events"].as_array().unwrap().clone();
    let read: Vec<u64> = events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(read, of(&seqs[..256]));
    let bad = format!("/v1/history/{channel}?headers=kind");
    assert_eq!(
        get(address, &bad, Some(&token)).await.code(),
        ErrorCode::BadFrame
    );
    let path = format!("/v1/sse?channel={channel}&from=earliest&headers={query}");
    let mut stream = EventStream::open(address, &path, &token, "").await.unwrap();
    let (mut last, mut wanted) = (0, Vec::new());
    while last < seqs[300] {
        let sent = stream.next().await.expect("the stream goes on");
        let number = |key: &str| sent.data[key].as_u64().unwrap();
        match sent.name.as_str() {
            "event" | "passed" => {
                assert!(number("prev") <= last);
                last = number("seq");
                wanted.extend((sent.name == "event").then_some(last));
            }
            other => assert_eq!(other, "subscribe"),
        }
    }
    // It comes back where it stood, in the midst of what it does not want.
    let mut stream = EventStream::open(address, &path, &token, &stream.last_id)
        .await
        .unwrap();
    while last < *seqs.last().unwrap() {
        let sent = stream.next().await.expect("the stream goes on");
        let number = |key: &str| sent.data[key].as_u64().unwrap();
        if matches!(sent.name.as_str(), "event" | "passed") {
            assert!(number("prev") <= last && number("seq") > last);
            last = number("seq");
            wanted.extend((sent.name == "event").then_some(last));
        }
    }
    assert_eq!(wanted, of(seqs));
}
