//! A feed with subscribers, without NATS: who is live gets everything, who is slow is
//! paused where it stands, who joins late takes from the ring or is sent to the
//! stream.

use bytes::Bytes;
use protocol::filter::HeaderFilter;
use protocol::frame::decode_from_server;
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::name::StoreName;

use super::*;
use crate::core::delivery::Relayed;
use crate::core::run::Form;
use shares::budget::Budget;
use shares::sieve::Sieve;

fn feed() -> Feed {
    let key = FeedKey {
        tenant: Tenant::parse("acme").unwrap(),
        channel: Channel::parse("doc.1").unwrap(),
    };
    let (store, epoch) = (
        StoreName::parse("main").unwrap(),
        Epoch::parse("aa").unwrap(),
    );
    let feed = Feed::new(key, &Place::plain(store, epoch, Lane(0)));
    feed.open_at(10);
    feed
}

fn event(seq: u64, prev: u64) -> Arc<Encoded> {
    of_kind(seq, prev, "a")
}

fn of_kind(seq: u64, prev: u64, kind: &str) -> Arc<Encoded> {
    let mut headers = Headers::new();
    headers.push_user("kind", kind).unwrap();
    let payload = Bytes::from(vec![b'1'; 100]);
    Encoded::event(
        "doc.1".into(),
        Relayed {
            seq,
            prev,
            time_us: 0,
            headers,
            payload,
        },
    )
}

fn subscriber(id: u64, outbox_bytes: usize) -> Subscriber {
    let port = Arc::new(Port::new(outbox_bytes, &Budget::new(1 << 30), Form::Apart));
    port.expect(id);
    assert!(port.open(id, Bytes::new()));
    port.take(1, |reply| assert!(reply.is_empty()));
    Subscriber {
        id,
        port,
        encoding: Encoding::Json,
        wants: Wants::default(),
    }
}

fn frames(subscriber: &Subscriber) -> usize {
    let (mut frames, mut bytes) = (0, 0);
    subscriber.port.take(usize::MAX, |frame| {
        frames += 1;
        bytes += frame.len();
    });
    subscriber.port.written(bytes);
    frames
}

#[test]
fn everybody_live_gets_everything_once() {
    let feed = feed();
    let (one, late) = (subscriber(1, 1 << 20), subscriber(2, 1 << 20));
    assert_eq!(feed.join(&one, 10, false), Join::Live);
    feed.arrived(vec![event(12, 10), event(15, 12)]);
    // The second one has replayed further than the feed knows.
    assert_eq!(feed.join(&late, 17, false), Join::Live);
    feed.arrived(vec![event(17, 15), event(18, 17)]);
    assert_eq!((frames(&one), frames(&late)), (4, 1));
}

#[test]
fn a_late_one_joins_from_the_ring_with_its_notice() {
    let feed = feed();
    feed.arrived(vec![event(12, 10), event(15, 12)]);
    let late = subscriber(1, 1 << 20);
    assert_eq!(feed.join(&late, 9, true), Join::Behind { to: 15 });
    assert_eq!(feed.join(&late, 10, true), Join::Live);
    assert_eq!(frames(&late), 3);
}

#[test]
fn a_slow_one_is_paused_where_it_stands_and_others_go_on() {
    let feed = feed();
    let (slow, fast) = (subscriber(1, 600), subscriber(2, 1 << 20));
    assert_eq!(
        (feed.join(&slow, 10, false), feed.join(&fast, 10, false)),
        (Join::Live, Join::Live)
    );
    feed.arrived((0..6).map(|n| event(11 + n, 10 + n)).collect());
    let notes = slow.port.take_notes();
    let [Note::Lagging { id: 1, at }] = notes.as_slice() else {
        panic!("{notes:?}")
    };
    assert_eq!(*at, 10 + frames(&slow) as u64);
    feed.arrived(vec![event(17, 16)]);
    assert_eq!((frames(&slow), frames(&fast)), (0, 7));
    assert_eq!(
        feed.join(&slow, *at, true),
        Join::Full {
            at: *at + (*at - 10)
        }
    );
}

#[test]
fn a_closed_subscription_gets_nothing_more() {
    let feed = feed();
    let gone = subscriber(1, 1 << 20);
    assert_eq!(feed.join(&gone, 10, false), Join::Live);
    gone.port.shut(1);
    feed.arrived(vec![event(12, 10)]);
    assert_eq!(frames(&gone), 0);
    assert_eq!(feed.join(&gone, 12, true), Join::Closed);
    feed.end();
    assert_eq!(feed.join(&gone, 12, true), Join::Ended);
}

#[test]
fn a_break_waits_for_its_repair() {
    let feed = feed();
    let one = subscriber(1, 1 << 20);
    feed.join(&one, 10, false);
    feed.arrived(vec![event(15, 12)]);
    let missing = feed.missing().unwrap();
    assert_eq!(
        (frames(&one), missing),
        (
            0,
            Missing {
                after: 10,
                to: 14,
                prev: 10,
                known: 12
            }
        )
    );
    feed.repaired(Repaired {
        events: vec![event(12, 10)],
        gap: None,
        through: 14,
    });
    assert_eq!((frames(&one), feed.position()), (2, 15));
}

