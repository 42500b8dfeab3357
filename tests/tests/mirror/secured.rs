//! A bridge with TLS: read by whoever trusts the authority of its certificate, an edge
//! node among them; a certificate that changes is shown from then on.

use std::path::Path;

use client::replay::{ReplayClient, ReplayError, ReplayItem, ReplayRequest};
use client::{Client, HeaderFilter, History};
use futures_util::StreamExt;
use harness::pki::{Authority, Files};
use harness::{until, wait};
use protocol::frame::{AtSequence, Mark};
use protocol::name::ChannelPattern;

use super::common::{alone, mirrored, notes};
use super::replay::{forgotten, short};

/// Events of the test.
const EVENTS: u64 = 20;

async fn read(address: &str, roots: Option<&Path>, token: &str) -> Result<usize, ReplayError> {
    let client = ReplayClient::open(address, roots, token).await?;
    let request = ReplayRequest::events(ChannelPattern::parse("chat.>").unwrap());
    let mut items = client.read(request).await?;
    let mut events = 0;
    while let Some(item) = items.next().await {
        events += usize::from(matches!(item?, ReplayItem::Event(_)));
    }
    Ok(events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_with_tls_is_read_by_those_who_trust_it() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let files = Files::in_folder(folder.path(), &authority.issue(&["127.0.0.1"], 2100));
    let (ca, other) = (
        folder.path().join("ca.pem"),
        folder.path().join("other.pem"),
    );
    std::fs::write(&ca, authority.pem()).unwrap();
    std::fs::write(&other, stranger.pem()).unwrap();
    let (pair, roots) = (files.settings(), ca.clone());
    let builder = short(alone().edges(1))
        .bridge_config(move |_, config| config.tls = pair.clone())
        .edge_config(move |_, config| {
            for mirror in &mut config.mirrors {
                mirror.grpc = format!("https://{}", mirror.grpc);
                mirror.roots = Some(roots.clone());
            }
        });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let last = notes(&deployment, "chat.a", EVENTS).await;
    mirrored(&deployment, last).await;
    let (plain, token) = (
        deployment.bridges[0].address().to_string(),
        deployment.token("reader"),
    );
    let secure = format!("https://{plain}");
    let events = wait::within("a read", read(&secure, Some(&ca), &token)).await;
    assert_eq!(events.unwrap() as u64, EVENTS);
    for (address, roots) in [(&secure, Some(&*other)), (&secure, None), (&plain, None)] {
        let refused = wait::within("a refusal", read(address, roots, &token)).await;
        let refused = refused.unwrap_err();
        assert!(
            !matches!(refused, ReplayError::Argument { .. }),
            "{address} {refused}"
        );
    }

    // An edge node reads the past of its store over it.
    forgotten(&deployment, last).await;
    let node = Client::connect(deployment.client_options(&[0], "reader")).await;
    let node = node.unwrap();
    let asked = History {
        channel: "chat.a".into(),
        from: Some(Mark::Sequence(AtSequence { seq: 1 })),
        backwards: false,
        headers: HeaderFilter::default(),
        limit: None,
    };
    let page = wait::within("a page", node.history(asked)).await.unwrap();
    assert_eq!((page.events.len() as u64, page.gap), (EVENTS, None));
    node.close().await;

    // The other authority's pair takes its place.
    files.write(&stranger.issue(&["127.0.0.1"], 2100));
    until("the new certificate is shown", async || {
        let read = read(&secure, Some(&other), &token).await;
        read.map_err(|error| error.to_string())
    })
    .await;
    let refused = wait::within("a refusal", read(&secure, Some(&ca), &token)).await;
    assert!(matches!(refused, Err(ReplayError::Connect(_))));
    deployment.stop().await;
}
