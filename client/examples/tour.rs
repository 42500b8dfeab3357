//! Publishes an event, receives it, and reads it back from the mirror.
//!
//! `tour EDGE REPLAY TOKEN`, for example `tour 127.0.0.1:8001 127.0.0.1:8003 eyJ…`, as
//! `eddyline dev` prints them.

use std::error::Error;

use client::replay::{ReplayClient, ReplayItem, ReplayRequest};
use client::{Client, ClientOptions, Delivery, Draft, Named, Start};
use futures_util::StreamExt;

/// The channel; its namespace `chat` has no function.
const CHANNEL: &str = "chat.tour";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [edge, replay, token] = &arguments[..] else {
        return Err("usage: tour EDGE REPLAY TOKEN".into());
    };

    let client = Client::connect(ClientOptions::new(edge, token)).await?;
    let now = Start::Named(Named::Now);
    let mut subscription = client.subscribe(CHANNEL, now).await?;
    let draft = Draft::json(CHANNEL, r#"{"text":"hello"}"#);
    let stored = client.publish(draft).await?;
    println!("stored as {}", stored.position.seq);

    while let Some(delivery) = subscription.next().await {
        match delivery? {
            Delivery::Event { event, .. } if event.seq == stored.position.seq => {
                println!("received {}", event.seq);
                break;
            }
            Delivery::Event { .. } | Delivery::CaughtUp { .. } | Delivery::Presence(_) => {}
            // Passed on and not stored: only where the namespace allows it.
            Delivery::Ephemeral { event, .. } => println!("{} passes by", event.id),
            Delivery::Dropped { count } => println!("{count} have passed by unseen"),
            Delivery::Gap(gap) => println!("{} to {} are no longer kept", gap.from, gap.to),
        }
    }
    client.close().await;

    let history = ReplayClient::connect(replay.parse()?, token).await?;
    let request = ReplayRequest::events(CHANNEL.parse()?);
    let mut items = history.read(request).await?;
    while let Some(item) = items.next().await {
        match item? {
            ReplayItem::Event(event) => {
                println!("kept {}: {} bytes", event.seq, event.payload.len())
            }
            ReplayItem::Gap(gap) => println!("{} to {} are lost", gap.from, gap.to),
            ReplayItem::Token(_) | ReplayItem::CaughtUp | ReplayItem::End => {}
        }
    }
    Ok(())
}
