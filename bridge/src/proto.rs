//! The generated gRPC code of the client's `eddyline/replay/v1/replay.proto`, the server's half.

#![allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated; documented in the proto file"
)]

tonic::include_proto!("eddyline.replay.v1");

/// The proto's descriptors, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/replay.bin"));
