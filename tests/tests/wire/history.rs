//! History on a real stream: in both directions, over WebSocket and HTTP alike; its
//! refusals, and its limits in pairs.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use harness::Deployment;
use harness::raw::Received;
use protocol::error_code::ErrorCode::{self, *};
use protocol::frame::{
    Action, AtSequence, AtTime, Command, Encoding, End, HISTORY_EVENTS_MAX, History, HistoryPage,
    Mark, PublishReply, encode,
};
use protocol::position::{Epoch, Position};

use super::mutate::publish;
use super::refusals::PATIENT;
use super::request::{Answer, get};
use super::seen::{Probe, Seen};

/// Events of the channel, every second one; more than a page holds.
const EVENTS: u64 = HISTORY_EVENTS_MAX as u64 + 44;
/// Pages that a session may wait for.
const READS_MAX: u64 = 4;

fn asked(channel: &str, from: Option<Mark>, backwards: bool, limit: Option<u32>) -> History {
    History {
        channel: channel.into(),
        from,
        backwards,
        limit: limit.and_then(NonZeroU32::new),
        headers: Default::default(),
    }
}

/// Reads history, and provokes its refusals.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let scopes = ["publish:chat.>", "subscribe:chat.>", "subscribe:nowhere.>"];
    let token = deployment.token_with("ann", &scopes, std::time::Duration::from_secs(600));
    let address = deployment.edges[PATIENT].address();
    let channel = format!("chat.history-{encoding:?}").to_lowercase();
    let name = format!("history-{encoding:?}");
    let mut probe = Probe::connect(address, encoding, &token, &name, seen).await;
    let mut seqs = Vec::new();
    for n in 0..EVENTS {
        let data = n.to_string();
        let event = publish(encoding, &channel, 2 * n, data.as_bytes());
        let other = publish(encoding, "chat.between", 2 * n + 1, b"1");
        let stored = probe.accepted("an event", Action::Publish(event)).await;
        seqs.push(
            stored
                .publish
                .and_then(PublishReply::stored)
                .expect("it was stored")
                .position
                .seq,
        );
        if n % 16 == 0 {
            probe.accepted("another", Action::Publish(other)).await;
        }
    }
    for backwards in [false, true] {
        let read = pages(&mut probe, &channel, backwards).await;
        let mut links: Vec<_> = read.iter().map(|event| (event.seq, event.prev)).collect();
        if backwards {
            links.reverse();
        }
        let before = [0].into_iter().chain(seqs.iter().copied());
        let whole = seqs.iter().copied().zip(before);
        assert!(links.iter().copied().eq(whole), "{links:?}");
    }
    same_over_http(&mut probe, deployment, &token, &channel).await;
    refusals(&mut probe, &channel).await;
    reads(&mut probe, &channel).await;
    requests(&mut probe, deployment, &token, &channel).await;
}

async fn page(probe: &mut Probe<'_>, asked: History) -> HistoryPage {
    let reply = probe.accepted("a page", Action::History(asked)).await;
    *reply.history.expect("it is a page")
}

/// Every event, over as many pages as it takes; the first one is as long as it may be.
async fn pages(
    probe: &mut Probe<'_>,
    channel: &str,
    backwards: bool,
) -> Vec<protocol::frame::Event> {
    let mut next = asked(channel, None, backwards, Some(10 * HISTORY_EVENTS_MAX));
    let mut events = Vec::new();
    loop {
        let page = page(probe, next).await;
        if events.is_empty() {
            assert_eq!(page.events.len(), HISTORY_EVENTS_MAX as usize);
        }
        events.extend(page.events);
        if !page.more {
            return events;
        }
        next = asked(channel, Some(Mark::Position(page.next)), backwards, Some(7));
    }
}

