//! Single situations of a lane.

use protocol::checkpoint::{PARKED_MAX, PARKED_TENANT_MAX};
use protocol::spec::FunctionLimits;

use super::*;

fn simple(count: usize, last: Last) -> Vec<Script> {
    vec![
        Script {
            channel: 1,
            failures: 0,
            faults: false,
            last
        };
        count
    ]
}

#[test]
fn a_large_reply_is_split_between_inputs() {
    let mut machine = Machine::resume(
        scope(FunctionLimits::default()),
        &checkpoint(0, 1),
        5,
        1,
        100,
    );
    machine.push((1..=40).map(|seq| stored(seq, "doc.a", "{}")).collect());
    let Action::Run(items) = machine.next(1) else {
        panic!("events are run")
    };
    machine.ran(
        items
            .iter()
            .map(|item| Handled::Ack(vec![emission(item); 60].into()))
            .collect(),
        1,
    );
    let (mut guard, mut stored) = (5, 0);
    while let Action::Commit(commit) = machine.next(2) {
        assert_eq!(commit.guard, guard);
        assert!(commit.messages.len() <= COMMIT_MESSAGES_MAX && commit.messages.len() % 60 == 0);
        stored += commit.messages.len();
        assert_eq!(commit.checkpoint.seq, stored as u64 / 60);
        guard += 1;
        machine.committed(guard);
    }
    assert_eq!(stored, 2_400);
}

#[test]
fn outputs_gather_for_as_long_as_the_function_lets_them() {
    let mut scope = scope(FunctionLimits::default());
    Arc::make_mut(&mut scope.spec).linger_ms = 20;
    let mut machine = Machine::resume(scope, &checkpoint(0, 1), 5, 1, 100);
    for (seq, now) in [(1, 1_000), (2, 9_000)] {
        machine.push(vec![stored(seq, "doc.a", "{}")]);
        let Action::Run(items) = machine.next(now) else {
            panic!("events are run")
        };
        machine.ran(vec![Handled::Ack(vec![emission(&items[0])].into())], now);
        let until = Some(21_000);
        assert!(matches!(machine.next(now), Action::Wait { until: u, hungry: true } if u == until));
    }
    let Action::Commit(commit) = machine.next(21_000) else {
        panic!("outputs are stored in time")
    };
    assert_eq!((commit.messages.len(), commit.checkpoint.seq), (2, 2));
    machine.committed(6);
    assert!(matches!(
        machine.next(21_000),
        Action::Wait { until: None, .. }
    ));
}

#[test]
fn what_is_not_for_the_function_moves_the_position_lazily() {
    let mut machine = Machine::resume(
        scope(FunctionLimits::default()),
        &checkpoint(0, 1),
        1,
        1,
        100,
    );
    machine.push((1..=50).map(|seq| stored(seq, "else.x", "{}")).collect());
    let Action::Wait {
        until: Some(until),
        hungry: true,
    } = machine.next(1_000)
    else {
        panic!("nothing is to do")
    };
    assert_eq!(machine.position(), 50);
    let Action::Commit(commit) = machine.next(until) else {
        panic!("the position is committed in time")
    };
    assert_eq!((commit.messages.len(), commit.checkpoint.seq), (0, 50));
}

#[test]
fn a_halt_stores_what_came_before_and_stops_until_another_spec() {
    let mut machine = Machine::resume(
        scope(FunctionLimits::default()),
        &checkpoint(0, 1),
        1,
        1,
        100,
    );
    machine.push((1..=4).map(|seq| stored(seq, "doc.a", "{}")).collect());
    let Action::Run(items) = machine.next(1) else {
        panic!("events are run")
    };
    let mut handled: Vec<Handled> = items
        .iter()
        .map(|item| Handled::Ack(vec![emission(item)].into()))
        .collect();
    handled[2] = Handled::Halt("schema 9".into());
    machine.ran(handled, 1);
    let Action::Commit(commit) = machine.next(1) else {
        panic!("what came before is stored")
    };
    assert_eq!((commit.messages.len(), commit.checkpoint.seq), (2, 2));
    machine.committed(9);
    assert!(matches!(machine.next(1), Action::Halted(reason) if reason == "schema 9"));
    machine.reload(scope(FunctionLimits::default()));
    let Action::Run(items) = machine.next(1) else {
        panic!("the lane goes on")
    };
    assert_eq!(
        items
            .iter()
            .map(|item| item.event.seq())
            .collect::<Vec<_>>(),
        [3, 4]
    );
}

