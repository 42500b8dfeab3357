//! A function of the world `simple`, for trying out what an interpreter's runtime meets:
//! it does what each event tells it to. The data of an event is text, a word and perhaps
//! a number: `pass`, `drop`, `reject`, `retry 70`, `halt`, `trap`, `exit`, `loop`,
//! `memory`, `stack`, `count` (events of this instance so far), `emit 3`, `huge 9` (that
//! many MiB in one emission), `print`, `wail`, `log 3`, `metrics 3`, `time`, `random`,
//! `outside` (looks for an environment, a file and input), `side.a` (any channel: emits
//! to it).
//!
//! Owns how many events it has seen. Must not know the host's limits.

#[cfg(target_arch = "wasm32")]
#[allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; the interface is documented in its files"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "simple" });
}

#[cfg(target_arch = "wasm32")]
mod function {
    use std::cell::Cell;
    use std::hash::{BuildHasher, RandomState};
    use std::hint::black_box;
    use std::io::Write;
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::bindings::eddyline::function::events::{Emission, Event, Later, Outcome, Payload};
    use super::bindings::eddyline::function::{log, metrics};

    const MIB: usize = 1 << 20;

    thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }

    pub fn setup(settings: Vec<(String, String)>) -> Result<(), String> {
        let refuse = settings.into_iter().find(|(key, _)| key == "refuse");
        refuse.map_or(Ok(()), |(_, why)| Err(why))
    }

    pub fn handle(event: Event) -> Outcome {
        COUNT.set(COUNT.get() + 1);
        let text = match &event.data {
            Payload::Text(text) => text.clone(),
            Payload::Bytes(bytes) => return Outcome::Reject(format!("{} bytes", bytes.len())),
        };
        let (word, number) = text.split_once(' ').unwrap_or((&text, "1"));
        let number: usize = number.parse().unwrap_or(1);
        match word {
            "pass" => pass(event),
            "drop" => Outcome::Drop("dropped as told".into()),
            "reject" => Outcome::Reject("rejected as told".into()),
            "retry" => Outcome::Retry(Later {
                delay_ms: u32::try_from(number).ok(),
                reason: "retried as told".into(),
            }),
            "halt" => Outcome::Halt("halted as told".into()),
            "emit" => Outcome::Ack((0..number).map(|n| emission(None, n.to_string())).collect()),
            "huge" => Outcome::Ack(vec![emission(None, "x".repeat(number * MIB))]),
            "count" => answer(COUNT.get().to_string()),
            "time" => answer(time()),
            "random" => answer(RandomState::new().hash_one(0_u8).to_string()),
            "outside" => answer(outside()),
            channel if channel.contains('.') => {
                Outcome::Ack(vec![emission(Some(channel.to_owned()), text.clone())])
            }
            word => violate(word, number, event),
        }
    }

    /// What is told, dropped or ends the call.
    fn violate(word: &str, number: usize, event: Event) -> Outcome {
        match word {
            "print" => {
                print!("no line end");
                std::io::stdout().flush().expect("the log takes it");
            }
            "wail" => {
                eprintln!("what went wrong");
                unreachable();
            }
            "log" => (0..number).for_each(|n| log::write(log::Level::Info, &format!("line {n}"))),
            "metrics" => {
                (0..number).for_each(|n| metrics::count(&format!("name_{}_{n}", event.seq), 1))
            }
            "trap" => unreachable(),
            "exit" => std::process::exit(3),
            "loop" => loop {
                black_box(());
            },
            "memory" => fill(),
            "stack" => drop(descend(0)),
            _ => return Outcome::Reject(format!("{word} is no order")),
        }
        pass(event)
    }

    fn pass(event: Event) -> Outcome {
        Outcome::Ack(vec![Emission {
            channel: None,
            content_type: None,
            headers: event.headers,
            data: event.data,
        }])
    }

    fn answer(text: String) -> Outcome {
        Outcome::Ack(vec![emission(None, text)])
    }

    fn emission(channel: Option<String>, text: String) -> Emission {
        Emission {
            channel,
            content_type: Some("text/plain".into()),
            headers: Vec::new(),
            data: Payload::Text(text),
        }
    }

    fn time() -> String {
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        time.expect("event time is after 1970")
            .as_micros()
            .to_string()
    }

    fn outside() -> String {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        format!(
            "{} variables, file: {}, input: {read:?}",
            std::env::vars().count(),
            std::fs::read("/etc/passwd").is_ok(),
        )
    }

    fn unreachable() -> ! {
        core::arch::wasm32::unreachable()
    }

    fn fill() {
        let mut blocks = Vec::new();
        loop {
            blocks.push(black_box(vec![1_u8; MIB]));
        }
    }

    #[allow(
        unconditional_recursion,
        reason = "the end of the stack is what this order shows"
    )]
    fn descend(depth: u64) -> u64 {
        black_box(descend(black_box(depth + 1)) + 1)
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "the exports of a component are raw functions; their bodies are generated"
)]
mod export {
    use super::bindings::eddyline::function::events::{Event, Outcome};
    use super::{bindings, function};

    struct Single;

    impl bindings::Guest for Single {
        fn setup(settings: Vec<(String, String)>) -> Result<(), String> {
            function::setup(settings)
        }

        fn handle(event: Event) -> Outcome {
            function::handle(event)
        }
    }

    bindings::export!(Single with_types_in bindings);
}
