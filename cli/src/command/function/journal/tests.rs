use protocol::header::Headers;
use protocol::id::Publisher;
use protocol::name::{ClientId, StoreName, User};
use protocol::position::{Epoch, Position};
use protocol::stream::StreamName;
use protocol::subject::Subject;

use super::*;

fn name(text: &str) -> FunctionName {
    FunctionName::parse(text).unwrap()
}

fn store() -> StoreName {
    StoreName::parse("main").unwrap()
}

fn journal() -> Journal {
    let entry: FunctionEntry = serde_json::from_str("{}").unwrap();
    Journal::new(name("shout"), &entry)
}

fn address(channel: &str) -> (Lane, Tenant, Channel) {
    let tenant = Tenant::parse("demo").unwrap();
    let channel = Channel::parse(channel).unwrap();
    (Lane::of(&tenant, &channel, 1), tenant, channel)
}

fn message(seq: u64, subject: Subject, headers: Headers, payload: &str) -> Stored {
    Stored {
        seq,
        time_us: seq,
        subject: subject.as_str().to_owned(),
        headers,
        payload: payload.to_owned().into(),
    }
}

fn event(kind: Kind, seq: u64, channel: &str, envelope: Envelope, payload: &str) -> Stored {
    let (lane, tenant, channel) = address(channel);
    let subject = Subject::event(kind, &store(), lane, &tenant, &channel);
    message(seq, subject, envelope.to_headers(), payload)
}

fn input(seq: u64, channel: &str) -> Stored {
    let envelope = Envelope {
        id: format!("demo/ann/tab/{seq}"),
        publisher: Some(Publisher {
            user: User::parse("ann").unwrap(),
            client: ClientId::parse("tab").unwrap(),
        }),
        gate: Some(name("shout")),
        ..Envelope::default()
    };
    event(Kind::In, seq, channel, envelope, "{}")
}

fn source(seq: u64) -> Source {
    Source {
        stream: StreamName::ingress(&store()),
        epoch: Epoch::from_random(1),
        seq,
    }
}

fn output(of: u64, channel: &str) -> Stored {
    let envelope = Envelope {
        id: format!("shout/{of}/0"),
        source: Some(source(of)),
        function: Some(name("shout")),
        ..Envelope::default()
    };
    event(Kind::Ev, 100 + of, channel, envelope, "{}")
}

fn told(of: u64, kind: OutcomeKind) -> Stored {
    let outcome = OutcomeEvent {
        outcome: kind,
        id: "demo/ann/tab/1".into(),
        n: 1,
        channel: "shout.a".into(),
        position: Position {
            epoch: Epoch::from_random(1),
            seq: of,
            time: None,
        },
        function: "shout".into(),
        reason: "why".into(),
        outputs: None,
    };
    let envelope = Envelope {
        id: format!("shout/{of}/0"),
        source: Some(source(of)),
        function: Some(name("shout")),
        ..Envelope::default()
    };
    let json = serde_json::to_string(&outcome).unwrap();
    event(
        Kind::Ev,
        100 + of,
        "_outcome.ann.tab.shout",
        envelope,
        &json,
    )
}

fn checkpoint(seq: u64, parked: &[(&str, u64, u32)]) -> Stored {
    let parked: Vec<_> = parked
        .iter()
        .map(|(channel, seq, attempts)| {
            serde_json::json!({"tenant": "demo", "channel": channel, "seq": seq,
                "attempts": attempts, "since": 1, "due": 2})
        })
        .collect();
    let digest = "0".repeat(64);
    let json = serde_json::json!({"stream": "INGRESS-main", "epoch": Epoch::from_random(1),
        "seq": seq, "time": 1, "digest": digest, "lease": 1, "parked": parked});
    let subject = Subject::checkpoint(&store(), Lane(0), &name("shout"));
    message(200 + seq, subject, Headers::new(), &json.to_string())
}

/// What each message made known: sequence, outcome, number of outputs.
fn run(messages: Vec<Stored>) -> Vec<(u64, Outcome, usize)> {
    let (mut journal, now) = (journal(), Instant::now());
    let seen = messages
        .into_iter()
        .flat_map(|message| journal.see(message, now));
    let seen: Vec<_> = seen
        .map(|record| {
            let becomes = record.becomes.unwrap();
            (record.seq.unwrap(), becomes.outcome, becomes.outputs.len())
        })
        .collect();
    assert!(journal.made.is_empty(), "everything seen was told");
    seen
}