#[test]
fn a_lane_pauses_when_too_many_channels_are_parked() {
    let mut machine = Machine::resume(
        scope(FunctionLimits::default()),
        &checkpoint(0, 1),
        1,
        1,
        5_000,
    );
    machine.set_tenant_max(PARKED_MAX);
    let more = PARKED_MAX as u64 + 10;
    machine.push(
        (1..=more)
            .map(|seq| stored(seq, &format!("doc.{seq}"), "{}"))
            .collect(),
    );
    let Action::Run(items) = machine.next(1) else {
        panic!("events are run")
    };
    assert_eq!(items.len() as u64, more);
    machine.ran(
        vec![
            Handled::Retry {
                delay_ms: 1_000,
                reason: String::new()
            };
            items.len()
        ],
        1,
    );
    assert_eq!(
        (machine.parked(), machine.position()),
        (PARKED_MAX, PARKED_MAX as u64)
    );
    assert!(matches!(
        machine.next(1),
        Action::Wait {
            until: Some(_),
            hungry: false
        }
    ));
    let later = 3_000_000;
    let Action::Commit(commit) = machine.next(later) else {
        panic!("parked channels are committed in time")
    };
    assert_eq!(commit.checkpoint.parked.len(), PARKED_MAX);
    machine.committed(2);
    let Action::ReadParked { from, .. } = machine.next(later) else {
        panic!("parked channels come back")
    };
    let Some(Action::Run(items)) = machine.parked_read(
        vec![stored(from, &format!("doc.{from}"), "{}")],
        true,
        later,
    ) else {
        panic!("it is tried again")
    };
    assert_eq!(items[0].attempt, 2);
    machine.ran(vec![Handled::Drop(String::new())], later);
    assert_eq!(machine.parked(), PARKED_MAX - 1);
    assert!(matches!(
        machine.next(later),
        Action::ReadParked { .. } | Action::Run(_)
    ));
}

#[test]
fn an_event_that_is_not_ours_becomes_a_dead_letter() {
    let mut world = World::new(simple(3, Last::Emit(1)));
    let mut machine = Machine::resume(
        scope(FunctionLimits::default()),
        &checkpoint(0, 1),
        0,
        1,
        10,
    );
    let mut foreign = world.input(1).unwrap();
    foreign.headers = protocol::header::Headers::new();
    foreign.headers.push(protocol::header::GATE, "probe");
    machine.push(vec![foreign, world.input(2).unwrap()]);
    let Action::Run(items) = machine.next(1) else {
        panic!("the other is run")
    };
    machine.ran(items.iter().map(|item| world.guest(item)).collect(), 1);
    let Action::Commit(commit) = machine.next(1) else {
        panic!("both are stored")
    };
    let subjects: Vec<&str> = commit
        .messages
        .iter()
        .map(|message| message.subject.as_str())
        .collect();
    assert_eq!(subjects, ["rej.main.0.probe", "ev.main.0.acme.doc.1"]);
    world.commit(*commit);
}

#[test]
fn a_lagging_server_does_not_free_a_channel() {
    let mut machine = Machine::resume(
        scope(FunctionLimits::default()),
        &checkpoint(0, 1),
        1,
        1,
        10,
    );
    machine.push(vec![stored(1, "doc.a", "{}")]);
    let Action::Run(_) = machine.next(1) else {
        panic!("it is run")
    };
    machine.ran(
        vec![Handled::Retry {
            delay_ms: 0,
            reason: String::new(),
        }],
        1,
    );
    let later = 1_000_000;
    let Action::Commit(_) = machine.next(later) else {
        panic!("parking is committed")
    };
    machine.committed(2);
    let Action::ReadParked { .. } = machine.next(later) else {
        panic!("it is due")
    };
    assert!(machine.parked_read(Vec::new(), false, later).is_none());
    assert_eq!(machine.parked(), 1);
    assert!(
        matches!(machine.next(later), Action::Wait { until: Some(until), .. } if until > later)
    );
}

