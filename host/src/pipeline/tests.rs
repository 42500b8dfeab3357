//! Stages that do what an event tells them to: `two side then:reject`.

use bytes::Bytes;
use proptest::prelude::*;
use protocol::state::Entry;

use super::*;
use crate::tests::item;

const STAGES: usize = 3;

fn limits() -> FunctionLimits {
    FunctionLimits {
        emits_per_event: 8,
        output_bytes: 1_000,
        ..FunctionLimits::default()
    }
}

fn emit(channel: &str, data: &str) -> Emit {
    Emit {
        channel: Channel::for_client(channel).unwrap(),
        content_type: None,
        headers: Vec::new(),
        data: Bytes::from(data.to_owned()),
    }
}

/// What a stage makes of an event: its first word says it, the others are left.
fn answer(stage: usize, item: &Item) -> Handled {
    let data = std::str::from_utf8(&item.event.stored.payload).unwrap();
    let (word, rest) = data.split_once(' ').unwrap_or((data, "pass"));
    let own = item.event.channel.as_str();
    let ack = |emits: Vec<Emit>| Handled::Ack(emits.into());
    match word {
        "drop" => Handled::Drop(format!("by {stage}")),
        "reject" => Handled::Reject(format!("by {stage}")),
        "halt" => Handled::Halt(format!("by {stage}")),
        "trap" => Handled::Fault(Fault::Trap(format!("by {stage}"))),
        "retry" => Handled::Retry {
            delay_ms: 7,
            reason: format!("by {stage}"),
        },
        "two" => ack(vec![emit(own, rest), emit(own, rest)]),
        "side" => ack(vec![emit("side.x", data), emit(own, rest)]),
        "nothing" => ack(Vec::new()),
        "large" => ack(vec![emit("side.x", &"x".repeat(600)), emit(own, rest)]),
        "count" => ack(vec![emit(own, rest)]).counted(item),
        _ => ack(vec![emit(own, rest)]),
    }
}

impl Handled {
    /// It also counts the channel's events.
    fn counted(mut self, item: &Item) -> Self {
        let memory = item.memory.clone().unwrap_or_default();
        let count = memory.get("n", 0).map_or(0, |entry| entry.value[0]);
        let entry = Entry {
            value: vec![count + 1].into(),
            until: 0,
        };
        if let Self::Ack(done) = &mut self {
            done.changes.push(("n".into(), Some(entry)));
        }
        self
    }
}

fn all(stage: usize, items: &[Item]) -> Result<Vec<Handled>, Broken> {
    Ok(items.iter().map(|item| answer(stage, item)).collect())
}

fn items(programs: &[&str]) -> Vec<Item> {
    let programs = (1..).zip(programs);
    let each = programs.map(|(seq, data)| item(seq, "doc.a", data));
    each.collect()
}

/// What becomes of these, in short: outputs by channel and data, endings by their reason.
fn told(handled: &[Handled]) -> Vec<String> {
    let one = |handled: &Handled| match handled {
        Handled::Ack(done) => {
            let emits = done.emits.iter().map(|emit| {
                let data = String::from_utf8_lossy(&emit.data);
                format!("{}={data}", emit.channel)
            });
            emits.collect::<Vec<_>>().join("; ")
        }
        Handled::Drop(reason) => format!("drop {reason}"),
        Handled::Reject(reason) => format!("reject {reason}"),
        Handled::Halt(reason) => format!("halt {reason}"),
        Handled::Retry { delay_ms, reason } => format!("retry {delay_ms} {reason}"),
        Handled::Fault(fault) => format!("fault {fault}"),
    };
    handled.iter().map(one).collect()
}

fn through(programs: &[&str]) -> Vec<String> {
    told(&run(&items(programs), STAGES, &limits(), all).unwrap())
}

#[test]
fn what_goes_on_is_replaced_in_its_place_and_what_leaves_stays() {
    assert_eq!(through(&["a b c"]), ["doc.a=pass"]);
    assert_eq!(
        through(&["two side x"]),
        ["side.x=side x; doc.a=pass; side.x=side x; doc.a=pass"]
    );
    assert_eq!(through(&["nothing"]), [""]);
}

