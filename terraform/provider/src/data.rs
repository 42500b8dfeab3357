//! What can be looked at without being looked after. One file for each.

pub mod health;
mod source;
pub mod store;

pub use self::source::Source;

/// Every one.
pub fn all() -> Vec<Box<dyn Source>> {
    vec![
        Box::new(health::Health::default()),
        Box::new(store::Store::default()),
    ]
}
