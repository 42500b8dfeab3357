//! Channels that are subscribed and left again before the first answer, as a page does
//! that mounts and unmounts quickly.

use harness::raw::Received;
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Command, FromServer, PublishReply, Subscribe, Unsubscribe, encode};

use super::mutate::publish;
use super::refusals::SUBSCRIPTIONS_MAX;
use super::seen::Probe;

/// Quick changes: many times the limit of subscriptions, and one message of frames.
const MOUNTS: u64 = 128;

fn subscribe(channel: &str) -> Action {
    Action::Subscribe(Subscribe::new(channel))
}

fn unsubscribe(channel: &str) -> Action {
    Action::Unsubscribe(Unsubscribe {
        channel: channel.into(),
    })
}

/// Sends the commands in one message, with ids from 1 on, and reads up to the reply of
/// the last.
async fn all(probe: &mut Probe<'_>, commands: Vec<Action>) -> Vec<FromServer> {
    let last = commands.len() as u64;
    let message: Vec<u8> = (1..)
        .zip(commands)
        .flat_map(|(id, action)| encode(probe.encoding, &Command::new(id, action)))
        .collect();
    let sent = probe.session.send_bytes(&message).await;
    sent.expect("the session is open");
    let mut frames: Vec<FromServer> = Vec::new();
    while frames.last().is_none_or(|frame| frame.id != Some(last)) {
        match probe.session.next().await {
            Received::Frame(frame) => frames.push(*frame),
            ended => panic!("{ended:?} after {frames:?}"),
        }
    }
    frames
}

/// The ids of a channel's replies come in the order of its commands; the subscriptions
/// were answered or cancelled.
fn check(probe: &mut Probe<'_>, frames: &[FromServer]) {
    let ids: Vec<u64> = frames.iter().filter_map(|frame| frame.id).collect();
    let expected: Vec<u64> = (1..=frames.len() as u64).collect();
    assert_eq!(ids, expected, "{frames:?}");
    for frame in frames {
        match frame.id.expect("a reply") % 2 {
            0 => assert!(frame.unsubscribe.is_some(), "{frame:?}"),
            _ if frame.subscribe.is_some() => {}
            _ => {
                let error = frame.error.as_ref();
                let what = "a subscription left under way";
                probe.seen.refusal(what, error, ErrorCode::Cancelled);
            }
        }
    }
}

/// Left at once, left and taken up again, and that many times over.
pub async fn provoke(probe: &mut Probe<'_>) {
    let once = vec![subscribe("chat.m0"), unsubscribe("chat.m0")];
    let frames = all(probe, once).await;
    check(probe, &frames);

    let again = [
        subscribe("chat.m0"),
        unsubscribe("chat.m0"),
        subscribe("chat.m0"),
    ];
    let frames = all(probe, again.into()).await;
    check(probe, &frames);
    let last = frames.last().expect("there are replies");
    assert!(last.subscribe.is_some(), "{last:?}");
    each_event_once(probe).await;

    let quick = (0..MOUNTS).flat_map(|n| {
        let channel = format!("chat.m{}", 1 + n);
        [subscribe(&channel), unsubscribe(&channel)]
    });
    let frames = all(probe, quick.collect()).await;
    check(probe, &frames);
    // One is taken; the rest of the limit is free, and not more than that.
    for n in 1..SUBSCRIPTIONS_MAX {
        let what = "a subscription after quick ones";
        probe.accepted(what, subscribe(&format!("chat.m{n}"))).await;
    }
    let what = "a subscription over the limit";
    let code = ErrorCode::TooManySubscriptions;
    probe.refused(what, subscribe("chat.more"), code).await;
}

/// Of the subscription that was left nothing comes: events come once, in order.
async fn each_event_once(probe: &mut Probe<'_>) {
    let mut seqs = Vec::new();
    for n in 1..=2 {
        let event = publish(probe.encoding, "chat.m0", n, b"1");
        let sent = probe.session.send(Action::Publish(event)).await;
        sent.expect("the session is open");
    }
    let mut acked = Vec::new();
    while seqs.len() < 2 || acked.len() < 2 {
        match probe.session.next().await {
            Received::Frame(frame) => {
                match (frame.event, frame.publish.and_then(PublishReply::stored)) {
                    (Some(event), _) => seqs.push(event.seq),
                    (None, Some(published)) => acked.push(published.position.seq),
                    (None, None) => panic!("neither event nor ack"),
                }
            }
            ended => panic!("{ended:?}"),
        }
    }
    assert_eq!(seqs, acked);
}