/// A thousand channels of one lane, each with an event that the guest never takes, until
/// all have become dead letters: the bytes that the lane's checkpoints had.
fn bytes_of_waiting(channels: u64) -> (usize, usize) {
    let scope = scope(FunctionLimits::default());
    let mut machine = Machine::resume(scope, &checkpoint(0, 1), 1, 1, 5_000);
    machine.set_tenant_max(PARKED_MAX);
    let event = |seq: u64| stored(seq, &format!("doc.{seq}"), "{}");
    machine.push((1..=channels).map(event).collect());
    let (mut now, mut seq, mut bytes, mut commits) = (1, 1, 0, 0);
    let mut action = None;
    let retry = Handled::Retry {
        delay_ms: 0,
        reason: String::new(),
    };
    loop {
        match action.take().unwrap_or_else(|| machine.next(now)) {
            Action::Run(items) => machine.ran(vec![retry.clone(); items.len()], now),
            Action::ReadParked { subject, from, .. } => {
                // The channel is called after its one event.
                let own: u64 = subject
                    .as_str()
                    .rsplit_once('.')
                    .unwrap()
                    .1
                    .parse()
                    .unwrap();
                let found = (own >= from).then(|| event(own));
                let found = found.into_iter().collect();
                action = machine.parked_read(found, true, now);
            }
            Action::Commit(commit) => {
                bytes += serde_json::to_vec(&commit.checkpoint).unwrap().len();
                (seq, commits) = (seq + 1, commits + 1);
                machine.committed(seq);
            }
            Action::Wait {
                until: Some(until), ..
            } => now = until.max(now + 1),
            Action::Wait { until: None, .. } => return (bytes, commits),
            action => panic!("{action:?}"),
        }
    }
}

#[test]
fn a_thousand_channels_that_wait_cost_few_bytes() {
    let rounds = FunctionLimits::default().attempts as usize;
    let (bytes, commits) = bytes_of_waiting(PARKED_MAX as u64);
    eprintln!(
        "{bytes} bytes in {commits} checkpoints for {rounds} rounds of {PARKED_MAX} channels"
    );
    assert!(
        bytes / rounds < 2 << 20,
        "{bytes} bytes in {commits} commits"
    );
}

#[test]
fn a_refused_reply_does_not_hold_its_channel_for_long() {
    use host::fault::ReplyFault;
    let refused = Handled::Fault(Fault::Reply(ReplyFault::Outcomes {
        found: 0,
        events: 1,
    }));
    let scope = scope(FunctionLimits::default());
    let mut machine = Machine::resume(scope, &checkpoint(0, 1), 1, 1, 10);
    machine.push(vec![stored(1, "doc.a", "{}")]);
    assert!(matches!(machine.next(1), Action::Run(_)));
    machine.ran(vec![refused.clone()], 1);
    assert_eq!(machine.parked(), 1);
    let later = 10_000_000;
    let Action::Commit(_) = machine.next(later) else {
        panic!("the first attempt is committed")
    };
    machine.committed(2);
    assert!(matches!(machine.next(later), Action::ReadParked { .. }));
    let again = machine.parked_read(vec![stored(1, "doc.a", "{}")], true, later);
    assert!(matches!(again, Some(Action::Run(_))));
    machine.ran(vec![refused], later);
    let Action::Commit(commit) = machine.next(later) else {
        panic!("the second is its last")
    };
    let subjects: Vec<&str> = commit.messages.iter().map(|m| m.subject.as_str()).collect();
    assert!(subjects.contains(&"rej.main.0.probe"), "{subjects:?}");
}

#[test]
fn a_tenant_whose_events_fail_leaves_room_for_the_others() {
    let scope = scope(FunctionLimits::default());
    let mut machine = Machine::resume(scope, &checkpoint(0, 1), 1, 1, 5_000);
    let failing = PARKED_TENANT_MAX as u64 + 50;
    let mut events: Vec<_> = (1..=failing)
        .map(|seq| stored(seq, &format!("doc.{seq}"), "{}"))
        .collect();
    let mut other = stored(failing + 1, "doc.x", "{}");
    other.subject = "in.main.0.beta.doc.x".into();
    events.push(other);
    machine.push(events);
    let Action::Run(items) = machine.next(1) else {
        panic!("events are run")
    };
    let retry = Handled::Retry {
        delay_ms: 10_000,
        reason: String::new(),
    };
    let mut handled = vec![retry; items.len() - 1];
    handled.push(Handled::Ack(vec![emission(&items[items.len() - 1])].into()));
    machine.ran(handled, 1);
    let Action::Commit(commit) = machine.next(1) else {
        panic!("the other tenant's output is stored")
    };
    assert_eq!(commit.messages.len(), 1);
    let Checkpoint {
        seq, parked, held, ..
    } = &commit.checkpoint;
    assert_eq!((*seq, parked.len()), (failing + 1, PARKED_TENANT_MAX));
    assert_eq!((held.len(), held[0].seq), (1, PARKED_TENANT_MAX as u64 + 1));
    machine.committed(2);
    let Action::Wait { hungry, .. } = machine.next(1) else {
        panic!("what is held waits for room")
    };
    assert!(hungry, "the lane does not pause");
}

