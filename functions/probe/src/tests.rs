//! Every order that returns. `loop`, `memory` and `stack` need a host that stops them.

use sdk::testing::{Input, Output, Runner};

use super::*;

fn run(order: &str, attempt: u32) -> (Outcome, Vec<Output>) {
    let input = Input {
        attempt,
        ..Input::json("try.a", order)
    };
    Runner::<Probe>::new(&[]).unwrap().run_one(input)
}

#[test]
fn orders_become_outcomes() {
    let (outcome, outputs) = run(r#"{"do":"pass"}"#, 1);
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(outputs[0].data, br#"{"do":"pass"}"#);
    let drop = Outcome::drop("dropped as told");
    assert_eq!(run(r#"{"do":"drop"}"#, 1), (drop, vec![]));
    let reject = Outcome::reject("rejected as told");
    assert_eq!(run(r#"{"do":"reject"}"#, 1), (reject, vec![]));
    let halt = Outcome::halt("halted as told");
    assert_eq!(run(r#"{"do":"halt"}"#, 1), (halt, vec![]));
}

#[test]
fn a_setting_changes_what_pass_means() {
    let rejecting = Runner::<Probe>::new(&[("pass_is", "reject")]).unwrap();
    let (outcome, _) = rejecting.run_one(Input::json("try.a", r#"{"do":"pass"}"#));
    assert_eq!(outcome, Outcome::reject("rejected as told"));
    let wrong = Runner::<Probe>::new(&[("pass_is", "nonsense")]).err();
    assert!(wrong.unwrap().starts_with("pass_is: "));
}

#[test]
fn a_retry_ends_at_the_attempt_it_was_given() {
    let order = r#"{"do":"retry","until_attempt":3,"delay_ms":5}"#;
    let retry = Outcome::retry(Duration::from_millis(5), "retried as told");
    assert_eq!(run(order, 1).0, retry);
    assert_eq!(run(order, 2).0, retry);
    let (outcome, outputs) = run(order, 3);
    assert_eq!((outcome, outputs.len()), (Outcome::Ack, 1));
}

#[test]
fn emissions_are_counted_and_carry_the_value() {
    let order = r#"{"do":"emit","times":2,"channel":"try.b","value":[1, 2]}"#;
    let (outcome, outputs) = run(order, 1);
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(outputs.len(), 2);
    assert_eq!(outputs[0].channel, "try.b");
    assert_eq!(outputs[1].data, br#"{"n":1,"value":[1, 2]}"#);
    let (_, outputs) = run(r#"{"do":"emit"}"#, 1);
    assert_eq!(outputs[0].channel, "try.a");
    assert_eq!(outputs[0].data, br#"{"n":0,"value":null}"#);
    assert_eq!(run(r#"{"do":"emit","times":0}"#, 1).1, []);
}

#[test]
fn what_floods_goes_on_afterwards() {
    for order in [r#"{"do":"log"}"#, r#"{"do":"metrics","times":3}"#] {
        let (outcome, outputs) = run(order, 1);
        assert_eq!((outcome, outputs.len()), (Outcome::Ack, 1));
    }
    assert_eq!(run(r#"{"do":"count"}"#, 1).1[0].data, b"1");
}

#[test]
#[should_panic(expected = "trapped as told")]
fn a_trap_is_a_panic() {
    let _ = run(r#"{"do":"trap"}"#, 1);
}

#[test]
fn what_is_no_order_is_rejected() {
    for data in ["", "7", r#"{"do":"dance"}"#, r#"{"times":1}"#] {
        let (outcome, _) = run(data, 1);
        assert!(
            matches!(outcome, Outcome::Reject { reason } if reason.starts_with("not an order"))
        );
    }
}

#[test]
fn what_is_counted_is_remembered_if_the_event_passes() {
    let probe = Runner::<Probe>::new(&[]).unwrap();
    let count = |channel: &str, order: &str| {
        let (outcome, outputs) = probe.run_one(Input::json(channel, order));
        let data = outputs.first().map(|output| output.data.clone());
        (outcome, data.map(|data| String::from_utf8(data).unwrap()))
    };
    let counted = |n: u32| (Outcome::Ack, Some(format!(r#"{{"count":{n}}}"#)));
    let plain = r#"{"do":"remember"}"#;
    assert_eq!(count("try.a", plain), counted(1));
    assert_eq!(count("try.a", plain), counted(2));
    assert_eq!(count("try.b", plain), counted(1));
    let (rejected, _) = count("try.a", r#"{"do":"remember","then":"reject"}"#);
    assert!(matches!(rejected, Outcome::Reject { .. }));
    assert_eq!(count("try.a", plain), counted(3), "it was taken back");
    let long = format!(r#"{{"do":"remember","key":"{}"}}"#, "k".repeat(300));
    assert!(matches!(count("try.a", &long).0, Outcome::Reject { .. }));
}
