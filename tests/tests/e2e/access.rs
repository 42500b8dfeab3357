//! The command line as an operator uses it on who is connected, and as a reader on what is
//! stored: over TLS too.

use std::time::Duration;

use harness::raw::Received;
use harness::{Deployment, RawSession, wait};
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::Encoding;
use serde_json::{Value, json};

use super::shell::Shell;

/// The node that speaks TLS.
const TLS: usize = 1;
/// Events of the history.
const EVENTS: u64 = 5;

/// A token of a user, for as long as a test runs.
fn token(deployment: &Deployment, user: &str) -> String {
    deployment.token_with(
        user,
        &["publish:>", "subscribe:>"],
        Duration::from_secs(600),
    )
}

/// A session and its name.
async fn opened(deployment: &Deployment, token: &str) -> (RawSession, String) {
    let address = deployment.edges[0].address();
    let opened = RawSession::open(address, Encoding::Json, None).await;
    let mut session = opened.expect("the node takes connections");
    let connected = session.connect(token, "c1").await.expect("a valid token");
    (session, connected.session)
}

async fn ends(mut session: RawSession, code: CloseCode) {
    let closed = Received::Closed(code.number(), code.reason().into());
    assert_eq!(session.end().await, closed);
}

/// Certificates and key of a node, and what its clients trust; all in a folder.
fn certificate(folder: &std::path::Path) {
    let names = ["127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sends_clients_away_and_a_reader_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let files = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    let builder = Deployment::builder().without_mirror().functions(&[]);
    let builder = builder.workers(0).edges(2).edge_config(move |at, config| {
        if at == TLS {
            [config.tls.certificate, config.tls.key] = files.clone().map(Some);
        }
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let shell = Shell::new(deployment.servers.nats_url());
    disconnect(&deployment, &shell).await;
    revoke(&deployment, &shell).await;
    history(&deployment, &shell, &folder.path().join("chain.pem")).await;
    deployment.stop().await;
}

async fn disconnect(deployment: &Deployment, shell: &Shell) {
    let token = token(deployment, "dora");
    let (first, name) = opened(deployment, &token).await;
    let (second, _) = opened(deployment, &token).await;
    let line = ["disconnect", "session", &name, "--tenant", "acme"];
    let told = shell.json(&line).await;
    assert_eq!(told[0]["whom"], json!({"session": name}));
    assert_eq!(
        told[0]["written"]["by"].as_str().unwrap().split('@').next(),
        Some("ann")
    );
    ends(first, CloseCode::Disconnected).await;
    let line = ["disconnect", "user", "dora", "--tenant", "acme"];
    let told = shell.done(&line).await;
    assert_eq!(told.trim(), "the sessions of dora of acme are closed");
    ends(second, CloseCode::Disconnected).await;
    // The token still counts.
    opened(deployment, &token).await;
    let long = "s".repeat(200);
    let line = ["disconnect", "session", &long, "--tenant", "acme"];
    shell.refused(&line, "1 to 128 bytes").await;
}

async fn revoke(deployment: &Deployment, shell: &Shell) {
    let token = token(deployment, "rosa");
    let (session, name) = opened(deployment, &token).await;
    let line = [
        "revoke", "session", &name, "--tenant", "acme", "--for", "1h",
    ];
    let told = shell.done(&line).await;
    assert_eq!(told.trim(), format!("session {name} of acme ends"));
    ends(session, CloseCode::Revoked).await;
    let (session, _) = opened(deployment, &token).await;
    let told = shell
        .json(&["revoke", "user", "rosa", "--tenant", "acme"])
        .await;
    assert_eq!(told[0]["revoked"], json!({"user": "rosa"}));
    ends(session, CloseCode::Revoked).await;
    wait::until("the user's token counts no more", async || {
        let address = deployment.edges[0].address();
        let opened = RawSession::open(address, Encoding::Json, None).await;
        let mut session = opened.map_err(|error| error.to_string())?;
        match session.connect(&token, "c1").await {
            Ok(_) => Err("it was let in".to_owned()),
            Err(error) if format!("{error:?}").contains("TokenRevoked") => Ok(()),
            Err(error) => Err(format!("{error:?}")),
        }
    })
    .await;
    assert_eq!(ErrorCode::TokenRevoked.retry_after_ms(), None);
    let line = ["revoke", "token", "j1", "--tenant", "acme", "--for", "91d"];
    shell.refused(&line, "at most 90 days").await;
}

/// The `seq` of each line.
fn sequences(lines: &[Value]) -> Vec<u64> {
    let sequences = lines.iter().filter_map(|line| line["seq"].as_u64());
    sequences.collect()
}

async fn history(deployment: &Deployment, shell: &Shell, roots: &std::path::Path) {
    let mut writer = deployment.writer(&[0], "hanna").await;
    let mut stored = Vec::new();
    for n in 0..EVENTS {
        writer.start("chat.past", format!("[{n}]")).await.unwrap();
    }
    assert_eq!(writer.settle_all().await, EVENTS as usize);
    let token = token(deployment, "hanna");
    let plain = deployment.edges[0].address().to_string();
    let secure = format!("wss://{}", deployment.edges[TLS].address());
    let roots = roots.display().to_string();
    let at = |more: &[&str]| {
        let line = ["history", "chat.past", "--token", &token];
        let line = [&line[..], more].concat();
        line.iter()
            .map(|part| (*part).to_owned())
            .collect::<Vec<String>>()
    };
    let read = async |more: &[&str]| {
        let line = at(more);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        shell.json(&line).await
    };
    let all = read(&["--edge", &plain]).await;
    let data: Vec<&Value> = all.iter().map(|line| &line["data"]).collect();
    assert_eq!(
        data,
        (0..EVENTS)
            .map(|n| json!([n]))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
    stored.extend(sequences(&all));
    // Over TLS the same, page by page, newest first.
    let over_tls = [
        "--edge",
        &secure,
        "--roots",
        &roots,
        "--backwards",
        "--limit",
        "2",
    ];
    let mut backwards = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let from = next.iter().flat_map(|next| ["--from", next]);
        let more: Vec<&str> = over_tls.into_iter().chain(from).collect();
        let page = read(&more).await;
        backwards.extend(sequences(&page));
        next = page
            .last()
            .and_then(|line| line["next"].as_str())
            .map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    backwards.reverse();
    assert_eq!(backwards, stored);
    // Whom nobody vouches for is not believed, and the reason is said.
    let untrusted = at(&["--edge", &secure]);
    let untrusted: Vec<&str> = untrusted.iter().map(String::as_str).collect();
    let ended = shell.run(&untrusted).await;
    assert_ne!(ended.code, 0);
    assert!(ended.errors.contains("certificate"), "{ended:?}");
}
