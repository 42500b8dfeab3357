//! Generates the server's half of the gRPC code with protox, so that a build needs no
//! `protoc`; keeps the descriptors for the reflection service. The `.proto` lies with
//! the client, which generates the other half.

use std::error::Error;
use std::path::PathBuf;

use tonic_prost_build::Config;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = "../client/proto";
    let proto = "../client/proto/eddyline/replay/v1/replay.proto";
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile([proto], [folder])?;
    #[allow(
        clippy::disallowed_methods,
        reason = "cargo tells a build script its folder by the environment alone"
    )]
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("replay.bin"), encoded(&descriptors))?;
    let mut config = Config::new();
    config.bytes(["."]);
    tonic_prost_build::configure()
        .build_client(false)
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}

fn encoded(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
