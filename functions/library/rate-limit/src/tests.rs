//! Who is refused, and what is remembered of it.

use proptest::prelude::*;
use sdk::testing::{Input, Output, Runner, record};

use super::*;

fn gate(config: &[(&str, &str)]) -> Runner<RateLimit> {
    Runner::new(config).unwrap()
}

fn event(ms: u64, user: &str) -> Input {
    Input {
        time_us: ms * 1_000,
        publisher: user.into(),
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("chat.a", "{ }")
    }
}

fn run(gate: &Runner<RateLimit>, ms: u64, user: &str) -> Outcome {
    gate.run_one(event(ms, user)).0
}

fn told(whose: &str, ms: u64) -> Outcome {
    Outcome::drop(format!(
        "more than 2 events in 10s {whose}: come again in {ms} ms"
    ))
}

#[test]
fn each_user_has_a_bucket_on_each_channel() {
    let gate = gate(&[("user", "2/10s")]);
    for ms in [0, 1] {
        let (outcome, outputs): (_, Vec<Output>) = gate.run_one(event(ms, "ann"));
        assert_eq!(outcome, Outcome::Ack);
        assert_eq!(outputs[0].data, b"{ }");
        assert_eq!(
            outputs[0].headers,
            [("colour".to_owned(), "red".to_owned())]
        );
    }
    assert_eq!(run(&gate, 2, "ann"), told("of one user", 4_998));
    assert_eq!(run(&gate, 2, "bob"), Outcome::Ack);
    let elsewhere = Input {
        channel: "chat.b".into(),
        ..event(2, "ann")
    };
    assert_eq!(gate.run_one(elsewhere).0, Outcome::Ack);
    assert_eq!(run(&gate, 4_999, "ann"), told("of one user", 1));
    assert_eq!(run(&gate, 5_000, "ann"), Outcome::Ack);
    record(|host| assert_eq!(host.counters["refused"], 2));
}

#[test]
fn the_users_of_a_channel_share_its_bucket() {
    let gate = gate(&[("channel", "2/10s")]);
    assert_eq!(run(&gate, 0, "ann"), Outcome::Ack);
    assert_eq!(run(&gate, 0, "bob"), Outcome::Ack);
    assert_eq!(run(&gate, 0, "eve"), told("on the channel", 5_000));
    assert_eq!(run(&gate, 5_000, "eve"), Outcome::Ack);
}

#[test]
fn what_the_channel_refuses_takes_nothing_from_the_user() {
    let gate = gate(&[("user", "2/10s"), ("channel", "2/10s")]);
    assert_eq!(run(&gate, 0, "ann"), Outcome::Ack);
    assert_eq!(run(&gate, 0, "bob"), Outcome::Ack);
    for _ in 0..5 {
        assert_eq!(run(&gate, 0, "ann"), told("on the channel", 5_000));
    }
    assert_eq!(run(&gate, 5_000, "ann"), Outcome::Ack);
}

#[test]
fn it_may_reject_instead() {
    let gate = gate(&[("user", "1/1s"), ("refuse", "reject")]);
    assert_eq!(run(&gate, 0, "ann"), Outcome::Ack);
    let reason = "more than 1 events in 1s of one user: come again in 1000 ms";
    assert_eq!(run(&gate, 0, "ann"), Outcome::reject(reason));
}

#[test]
fn a_user_who_is_quiet_is_forgotten_and_too_many_are_forgotten_early() {
    let gate = gate(&[("user", "1/1m")]);
    // Each of them twice: whoever is remembered is refused.
    let users = 20_000_u32;
    let passed = |ms: u64| {
        let both = (0..users).map(|user| run(&gate, ms, &format!("user-{user}")));
        both.filter(|outcome| *outcome == Outcome::Ack).count()
    };
    assert_eq!(passed(0), 20_000);
    record(|host| assert!(host.counters["forgotten"] > 10_000, "{:?}", host.counters));
    let again = passed(1);
    assert!(
        (10_000..20_000).contains(&again),
        "{again} of {users} passed"
    );
    assert_eq!(run(&gate, 0, "user-19999"), told_once());
    assert_eq!(run(&gate, 60_001, "user-19999"), Outcome::Ack);
}

fn told_once() -> Outcome {
    Outcome::drop("more than 1 events in 1m of one user: come again in 60000 ms")
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (config, problem) in [
        (vec![], "user: neither user nor channel is set"),
        (vec![("user", "5")], "user: \"5\" is not <events>/<time>"),
        (vec![("channel", "0/1s")], "channel: \"0/1s\": at least one"),
        (
            vec![("user", "5/1s"), ("refuse", "retry")],
            "refuse: \"retry\"",
        ),
        (
            vec![("users", "5/1s")],
            "users: not one of user, channel, refuse",
        ),
    ] {
        let error = Runner::<RateLimit>::new(&config).err().unwrap();
        let wanted = format!("configuration key {problem}");
        assert!(error.starts_with(&wanted), "{error}");
    }
}

proptest! {
    /// Batches, and instances that are replaced, change nothing: all is in the events and
    /// the memory.
    #[test]
    fn it_depends_on_nothing_but_the_events(steps in proptest::collection::vec((0..400_u64, 0..3_u8), 1..40)) {
        let config = [("user", "2/1s"), ("channel", "4/1s")];
        let mut now = 0;
        let inputs: Vec<Input> = steps.iter().map(|(step, user)| {
            now += step;
            event(now, &user.to_string())
        }).collect();
        let outcomes = |gate: &Runner<RateLimit>| -> Vec<Outcome> {
            gate.run(&inputs).into_iter().map(|handled| handled.outcome).collect()
        };
        let together = outcomes(&gate(&config));
        let one = gate(&config);
        let alone: Vec<Outcome> = inputs.iter().map(|input| one.run_one(input.clone()).0).collect();
        prop_assert_eq!(together, alone);
    }
}