#[test]
fn events_without_the_headers_that_a_function_wants_are_passed() {
    let mut scope = scope(FunctionLimits::default());
    let spec = Arc::make_mut(&mut scope.spec);
    let on = ChannelPattern::parse("doc.>").unwrap();
    spec.trigger = Trigger::Reactive(vec![on]);
    spec.headers.demand("room", "blue");
    let mut machine = Machine::resume(scope, &checkpoint(0, 1), 5, 1, 100);
    let event = |seq, room: Option<&str>| {
        let mut event = stored(seq, "doc.a", "{}");
        if let Some(room) = room {
            event.headers.push_user("room", room).unwrap();
        }
        event
    };
    let rooms = [Some("blue"), None, Some("red"), Some("blue"), None];
    machine.push(
        (1..)
            .zip(rooms)
            .map(|(seq, room)| event(seq, room))
            .collect(),
    );
    let Action::Run(items) = machine.next(1) else {
        panic!("events are run")
    };
    let seqs: Vec<u64> = items.iter().map(|item| item.event.seq()).collect();
    assert_eq!(seqs, [1, 4]);
    machine.ran(vec![Handled::Drop("fine".into()); 2], 1);
    assert_eq!(machine.position(), 5);
}

#[test]
fn who_asked_for_a_receipt_has_it_behind_the_outputs_and_nobody_else() {
    use host::event::Event;
    use protocol::name::Channel;
    use protocol::outcome::{OutcomeEvent, OutcomeKind, Outputs};

    use crate::lane::messages::Settled;

    let world = World::new(simple(3, Last::Emit(2)));
    let scope = scope(FunctionLimits::default());
    let settled = |asks: bool, settled: Settled| {
        let mut stored = world.input(1).unwrap();
        if asks {
            stored.headers.push(protocol::header::RECEIPT, "1");
        }
        let (tenant, channel) = host::event::address(&stored).unwrap();
        let event = Event::read(tenant, channel, stored).unwrap();
        let messages = scope.settle(&event, settled);
        let subjects: Vec<String> = messages
            .iter()
            .map(|message| message.subject.as_str().to_owned())
            .collect();
        let told = messages.last().map(|message| message.payload.clone());
        let told = told.and_then(|data| serde_json::from_slice::<OutcomeEvent>(&data).ok());
        (subjects, told)
    };
    let emits = || {
        let emit = |channel: &str| Emit {
            channel: Channel::parse(channel).unwrap(),
            content_type: None,
            headers: Vec::new(),
            data: bytes::Bytes::from_static(b"1"),
        };
        Settled::Ack([emit("doc.1"), emit("side.a")].into_iter().collect())
    };
    let (subjects, told) = settled(true, emits());
    let told = told.expect("a receipt");
    let outputs = ["ev.main.0.acme.doc.1", "ev.main.0.acme.side.a"];
    assert_eq!(subjects[..2], outputs);
    assert_eq!(subjects[2], "ev.main.0.acme._outcome.alice.c1.doc");
    assert_eq!((told.outcome, told.n), (OutcomeKind::Passed, 1));
    let channels = ["doc.1", "side.a"].map(str::to_owned).into();
    assert_eq!(told.outputs, Some(Outputs { count: 2, channels }));
    assert_eq!(
        settled(false, emits()),
        (outputs.map(str::to_owned).into(), None)
    );
    let (subjects, told) = settled(true, Settled::Drop("no".into()));
    assert_eq!(subjects.len(), 1);
    assert_eq!(told.expect("it is told").outcome, OutcomeKind::Dropped);
}