/// A page is the same over HTTP, whatever it starts with.
async fn same_over_http(
    probe: &mut Probe<'_>,
    deployment: &Deployment,
    token: &str,
    channel: &str,
) {
    let middle = page(probe, asked(channel, None, true, Some(40))).await.next;
    let (epoch, seq, time) = (middle.epoch, middle.seq, middle.time);
    let position = |time| {
        let epoch = epoch.clone();
        Mark::Position(Position { epoch, seq, time })
    };
    let marks = [
        Mark::End(End::Earliest),
        Mark::End(End::Latest),
        position(None),
        position(time),
        Mark::Sequence(AtSequence { seq }),
        Mark::Time(AtTime {
            time: time.expect("the page ends with an event"),
        }),
    ];
    for mark in marks {
        for backwards in [false, true] {
            let from = Some(mark.clone());
            let framed = page(probe, asked(channel, from, backwards, Some(5))).await;
            let path = format!("/v1/history/{channel}?from={mark}&backwards={backwards}&limit=5");
            let answer = get(deployment.edges[PATIENT].address(), &path, Some(token)).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let read: HistoryPage = answer.field("history");
            let plain = |page: &HistoryPage| {
                let events = page.events.iter();
                let events: BTreeMap<_, _> = events
                    .map(|event| (event.seq, (event.prev, event.id.clone())))
                    .collect();
                let next = (page.next.clone(), page.more, page.first_seq, page.last_seq);
                (events, next)
            };
            assert_eq!(plain(&read), plain(&framed), "{path}");
        }
    }
}

async fn refusals(probe: &mut Probe<'_>, channel: &str) {
    let from = |epoch: Epoch, seq, time| Some(Mark::Position(Position { epoch, seq, time }));
    let epoch = page(probe, asked(channel, None, false, Some(1)))
        .await
        .epoch;
    let rows = [
        ("a bad channel", "chat.*", None, BadChannel),
        (
            "another's outcomes",
            "_outcome.eve.c1.chat",
            None,
            Forbidden,
        ),
        ("no scope", "secret.a", None, Forbidden),
        ("no namespace", "nowhere.a", None, UnknownNamespace),
        (
            "another epoch",
            channel,
            from(Epoch::from_random(1), 1, None),
            PositionMismatch,
        ),
        (
            "another time",
            channel,
            from(epoch.clone(), 1, Some(1)),
            PositionMismatch,
        ),
    ];
    for (what, channel, from, code) in rows {
        let action = Action::History(asked(channel, from, false, None));
        probe.refused(what, action, code).await;
    }
    let own = "_outcome.ann.nobody.chat";
    assert_eq!(page(probe, asked(own, None, true, None)).await.events, []);
}

/// A session decides all commands of one message before it looks at answers.
async fn reads(probe: &mut Probe<'_>, channel: &str) {
    let one = |id: u64| {
        let action = Action::History(asked(channel, None, false, Some(1)));
        encode(probe.encoding, &Command::new(id, action)).to_vec()
    };
    let message: Vec<u8> = (0..=READS_MAX).flat_map(|n| one(5_000 + n)).collect();
    let sent = probe.session.send_bytes(&message).await;
    sent.expect("the session is open");
    for _ in 0..=READS_MAX {
        match probe.session.next().await {
            Received::Frame(frame) if frame.id == Some(5_000 + READS_MAX) => {
                let error = frame.error.as_ref();
                probe.seen.refusal("one page more", error, TooManyReads);
            }
            Received::Frame(frame) => assert!(frame.history.is_some(), "{frame:?}"),
            ended => panic!("{ended:?}"),
        }
    }
    page(probe, asked(channel, None, false, Some(1))).await;
}

/// What only a request can get wrong, each with its status.
async fn requests(probe: &mut Probe<'_>, deployment: &Deployment, token: &str, channel: &str) {
    let address = deployment.edges[PATIENT].address();
    let good = format!("/v1/history/{channel}");
    let in_query = format!("{good}?access_token={token}");
    let page = get(address, &in_query, None).await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: application/json"));
    let rows = [
        (good.clone(), None, 401, BadToken),
        (in_query, Some(token), 400, BadFrame),
        (format!("{good}?limit=0"), Some(token), 400, BadFrame),
        (format!("{good}?from=now"), Some(token), 400, BadFrame),
        (format!("{good}?surplus=1"), Some(token), 400, BadFrame),
        ("/v1/history/chat.%20".into(), Some(token), 422, BadChannel),
        ("/v1/history/secret.a".into(), Some(token), 403, Forbidden),
        (
            "/v1/history/nowhere.a".into(),
            Some(token),
            404,
            UnknownNamespace,
        ),
        (
            format!("{good}?from=ff:1"),
            Some(token),
            409,
            PositionMismatch,
        ),
    ];
    for (path, token, status, code) in rows {
        let answer: Answer = get(address, &path, token).await;
        let read: (u16, ErrorCode) = (answer.status, answer.code());
        assert_eq!(read, (status, code), "{path}");
    }
    probe.lives().await;
}
