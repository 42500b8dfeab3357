//! The generated gRPC code of `proto/eddyline/replay/v1/replay.proto`, the client's half.

#![allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated; documented in the proto file"
)]

tonic::include_proto!("eddyline.replay.v1");
