//! A function beside the gate of a laboratory: reactive on `chat`, it counts the events of
//! each channel in its memory and emits the count beside them. Owns nothing.

use control::{Deployed, Deployer, FunctionDraft};
use harness::environment;
use protocol::name::{ChannelPattern, FunctionName, StoreName};
use protocol::spec::LINGER_MS_MAX;

/// Its name.
const NAME: &str = "watch";

/// On what it counts: every channel of `chat`.
pub const ALL: [&str; 1] = ["chat.>"];

/// Deploys it on these channels, the `n`-th version of it.
pub async fn deploy(deployer: &Deployer, on: &[&str], n: usize) -> Deployed {
    let on = on.iter().map(|on| ChannelPattern::parse(on).unwrap());
    let draft = FunctionDraft {
        config: [
            ("order".to_owned(), r#"{"do":"remember"}"#.to_owned()),
            ("n".to_owned(), n.to_string()),
        ]
        .into(),
        // Nearly always something waits to be committed.
        linger_ms: LINGER_MS_MAX,
        ..FunctionDraft::new(
            FunctionName::parse(NAME).unwrap(),
            StoreName::parse("main").unwrap(),
            on.collect(),
        )
    };
    let module = environment::module("probe");
    deployer.deploy(draft, vec![module]).await.unwrap()
}
