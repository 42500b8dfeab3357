//! The document rebuilt from the Kafka mirror over gRPC, and from nothing else.
//! Owns the rebuilt document; must not look at what the editors have.

use std::net::SocketAddr;

use client::replay::{ReplayClient, ReplayItem, ReplayRequest};
use futures_util::StreamExt;
use protocol::name::ChannelPattern;

use super::document::Document;
use super::edit::Edit;
use super::error::DemoError;

/// What the mirror holds of one document.
#[derive(Debug)]
pub struct Rebuilt {
    /// The text.
    pub text: String,
    /// Sequence of each event, in the mirror's order.
    pub seqs: Vec<u64>,
}

/// Reads everything that is stored on the channel by now.
///
/// # Errors
/// The mirror cannot be read, lost something, or holds something that is no edit.
pub async fn rebuild(grpc: SocketAddr, token: &str, channel: &str) -> Result<Rebuilt, DemoError> {
    let client = ReplayClient::connect(grpc, token).await?;
    let pattern = ChannelPattern::parse(channel).expect("a channel is a pattern");
    let mut items = client.read(ReplayRequest::events(pattern)).await?;
    let mut document = Document::reader();
    let mut seqs = Vec::new();
    while let Some(item) = items.next().await {
        match item? {
            ReplayItem::Event(event) => {
                let seq = event.seq;
                let refused = |problem: String| DemoError::MirrorEvent { seq, problem };
                let edit = Edit::decode(&event.payload).map_err(|e| refused(e.to_string()))?;
                let applied = document.apply_remote(&edit.update);
                applied.map_err(|e| refused(e.to_string()))?;
                seqs.push(seq);
            }
            ReplayItem::Gap(gap) => {
                return Err(DemoError::MirrorGap {
                    from: gap.from,
                    to: gap.to,
                });
            }
            ReplayItem::End => break,
            ReplayItem::Token(_) | ReplayItem::CaughtUp => {}
        }
    }
    Ok(Rebuilt {
        text: document.text(),
        seqs,
    })
}