#[test]
fn a_feed_vouches_only_for_what_it_has_seen() {
    let feed = feed();
    assert!(!feed.vouches(5, 8), "before its mark");
    assert!(feed.vouches(10, 10) && !feed.vouches(10, 20));
    feed.probed(10, false);
    assert!(!feed.vouches(10, 20), "whoever lags proves nothing");
    feed.vouched(10, 20);
    assert!(feed.vouches(10, 20));
}

#[test]
fn a_rollback_ends_the_feed_and_old_news_does_not_hide_it() {
    let feed = feed();
    feed.arrived(vec![event(12, 10)]);
    assert!(!feed.take_quiet());
    for _ in 0..DOUBTS {
        assert!(!feed.is_rolled_back());
        // The stream gives out its numbers a second time.
        feed.arrived(vec![event(11, 10)]);
        assert!(feed.take_quiet());
        feed.probed(11, true);
    }
    assert!(feed.is_rolled_back());
}

fn fleeting(n: u64, writer: &str) -> Arc<Fleeting> {
    let mut headers = Headers::new();
    headers.push("eddy-id", n.to_string());
    headers.push("eddy-publisher", writer);
    Fleeting::of("doc.1".into(), headers, Bytes::from_static(b"1"), None)
}

#[test]
fn ephemeral_events_go_to_whoever_stands_level_or_not() {
    let feed = feed();
    let (level, behind) = (subscriber(1, 10_000), subscriber(2, 10_000));
    let own = Subscriber {
        wants: Wants {
            own: Some("ann/c1".into()),
            ..Wants::default()
        },
        ..subscriber(3, 10_000)
    };
    assert_eq!(feed.join(&level, 10, false), Join::Live);
    feed.listen(&behind);
    feed.fleeted(&[fleeting(1, "ann/c1")]);
    assert_eq!(frames(&level), 0, "the namespace allows none");
    feed.allow_ephemeral(true);
    feed.listen(&behind);
    feed.listen(&own);
    feed.fleeted(&[fleeting(2, "ann/c1"), fleeting(3, "joe/c1")]);
    assert_eq!([&level, &behind, &own].map(frames), [2, 2, 1]);
    feed.add_user();
    feed.remove_user(2);
    feed.fleeted(&[fleeting(4, "joe/c1")]);
    assert_eq!([&level, &behind].map(frames), [1, 0]);
    feed.allow_ephemeral(false);
    feed.fleeted(&[fleeting(5, "joe/c1")]);
    assert_eq!(frames(&level), 0);
}

#[test]
fn what_is_ephemeral_takes_no_room_from_what_is_stored() {
    let feed = feed();
    let subscriber = subscriber(1, 2_000);
    feed.allow_ephemeral(true);
    assert_eq!(feed.join(&subscriber, 10, false), Join::Live);
    for n in 0..100 {
        feed.fleeted(&[fleeting(n, "ann/c1")]);
    }
    feed.arrived(vec![event(11, 10), event(12, 11)]);
    let mut order = Vec::new();
    subscriber.port.take(usize::MAX, |frame| {
        let text = String::from_utf8(frame.to_vec()).unwrap();
        order.push(text.split('"').nth(1).unwrap().to_owned());
    });
    assert_eq!(order[..3], ["event", "event", "dropped"]);
    assert!(order.len() > 4 && order[3..].iter().all(|kind| kind == "ephemeral"));
}

#[test]
fn who_has_granted_some_gets_as_many_and_goes_on_with_the_next() {
    let feed = feed();
    let (one, free) = (subscriber(1, 1 << 20), subscriber(2, 1 << 20));
    one.port.limit(1, 3);
    for who in [&one, &free] {
        assert_eq!(feed.join(who, 10, false), Join::Live);
    }
    // A run of which it may have a part.
    feed.arrived((0..5).map(|n| event(11 + n, 10 + n)).collect());
    assert_eq!((frames(&one), frames(&free)), (3, 5));
    let notes = one.port.take_notes();
    assert!(
        matches!(notes[..], [Note::Lagging { id: 1, at: 13 }]),
        "{notes:?}"
    );
    assert_eq!(feed.join(&one, 13, true), Join::Full { at: 13 });
    assert_eq!(one.port.grant(1, 2), Ok(2));
    assert_eq!(feed.join(&one, 13, true), Join::Live);
    assert_eq!(frames(&one), 3, "two events, and that it has caught up");
    assert!(!one.port.has_credit(1) && free.port.has_credit(2));
    feed.arrived(vec![event(16, 15)]);
    assert_eq!((frames(&one), frames(&free)), (0, 1));
}

