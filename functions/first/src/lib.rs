//! A function of the world `worker` as its first version was released: built against a
//! copy of those files (`wit/`), which must never change, and without the SDK, which may.
//! The tests of the host run it, so that a change that breaks deployed modules is noticed.
//!
//! It passes each event on, asks every import once, and rejects what is empty. Owns
//! nothing. Must not know the files of today.

#[cfg(target_arch = "wasm32")]
#[allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; the interface is documented in its files"
)]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "worker", generate_unused_types: true });
}

#[cfg(target_arch = "wasm32")]
mod function {
    use super::bindings::Guest;
    use super::bindings::eddyline::function::types::{Batch, Reply};
    use super::bindings::eddyline::function::types::{EmitRef, EventRef, Outcome, Span, Verdict};
    use super::bindings::eddyline::function::{clock, config, log, metrics};

    const NOTHING: Span = Span {
        offset: 0,
        length: 0,
    };

    pub struct First;

    impl Guest for First {
        fn init(settings: Vec<(String, String)>) -> Result<(), String> {
            for (key, value) in settings {
                if config::get(&key).as_ref() != Some(&value) {
                    return Err(format!("{key} has two values"));
                }
            }
            Ok(())
        }

        fn handle(batch: Batch) -> Reply {
            log::write(log::Level::Info, "the first version");
            metrics::count("batches", 1);
            metrics::gauge("granted", f64::from(u8::from(clock::wall_us().is_some())));
            metrics::observe("events", batch.events.len() as f64);
            let mut emits = Vec::new();
            let mut outcomes = Vec::new();
            for (source, event) in (0..).zip(&batch.events) {
                let verdict = if event.data.length == 0 {
                    Verdict::Reject
                } else {
                    emits.push(pass(source, event));
                    Verdict::Ack
                };
                outcomes.push(Outcome {
                    verdict,
                    delay_ms: 0,
                    reason: NOTHING,
                });
            }
            Reply {
                outcomes,
                emits,
                arena: batch.arena,
            }
        }
    }

    fn pass(source: u32, event: &EventRef) -> EmitRef {
        EmitRef {
            source,
            channel: NOTHING,
            content_type: NOTHING,
            headers: event.headers,
            data: event.data,
        }
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "the exports of a component are raw functions; their bodies are generated"
)]
mod export {
    use super::bindings;
    use super::function::First;

    bindings::export!(First with_types_in bindings);
}
