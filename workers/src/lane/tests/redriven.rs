//! An event that was redriven for one function: it stands, waits and is buried by itself,
//! and is of the channel that it was on.

use protocol::header;
use protocol::name::{Channel, Tenant};
use protocol::outcome::dead_letter;

use super::*;

fn reactive() -> Scope {
    let mut scope = scope(FunctionLimits::default());
    let spec = Arc::make_mut(&mut scope.spec);
    spec.trigger = Trigger::Reactive(vec![ChannelPattern::parse("doc.>").unwrap()]);
    scope
}

fn machine(scope: Scope) -> Machine {
    Machine::resume(scope, &checkpoint(0, 1), 5, 1, 100)
}

fn event(seq: u64, channel: &str) -> Stored {
    Stored {
        subject: format!("ev.main.0.acme.{channel}"),
        ..stored(seq, channel, "{}")
    }
}

fn place(function: &str) -> Channel {
    Channel::redrive(&FunctionName::parse(function).unwrap(), "0a", 1)
}

fn redriven(seq: u64, function: &str) -> Stored {
    let mut stored = event(seq, place(function).as_str());
    stored.headers.push(header::CHANNEL, "doc.a");
    stored
}

fn run(machine: &mut Machine, now: u64) -> Vec<Item> {
    match machine.next(now) {
        Action::Run(items) => items,
        other => panic!("no run: {other:?}"),
    }
}

fn seqs(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.event.seq()).collect()
}

fn pass(items: &[Item]) -> Vec<Handled> {
    let passed = items.iter();
    passed
        .map(|item| Handled::Ack(vec![emission(item)].into()))
        .collect()
}

fn retry() -> Vec<Handled> {
    vec![Handled::Retry {
        delay_ms: 1,
        reason: "no".into(),
    }]
}

#[test]
fn it_runs_by_itself_as_an_event_of_its_channel() {
    let mut machine = machine(reactive());
    machine.push(vec![
        event(1, "doc.a"),
        event(2, "doc.b"),
        redriven(3, "probe"),
        event(4, "doc.a"),
    ]);
    for expected in [vec![1, 2], vec![3], vec![4]] {
        let items = run(&mut machine, 1);
        assert_eq!(seqs(&items), expected);
        let last = &items.last().unwrap().event;
        assert!(["doc.a", "doc.b"].contains(&last.channel.as_str()));
        machine.ran(pass(&items), 1);
    }
    let Action::Commit(commit) = machine.next(2) else {
        panic!("what was decided is stored")
    };
    let of = commit
        .messages
        .iter()
        .map(|message| message.subject.as_str());
    assert_eq!(of.filter(|subject| subject.ends_with(".doc.a")).count(), 3);
}

#[test]
fn it_waits_on_its_own_channel_and_nobody_behind_it() {
    let mut machine = machine(reactive());
    machine.push(vec![redriven(3, "probe"), event(4, "doc.a")]);
    let items = run(&mut machine, 1);
    machine.ran(retry(), 1);
    assert_eq!(seqs(&items), [3]);
    let items = run(&mut machine, 1);
    assert_eq!(seqs(&items), [4], "its channel goes on");
    machine.ran(pass(&items), 1);
    let Action::Commit(commit) = machine.next(2) else {
        panic!("what was decided is stored")
    };
    let parked = &commit.checkpoint.parked;
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].channel, place("probe"));
    machine.committed(9);
    let Action::Wait {
        until: Some(due), ..
    } = machine.next(3)
    else {
        panic!("it waits")
    };
    let Action::ReadParked { subject, from, .. } = machine.next(due) else {
        panic!("it is due")
    };
    assert_eq!(
        subject.as_str(),
        format!("ev.main.0.acme.{}", place("probe"))
    );
    assert_eq!(from, 3);
    let Some(Action::Run(items)) = machine.parked_read(vec![redriven(3, "probe")], true, due)
    else {
        panic!("it is run again")
    };
    assert_eq!(
        (items[0].attempt, items[0].event.channel.as_str()),
        (2, "doc.a")
    );
    machine.ran(pass(&items), due);
    assert_eq!(machine.parked(), 0);
}