#[test]
fn events_that_are_joined_are_counted_one_by_one() {
    let feed = feed();
    let port = Arc::new(Port::new(1 << 20, &Budget::new(1 << 30), Form::Joined));
    port.limit(1, 4);
    port.expect(1);
    assert!(port.open(1, Bytes::from_static(b"{}")));
    let one = Subscriber {
        port,
        ..subscriber(1, 1)
    };
    assert_eq!(frames(&one), 1);
    assert_eq!(feed.join(&one, 10, false), Join::Live);
    feed.arrived((0..3).map(|n| event(11 + n, 10 + n)).collect());
    assert_eq!(frames(&one), 1, "three in a message");
    feed.arrived((3..6).map(|n| event(11 + n, 10 + n)).collect());
    assert_eq!(frames(&one), 1, "and one of three");
}

/// What a subscriber was sent: `prev-seq` of an event, and in brackets of what was passed
/// over, with how many that were; the sequence after `=` where it has caught up.
fn links(subscriber: &Subscriber) -> Vec<String> {
    let (mut links, mut bytes) = (Vec::new(), 0);
    subscriber.port.take(usize::MAX, |frame| {
        bytes += frame.len();
        for frame in decode_from_server(Encoding::Json, &frame).0 {
            let event = frame
                .event
                .map(|event| format!("{}-{}", event.prev, event.seq));
            let passed = frame.passed.map(|passed| {
                assert_eq!(passed.channel, "doc.1");
                format!("({}-{} {})", passed.prev, passed.seq, passed.count)
            });
            let caught_up = frame
                .caught_up
                .map(|caught_up| format!("={}", caught_up.seq));
            let gap = frame.gap.map(|gap| format!("!{}-{}", gap.from, gap.to));
            links.extend(event.or(passed).or(caught_up).or(gap));
        }
    });
    subscriber.port.written(bytes);
    links
}

/// One that wants events of kind `a`.
fn choosy(id: u64, outbox_bytes: usize) -> Subscriber {
    let filter: HeaderFilter = r#"{"kind":["a"]}"#.parse().unwrap();
    let filter = Arc::new(filter);
    let subscriber = subscriber(id, outbox_bytes);
    let sieve = Sieve::new("doc.1".into(), filter.clone());
    subscriber.port.sift(id, sieve);
    Subscriber {
        wants: Wants {
            filter: Some(filter),
            ..Wants::default()
        },
        ..subscriber
    }
}

#[test]
fn who_wants_a_part_is_told_of_the_rest_as_links_of_the_chain() {
    let feed = feed();
    let (one, all) = (choosy(1, 1 << 20), subscriber(2, 1 << 20));
    for who in [&one, &all] {
        assert_eq!(feed.join(who, 10, false), Join::Live);
    }
    let (a, b) = ("a", "b");
    feed.arrived(vec![of_kind(11, 10, b), of_kind(13, 11, b)]);
    assert_eq!(links(&one), [""; 0], "nothing to tell them with yet");
    feed.arrived(vec![of_kind(14, 13, a), of_kind(15, 14, a)]);
    assert_eq!(links(&one), ["(10-13 2)", "13-14", "14-15"]);
    feed.arrived(vec![
        of_kind(16, 15, b),
        of_kind(17, 16, a),
        of_kind(19, 17, b),
    ]);
    assert_eq!(links(&one), ["(15-16 1)", "16-17"]);
    // Whoever joins a little behind hears the same, and where it is level.
    let late = choosy(3, 1 << 20);
    assert_eq!(feed.join(&late, 13, true), Join::Live);
    let told = ["13-14", "14-15", "(15-16 1)", "16-17", "(17-19 1)", "=19"];
    assert_eq!(links(&late), told);
    assert_eq!(links(&all).len(), 7);
}

#[test]
fn a_long_row_of_others_is_told_by_itself() {
    let feed = feed();
    let one = choosy(1, 1 << 20);
    assert_eq!(feed.join(&one, 10, false), Join::Live);
    for seq in 11..11 + shares::sieve::PASSED_EVENTS {
        feed.arrived(vec![of_kind(seq, seq - 1, "b")]);
    }
    assert_eq!(links(&one), ["(10-266 256)"]);
}

#[test]
fn what_is_not_wanted_costs_neither_credit_nor_room() {
    let feed = feed();
    let one = choosy(1, 200);
    one.port.limit(1, 2);
    assert_eq!(feed.join(&one, 10, false), Join::Live);
    feed.arrived((0..100).map(|n| of_kind(11 + n, 10 + n, "b")).collect());
    feed.arrived(vec![event(111, 110)]);
    // The frame that tells of them and the event are more than its outbox takes.
    let notes = one.port.take_notes();
    assert!(
        matches!(notes[..], [Note::Lagging { id: 1, at: 110 }]),
        "{notes:?}"
    );
    assert_eq!(links(&one), ["(10-110 100)"]);
    assert_eq!(feed.join(&one, 110, true), Join::Live);
    assert_eq!(links(&one), ["110-111", "=111"]);
    assert_eq!(one.port.grant(1, 1), Ok(2), "one was sent");
}
