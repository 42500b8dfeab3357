//! Generates the gRPC code from `proto/` with protox, so that a build needs no
//! `protoc`; keeps the descriptors for the reflection service.

use std::error::Error;
use std::path::PathBuf;

use tonic_prost_build::Config;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = "proto/eddyline/replay/v1/replay.proto";
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile([proto], ["proto"])?;
    #[allow(
        clippy::disallowed_methods,
        reason = "cargo tells a build script its folder by the environment alone"
    )]
    let folder = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(folder.join("replay.bin"), prost_encode(&descriptors))?;
    let mut config = Config::new();
    config.bytes(["."]);
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}

fn prost_encode(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
