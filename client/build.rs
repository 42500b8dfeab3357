//! Generates the client's half of the gRPC code with protox, so that a build needs no
//! `protoc`. The `.proto` is written once and lies here; the bridge generates its half
//! from the same file, so that neither depends on the other.

use std::error::Error;

use tonic_prost_build::Config;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = "proto/eddyline/replay/v1/replay.proto";
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile([proto], ["proto"])?;
    let mut config = Config::new();
    config.bytes(["."]);
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
