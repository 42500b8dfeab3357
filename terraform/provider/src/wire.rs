//! How Terraform reaches the provider: a handshake on standard output, then gRPC over a
//! socket that nobody else can open, for one connection and one run.
//!
//! - [`handshake`]: the cookie, the line; [`tls`]: a certificate for this run
//! - [`carrier`]: the one connection; [`server`]: what is served on it, and until when
//! - [`provider`], [`controller`]: the generated code

pub mod carrier;
pub mod handshake;
pub mod server;
pub mod tls;

/// The generated code of `proto/provider.proto`.
pub mod provider {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::too_many_lines,
        clippy::allow_attributes_without_reason,
        reason = "generated; documented in the proto file"
    )]

    tonic::include_proto!("tfplugin6");
}

/// The generated code of `proto/controller.proto`.
pub mod controller {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::too_many_lines,
        clippy::allow_attributes_without_reason,
        reason = "generated; documented in the proto file"
    )]

    tonic::include_proto!("plugin");
}
