//! The files that travel inside the library; the build script lists them. Owns nothing.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
