//! The bindings that are generated from `functions/wit`.
//!
//! Public because [`export!`](crate::export) expands to them in the author's
//! crate. Owns nothing; knows the interface and nothing of the SDK above it.
#![doc(hidden)]
#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    reason = "generated code; the interface is documented in functions/wit"
)]

wit_bindgen::generate!({
    path: "../wit",
    world: "worker",
    pub_export_macro: true,
    default_bindings_module: "sdk::bindings",
    generate_unused_types: true,
    additional_derives: [PartialEq],
});

pub use eddyline::function::types::Outcome as OutcomeRef;
pub use eddyline::function::types::{EmitRef, EventRef, Span, Verdict};