#[test]
fn what_one_stage_says_against_any_of_it_it_says_against_the_event() {
    for word in ["reject", "halt"] {
        let ended = format!("{word} by 2");
        assert_eq!(through(&[&format!("side two {word}")]), [ended]);
    }
    assert_eq!(through(&["a retry"]), ["retry 7 by 1"]);
    assert_eq!(
        through(&["a trap", "b c"]),
        ["fault the function trapped: by 1", "doc.a=pass"]
    );
    assert_eq!(through(&["a halt", "b"]), ["halt by 1"]);
}

#[test]
fn an_event_is_dropped_when_nothing_is_left_of_it() {
    assert_eq!(through(&["two drop"]), ["drop by 1"]);
    assert_eq!(through(&["side drop"]), ["side.x=side drop"]);
}

#[test]
fn what_comes_of_an_event_is_bounded_over_all_stages() {
    assert_eq!(
        through(&["two two two"]),
        [["doc.a=pass"; 8].join("; ").as_str()]
    );
    let over = run(
        &items(&["two two two", "a"]),
        4,
        &limits(),
        |stage, items| {
            let again =
                |item: &Item| answer(stage, &self::item(item.event.seq(), "doc.a", "two two"));
            Ok(items.iter().map(again).collect())
        },
    );
    let limit =
        "fault the function's reply is refused: emissions of one event is 16, at most 8 is allowed";
    assert_eq!(told(&over.unwrap())[0], limit);
    let large = through(&["large", "large"]);
    assert_eq!(large.len(), 1, "the second waits for another run");
    let alone = through(&["large large"]);
    assert!(alone[0].starts_with("fault"), "{alone:?}");
}

/// How many answers each call gives at most.
fn cut(sizes: Vec<usize>) -> impl FnMut(usize, &[Item]) -> Result<Vec<Handled>, Broken> {
    let mut sizes = sizes.into_iter().cycle();
    move |stage, items| {
        let most = sizes.next().unwrap_or(1).max(1);
        all(stage, &items[..most.min(items.len())])
    }
}

proptest! {
    /// However the calls are cut, and whatever stands beside it in a batch, an event
    /// becomes the same; some event is always answered.
    #[test]
    fn an_event_becomes_the_same_in_every_batch(
        programs in prop::collection::vec("((two|side|a|drop|reject|retry|trap|nothing) ){0,3}a", 1..8),
        sizes in prop::collection::vec(1_usize..5, 1..4),
    ) {
        let texts: Vec<&str> = programs.iter().map(String::as_str).collect();
        let handled = run(&items(&texts), STAGES, &limits(), cut(sizes)).unwrap();
        prop_assert!(!handled.is_empty());
        for (text, handled) in texts.iter().zip(told(&handled)) {
            prop_assert_eq!(&through(&[text])[0], &handled);
        }
    }
}

fn remembering(items: &[Item]) -> Vec<Handled> {
    run_remembering(items, STAGES, &limits(), || false, all).unwrap()
}

/// The counts that each event has left.
fn counts(handled: &[Handled]) -> Vec<Vec<u8>> {
    let of = |handled: &Handled| match handled {
        Handled::Ack(done) => {
            let written = done.changes.iter().flat_map(|(_, entry)| entry);
            written.map(|entry| entry.value[0]).collect()
        }
        _ => Vec::new(),
    };
    handled.iter().map(of).collect()
}

#[test]
fn what_is_written_reaches_later_stages_and_events_and_goes_with_a_refusal() {
    let handled = remembering(&items(&[
        "count count a",
        "count reject",
        "count a",
        "two count a",
    ]));
    let expected: [&[u8]; 4] = [&[1, 2], &[], &[3], &[4, 5]];
    assert_eq!(counts(&handled), expected);
}

#[test]
fn later_events_of_a_channel_wait_where_one_is_tried_again() {
    let mut items = items(&["count retry", "count a", "count trap", "count a"]);
    items[2].event = item(3, "doc.b", "count trap").event;
    items[3].event = item(4, "doc.c", "count a").event;
    let handled = told(&remembering(&items));
    assert_eq!(
        handled[..2],
        ["retry 7 by 1", "retry 0 waits for an earlier event"]
    );
    assert_eq!(handled[3], "doc.c=pass");
    let halted = remembering(&self::items(&["a halt", "a"]));
    assert_eq!(halted.len(), 1);
}

#[test]
fn a_turn_that_is_over_leaves_the_rest() {
    let handled = run_remembering(&items(&["a", "a"]), STAGES, &limits(), || true, all);
    assert_eq!(handled.unwrap().len(), 1);
    let large = remembering(&items(&["large", "large"]));
    assert_eq!(large.len(), 1);
}
