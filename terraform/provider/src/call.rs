//! Functions of Terraform's language: what is computed from arguments, and asks nobody.
//!
//! Owns nothing. `module`: of a module's file; `naming`: where events go; `access`: who may
//! do what in NATS; `definition`: what a function is.

mod access;
mod definition;
mod module;
mod naming;

pub use self::definition::{Body, Call, CallError};

/// Every function.
pub fn all() -> Vec<Call> {
    vec![
        module::digest(),
        module::problem(),
        naming::topic(),
        naming::lane(),
        access::nats_users(),
    ]
}