#[test]
fn an_input_is_told_at_the_checkpoint_in_whatever_order_the_streams_come() {
    let expected = [(7, Outcome::Ack, 2)];
    let outputs = || [output(7, "shout.a"), output(7, "side.a")];
    let [one, two] = outputs();
    assert_eq!(
        run(vec![input(7, "shout.a"), one, two, checkpoint(7, &[])]),
        expected
    );
    let [one, two] = outputs();
    assert_eq!(
        run(vec![one, two, checkpoint(9, &[]), input(7, "shout.a")]),
        expected
    );
}

#[test]
fn what_did_not_pass_has_its_outcome() {
    for (kind, outcome) in [
        (OutcomeKind::Dropped, Outcome::Drop),
        (OutcomeKind::Rejected, Outcome::Reject),
        (OutcomeKind::DeadLettered, Outcome::Fault),
    ] {
        let seen = run(vec![input(1, "shout.a"), told(1, kind), checkpoint(1, &[])]);
        assert_eq!(seen, [(1, outcome, 0)]);
    }
}

#[test]
fn a_parked_channel_is_told_at_each_attempt_and_others_go_on() {
    let seen = run(vec![
        input(1, "shout.a"),
        input(2, "shout.a"),
        input(3, "shout.b"),
        output(3, "shout.b"),
        checkpoint(3, &[("shout.a", 1, 1)]),
        checkpoint(3, &[("shout.a", 1, 1)]),
        checkpoint(3, &[("shout.a", 1, 2)]),
        output(1, "shout.a"),
        output(2, "shout.a"),
        checkpoint(3, &[]),
    ]);
    let expected = [
        (1, Outcome::Retry, 0),
        (3, Outcome::Ack, 1),
        (1, Outcome::Retry, 0),
        (1, Outcome::Ack, 1),
        (2, Outcome::Ack, 1),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_a_base_or_a_held_tenant_keeps_waiting_is_not_told() {
    let mut changed: serde_json::Value =
        serde_json::from_slice(&checkpoint(3, &[]).payload).unwrap();
    changed["base"] = 203.into();
    changed["held"] = serde_json::json!([{"tenant": "demo", "seq": 3}]);
    let mut over = checkpoint(4, &[]);
    over.payload = changed.to_string().into();
    let seen = run(vec![
        input(1, "shout.a"),
        input(3, "shout.b"),
        checkpoint(3, &[("shout.a", 1, 1), ("shout.b", 3, 1)]),
        over,
    ]);
    assert_eq!(seen, [(1, Outcome::Retry, 0), (3, Outcome::Retry, 0)]);
}

#[test]
fn other_functions_are_not_looked_at() {
    let mut journal = journal();
    let mut foreign = input(1, "doc.a");
    foreign.headers = Envelope {
        id: "demo/ann/tab/1".into(),
        gate: Some(name("other")),
        ..Envelope::default()
    }
    .to_headers();
    assert!(journal.see(foreign, Instant::now()).is_empty());
    assert!(journal.inputs.is_empty());
}

#[test]
fn a_tick_is_an_input_and_what_stands_beside_it_is_none() {
    let (mut journal, now) = (journal(), Instant::now());
    let on = |seq: u64| {
        let envelope = Envelope {
            id: format!("shout/tick/{seq}"),
            ..Envelope::default()
        };
        event(Kind::Ev, seq, "shout.tick", envelope, "{}")
    };
    let (mut tick, mut other) = (on(7), on(8));
    tick.headers.push(header::TICK, "shout");
    other.headers.push(header::TICK, "other");
    for stored in [tick, other, on(9)] {
        assert!(journal.see(stored, now).is_empty());
    }
    let told = journal.see(checkpoint(9, &[]), now);
    let told: Vec<_> = told.iter().filter_map(|record| record.seq).collect();
    assert_eq!(told, [7]);
}

#[test]
fn what_waits_is_told_once() {
    let (mut journal, now) = (journal(), Instant::now());
    journal.see(input(4, "shout.a"), now);
    assert!(journal.waiting(now).is_empty());
    let told = journal.waiting(now + WONDER);
    assert_eq!(told, ["4 on shout.a: nothing has become of it in 5s"]);
    assert!(journal.waiting(now + WONDER).is_empty());
}

#[test]
fn memory_is_bounded() {
    let (mut journal, now) = (journal(), Instant::now());
    for seq in 1..=REMEMBERED_MAX as u64 + 5 {
        journal.see(input(seq, "shout.a"), now);
        journal.see(output(1_000_000 + seq, "shout.a"), now);
    }
    assert_eq!(journal.inputs.len(), REMEMBERED_MAX);
    assert_eq!(journal.made.len(), REMEMBERED_MAX);
}
