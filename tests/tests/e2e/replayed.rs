//! `docs/replay-history.md`, command by command, as it stands there.

use harness::{Deployment, FunctionChoice, environment};

use super::page::{Page, TTL};

/// What the page's readers have in their shell.
const SCOPES: [&str; 4] = ["publish:>", "subscribe:>", "replay:>", "inputs:>"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_on_replay_does_what_it_says() {
    let builder = Deployment::builder()
        .functions(&[FunctionChoice::Gate])
        .edges(1);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    // The bridge listens when it has started, which nothing before waits for.
    let _replay = deployment.replay_client(0, "ann").await;
    let token = deployment.token_with("dev", &SCOPES, TTL);
    let page = Page::new(include_str!("../../../docs/replay-history.md"))
        .set("EDDYLINE_EDGE", &deployment.edges[0].address().to_string())
        .set(
            "EDDYLINE_GRPC",
            &deployment.bridges[0].address().to_string(),
        )
        .set("EDDYLINE_TOKEN", &token)
        .set("EDDYLINE_TOKEN_SECRET", deployment.secret.expose());
    let program = environment::program("eddyline");
    let commands = page.commands();
    assert_eq!(commands.len(), 13, "{commands:?}");
    for command in &commands {
        let ended = page.run(&program, command).await;
        // The page publishes an edit that is none.
        let refused = command.contains("doc.page");
        assert_eq!(ended.code != 0, refused, "{command}: {ended:?}");
        let told = &ended.told;
        match command.as_str() {
            _ if command.ends_with("replay 'chat.>'") => {
                assert_eq!(told.lines().count(), 3, "{told}");
                assert!(
                    told.contains("first") && told.contains("elsewhere"),
                    "{told}"
                );
            }
            _ if command.contains("--from 2h") || command.contains("2026-01-31") => {
                assert_eq!(told.lines().count(), 2, "{command}: {told}");
            }
            _ if command.contains("--until") || command.contains("--pace") => {
                assert_eq!(told.lines().count(), 3, "{command}: {told}");
            }
            _ if command.contains("--ingress") || command.contains("--dead-letters") => {
                assert!(told.contains(r#"{"no":"edit"}"#), "{command}: {told}");
            }
            _ if command.contains("--outcomes") => {
                assert!(told.contains("rejected"), "{told}");
            }
            _ => {}
        }
    }
    deployment.stop().await;
}
