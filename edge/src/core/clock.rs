//! Wall-clock time as the protocol writes it. Owns nothing.

pub use service::clock::now_us;
