//! What a resource is: planned, made, changed, read, taken away. One file for each.
//!
//! Owns nothing. A resource knows neither the wire nor how plans are encoded.

pub mod function;
mod lifecycle;
pub mod namespace;
pub mod store;

pub use self::lifecycle::{Resource, protected};

/// Every resource.
pub fn all() -> Vec<Box<dyn Resource>> {
    vec![
        Box::new(store::Store::default()),
        Box::new(namespace::Namespaces::default()),
        Box::new(function::Functions::default()),
    ]
}
