//! The packing, there and back, and the rules that dispatch keeps for authors.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::testing::{Handled, Input, Output, Runner, pack, unpack};

/// Answers each event by what its content type says, and echoes all it can see.
struct Mirror;

impl Worker for Mirror {
    fn init(_config: &Config) -> Result<Self, String> {
        Ok(Self)
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        let _abandoned = out.emit().header("never", "finished");
        for copy in 0..event.attempt() {
            let mut emission = out
                .emit()
                .channel(event.channel())
                .inherit_headers()
                .content_type(event.id());
            if copy == 1 {
                emission = emission.header("copy", "1");
            }
            emission.data(event.data());
        }
        let failed = out.emit().header("a", "b").write(|writer| {
            writer.extend(b"half");
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        match event.content_type() {
            "drop" => Outcome::drop(event.publisher().to_owned()),
            "reject" => Outcome::reject(event.publisher().to_owned()),
            "retry" => Outcome::retry(Duration::from_millis(event.seq()), "later"),
            "halt" => Outcome::halt("stop"),
            _ => Outcome::Ack,
        }
    }
}

fn inputs(kinds: &'static [&'static str]) -> impl Strategy<Value = Vec<Input>> {
    let text = "\\PC{0,12}";
    let channel = prop::sample::select(vec!["a", "b.c", "d"]);
    let kind = prop::sample::select(kinds);
    let headers = vec(("[a-z0-9-]{1,8}", "\\PC{0,8}"), 0..4);
    let data = vec(any::<u8>(), 0..64);
    let one = (
        0..1000_u64,
        0..4_u32,
        channel,
        text,
        text,
        kind,
        headers,
        data,
    );
    let one = one.prop_map(
        |(seq, attempt, channel, id, publisher, kind, headers, data)| Input {
            seq,
            attempt,
            id,
            publisher,
            content_type: kind.to_owned(),
            headers,
            ..Input::json(channel, data)
        },
    );
    vec(one, 0..12)
}

fn expected_outputs(input: &Input) -> Vec<Output> {
    let output = |copy: u32| {
        let mut headers = input.headers.clone();
        if copy == 1 {
            headers.push(("copy".to_owned(), "1".to_owned()));
        }
        // An empty content type is the input's.
        let content_type = match input.id.as_str() {
            "" => input.content_type.clone(),
            id => id.to_owned(),
        };
        Output {
            channel: input.channel.clone(),
            content_type,
            headers,
            data: input.data.clone(),
        }
    };
    (0..input.attempt).map(output).collect()
}

proptest! {
    #[test]
    fn events_and_replies_survive_packing(inputs in inputs(&["ack", "drop", "reject"])) {
        let batch = pack(&inputs);
        for (entry, input) in batch.events.iter().zip(&inputs) {
            let event = Event::new(entry, &batch.arena, 0);
            prop_assert_eq!(event.seq(), input.seq);
            prop_assert_eq!(event.time_us(), input.time_us);
            prop_assert_eq!(event.tenant(), &input.tenant);
            prop_assert_eq!(event.data(), &input.data);
            let headers: Vec<_> = event
                .headers()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            prop_assert_eq!(&headers, &input.headers);
        }
        let reply = dispatch(&mut Mirror, &batch);
        let handled = unpack(&inputs, &reply).unwrap();
        for (handled, input) in handled.iter().zip(&inputs) {
            let publisher = input.publisher.clone();
            let expected = match input.content_type.as_str() {
                "drop" => (Outcome::drop(publisher), vec![]),
                "reject" => (Outcome::reject(publisher), vec![]),
                _ => (Outcome::Ack, expected_outputs(input)),
            };
            prop_assert_eq!((&handled.outcome, &handled.outputs), (&expected.0, &expected.1));
        }
    }

    #[test]
    fn every_reply_keeps_the_rules(inputs in inputs(&["ack", "drop", "reject", "retry", "halt"])) {
        let reply = dispatch(&mut Mirror, &pack(&inputs));
        let handled = unpack(&inputs, &reply).unwrap();
        for handled in handled {
            prop_assert!(handled.outcome == Outcome::Ack || handled.outputs.is_empty());
        }
    }
}

fn outcomes(kinds: &[(&str, &str)]) -> Vec<Outcome> {
    let inputs: Vec<_> = kinds
        .iter()
        .map(|&(channel, kind)| Input {
            content_type: kind.to_owned(),
            ..Input::json(channel, "x")
        })
        .collect();
    let runner = Runner::<Mirror>::new(&[]).unwrap();
    let handled = runner.run(&inputs);
    handled
        .into_iter()
        .map(|Handled { outcome, .. }| outcome)
        .collect()
}

#[test]
fn a_retry_holds_back_its_channel_alone() {
    let outcomes = outcomes(&[("a", "retry"), ("b", "ack"), ("a", "ack"), ("b", "drop")]);
    assert!(matches!(&outcomes[0], Outcome::Retry { reason, .. } if reason == "later"));
    assert_eq!(outcomes[1], Outcome::Ack);
    assert!(matches!(&outcomes[2], Outcome::Retry { delay, .. } if delay.is_zero()));
    assert_eq!(outcomes[3], Outcome::drop("alice"));
}

#[test]
fn nothing_is_handled_after_a_halt() {
    let outcomes = outcomes(&[("a", "ack"), ("a", "halt"), ("b", "ack")]);
    assert_eq!(outcomes[0], Outcome::Ack);
    assert_eq!(outcomes[1], Outcome::halt("stop"));
    assert_eq!(outcomes[2], Outcome::halt("halted by an earlier event"));
}

#[test]
fn configuration_that_does_not_parse_names_its_key() {
    let config: Config = [("size", "ten")].into_iter().collect();
    assert_eq!(config.parse_or("other", 7), Ok(7));
    let error = config.parse_or("size", 7).unwrap_err();
    assert_eq!(
        error,
        r#"configuration key size: "ten": invalid digit found in string"#
    );
}
