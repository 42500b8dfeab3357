//! Single situations of a lane.

use protocol::checkpoint::PARKED_MAX;
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
            .map(|item| Handled::Ack(vec![emission(item); 60]))
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
        machine.ran(vec![Handled::Ack(vec![emission(&items[0])])], now);
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
        .map(|item| Handled::Ack(vec![emission(item)]))
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
    let Action::Commit(commit) = machine.next(1) else {
        panic!("parked channels are committed")
    };
    assert_eq!(commit.checkpoint.parked.len(), PARKED_MAX);
    machine.committed(2);
    assert!(matches!(
        machine.next(1),
        Action::Wait {
            until: Some(_),
            hungry: false
        }
    ));
    let Action::ReadParked { from, .. } = machine.next(2_000_000) else {
        panic!("parked channels come back")
    };
    let Some(Action::Run(items)) = machine.parked_read(
        vec![stored(from, &format!("doc.{from}"), "{}")],
        true,
        2_000_000,
    ) else {
        panic!("it is tried again")
    };
    assert_eq!(items[0].attempt, 2);
    machine.ran(vec![Handled::Drop(String::new())], 2_000_000);
    assert_eq!(machine.parked(), PARKED_MAX - 1);
    assert!(matches!(
        machine.next(2_000_000),
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
    world.commit(commit);
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
    let Action::Commit(_) = machine.next(1) else {
        panic!("parking is committed")
    };
    machine.committed(2);
    let later = 1_000_000;
    let Action::ReadParked { .. } = machine.next(later) else {
        panic!("it is due")
    };
    assert!(machine.parked_read(Vec::new(), false, later).is_none());
    assert_eq!(machine.parked(), 1);
    assert!(
        matches!(machine.next(later), Action::Wait { until: Some(until), .. } if until > later)
    );
}
