//! The Rust guest SDK: what the author of an Eddyline function writes against.
//!
//! An author implements [`Worker`] for one event at a time and names the type
//! in [`export!`]; packing, spans and arenas stay in here. Events are borrowed
//! from the batch without a copy, and emissions are written straight into the
//! reply. The SDK owns the worker's instance and nothing else, and must not know
//! how the host stores, retries or commits.
//!
//! ```
//! use sdk::{Config, Emitter, Event, Outcome, Worker};
//!
//! struct Gate;
//!
//! impl Worker for Gate {
//!     fn init(_config: &Config) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
//!         if event.data().is_empty() {
//!             return Outcome::reject("no data");
//!         }
//!         out.pass()
//!     }
//! }
//!
//! sdk::export!(Gate);
//! ```
//!
//! # What a function must not do
//!
//! A function has no files, network or clock of its own. What Rust's standard library
//! asks the system for is answered so that the same input gives the same output:
//! standard output and error go to the function's log, `SystemTime::now()` is the store
//! time of the first event of the batch (use [`Event::time_us`]), randomness starts from
//! that event's id (so a `HashMap` works, but its order changes with the batch: where
//! order reaches an output, use `BTreeMap` or [`FixedHashMap`]). Opening a file fails;
//! sleeping, sockets and `std::process::exit` trap. Panics are logged, then trap.

pub mod bindings;
mod config;
mod emitter;
mod event;
mod host;
mod outcome;
mod state;
mod worker;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use config::Config;
pub use emitter::{DataWriter, Emission, Emitter};
pub use event::{Event, Headers};
pub use host::{clock, log, metrics};
pub use outcome::Outcome;
pub use state::{State, StateError};
pub use worker::Worker;

#[doc(hidden)]
pub use worker::Slot;

/// A hash map whose hasher is seeded with a constant, so that its order is the same at
/// every replay. Keys chosen by an adversary can make it slow; where keys come
/// from users, prefer `BTreeMap`. Made with `FixedHashMap::default()`.
pub type FixedHashMap<K, V> = std::collections::HashMap<
    K,
    V,
    std::hash::BuildHasherDefault<std::collections::hash_map::DefaultHasher>,
>;

/// Makes a type that implements [`Worker`] the function of this crate. Call it
/// once, in a crate of type `cdylib`.
///
/// On other targets than Wasm it only checks the type, so that the same crate
/// can be tested natively.
#[macro_export]
macro_rules! export {
    ($worker:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(
            unsafe_code,
            reason = "the exports of a component are raw functions; their bodies are generated"
        )]
        const _: () = {
            ::std::thread_local! {
                static SLOT: $crate::Slot<$worker> = const { $crate::Slot::new() };
            }

            struct Component;

            impl $crate::bindings::Guest for Component {
                fn init(
                    config: ::std::vec::Vec<(::std::string::String, ::std::string::String)>,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    SLOT.with(|slot| slot.init(config))
                }

                fn handle(batch: $crate::bindings::Batch) -> $crate::bindings::Reply {
                    SLOT.with(|slot| slot.handle(&batch))
                }
            }

    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_a_worker<W: $crate::Worker>() {}
            is_a_worker::<$worker>();
        };
    };
}