#[test]
fn what_it_remembers_is_its_channels() {
    let mut scope = reactive();
    scope.remembers = true;
    let mut machine = machine(scope);
    machine.push(vec![redriven(3, "probe")]);
    let Action::Recall(keys) = machine.next(1) else {
        panic!("a memory is read")
    };
    let of = (
        Tenant::parse("acme").unwrap(),
        Channel::parse("doc.a").unwrap(),
    );
    assert_eq!(keys, [of]);
}

#[test]
fn it_is_buried_as_an_event_of_its_channel() {
    let mut machine = machine(reactive());
    machine.push(vec![redriven(3, "probe")]);
    run(&mut machine, 1);
    machine.ran(vec![Handled::Reject("no".into())], 1);
    let Action::Commit(commit) = machine.next(2) else {
        panic!("the letter is stored")
    };
    let letter = &commit.messages[0];
    assert_eq!(letter.subject.as_str(), "rej.main.0.probe");
    let get = |name| letter.headers.get(name).unwrap().to_owned();
    assert_eq!(get(dead_letter::SUBJECT), "ev.main.0.acme.doc.a");
    assert!(get(dead_letter::SOURCE).ends_with(":3"), "its second life");
}

#[test]
fn it_is_one_functions_and_without_its_channel_nobodys() {
    let mut machine = machine(reactive());
    machine.push(vec![redriven(3, "other")]);
    assert!(matches!(machine.next(1), Action::Wait { .. }));
    assert_eq!(machine.position(), 3);
    let odd = Stored {
        headers: stored(4, "doc.a", "{}").headers,
        ..redriven(4, "probe")
    };
    machine.push(vec![odd]);
    let mut commit = || match machine.next(10_000_000) {
        Action::Commit(commit) => {
            machine.committed(commit.guard + 1);
            commit
        }
        other => panic!("nothing is stored: {other:?}"),
    };
    assert!(commit().messages.is_empty(), "the position alone");
    let commit = commit();
    assert_eq!(commit.messages[0].subject.as_str(), "rej.main.0.probe");
}

#[test]
fn of_a_tenant_that_is_held_it_runs_by_itself_too() {
    let mut machine = machine(reactive());
    machine.set_tenant_max(1);
    let all = [
        event(1, "doc.a"),
        event(2, "doc.b"),
        event(3, "doc.c"),
        redriven(4, "probe"),
        event(5, "doc.d"),
    ];
    machine.push(all.to_vec());
    let items = run(&mut machine, 1);
    assert_eq!(seqs(&items), [1, 2, 3]);
    machine.ran([retry(), retry(), pass(&items[2..])].concat(), 1);
    let mut now = 1;
    let mut ran = Vec::new();
    for round in 0.. {
        assert!(round < 100, "{ran:?}");
        if machine.parked() == 0 && machine.is_quiet() && machine.position() == 5 && ran.len() > 3 {
            break;
        }
        now += 1;
        match machine.next(now) {
            Action::ReadParked { subject, from, to } => {
                let tenant = subject.as_str().ends_with('>');
                let within = all.iter().filter(|event| {
                    let of = tenant || event.subject == subject.as_str();
                    of && (from..=to).contains(&event.seq)
                });
                let within: Vec<_> = within.cloned().collect();
                if let Some(Action::Run(items)) = machine.parked_read(within, true, now) {
                    ran.push(seqs(&items));
                    machine.ran(pass(&items), now);
                }
            }
            Action::Run(items) => {
                ran.push(seqs(&items));
                machine.ran(pass(&items), now);
            }
            Action::Commit(commit) => machine.committed(commit.guard + 1),
            Action::Wait { until, .. } => now = now.max(until.unwrap_or(now)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ran, [vec![1], vec![2, 3], vec![4], vec![5]]);
}
