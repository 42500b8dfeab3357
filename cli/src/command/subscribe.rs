//! `eddyline sub`: prints what channels deliver.

use std::collections::HashMap;

use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use protocol::frame::{Ephemeral, Event, Gap};
use protocol::position::{Epoch, Position};
use serde::Serialize;

use super::event::{Data, Shown};
use super::publish::connect;
use crate::args::Subscribe;
use crate::args::demand::demanded;
use crate::error::{CliError, EXIT_FAILED, EXIT_SETTINGS};
use crate::output::Output;
use client::{
    Client, ClientError, Delivery, Granter, Named, Start, SubscribeOptions, Subscription, data_of,
    data_of_ephemeral,
};

/// Where to start.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Start(Start),
    /// After a sequence of the current epoch.
    Sequence(u64),
}

#[derive(Serialize)]
struct Dropped<'a> {
    channel: &'a str,
    dropped: u64,
}

#[derive(Serialize)]
pub(super) struct Lost<'a> {
    pub gap: &'a Gap,
}

/// Subscribes and prints, until enough events have come or it is interrupted.
///
/// # Errors
/// The edge node cannot be reached or refuses.
pub async fn run(args: Subscribe, output: &Output) -> Result<(), CliError> {
    let place = place(&args.from)?;
    let client = connect(&args.edge).await?;
    let options = SubscribeOptions {
        credit: args.credit,
        headers: demanded(&args.headers),
        ..SubscribeOptions::default()
    };
    let mut deliveries = SelectAll::new();
    let mut credits = HashMap::new();
    for channel in &args.channels {
        let subscription = subscribe(&client, channel, &place, &options).await?;
        credits.insert(channel.clone(), Printed::new(&subscription, args.credit));
        let subscribed = subscription.subscribed();
        let (epoch, after) = (&subscribed.epoch, subscribed.after);
        output.note(&format!("{channel}: from {epoch}:{after} on"));
        let name = channel.clone();
        deliveries.push(subscription.map(move |delivery| (name.clone(), delivery)));
    }
    let mut connected = client.connected();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        // Both branches are cancel safe.
        tokio::select! {
            delivery = deliveries.next() => match delivery {
                Some((channel, delivery)) => {
                    let events = show(&channel, delivery, output)?;
                    if let Some(printed) = credits.get_mut(&channel) {
                        printed.add(events)?;
                    }
                    left -= events;
                }
                None => return Err(CliError::new(EXIT_FAILED, "the subscription ended")),
            },
            Ok(()) = connected.changed() => {
                let stands = *connected.borrow_and_update();
                output.note(if stands { "connected again" } else { "connection lost, trying again" });
            }
        }
    }
    client.close().await;
    Ok(())
}

/// What of a channel's credit has been printed, and may be granted again.
struct Printed {
    granter: Granter,
    /// Half of the credit at a time, so that the node is never idle for it; `None`: it is
    /// not counted.
    step: Option<u64>,
    events: u64,
}

impl Printed {
    fn new(subscription: &Subscription, credit: Option<u64>) -> Self {
        Self {
            granter: subscription.granter(),
            step: credit.map(|credit| credit.div_ceil(2)),
            events: 0,
        }
    }

    fn add(&mut self, events: u64) -> Result<(), ClientError> {
        self.events += events;
        match self.step {
            Some(step) if self.events >= step => {
                self.granter.grant(std::mem::take(&mut self.events))
            }
            _ => Ok(()),
        }
    }
}

async fn subscribe(
    client: &Client,
    channel: &str,
    place: &Place,
    options: &SubscribeOptions,
) -> Result<Subscription, ClientError> {
    let start = match place {
        Place::Start(start) => start.clone(),
        Place::Sequence(seq) => {
            // A position needs the epoch, which a subscription tells.
            let probe = client.subscribe(channel, Start::Named(Named::Now)).await?;
            let epoch = probe.subscribed().epoch.clone();
            drop(probe);
            Start::After(Position {
                epoch,
                seq: *seq,
                time: None,
            })
        }
    };
    client.subscribe_with(channel, start, options.clone()).await
}

/// Prints a delivery; returns how many events it was.
fn show(
    channel: &str,
    delivery: Result<Delivery, ClientError>,
    output: &Output,
) -> Result<u64, CliError> {
    match delivery? {
        Delivery::Event { event, .. } => {
            let shown = shown(&event);
            output.result(&shown, || shown.line())?;
            Ok(1)
        }
        Delivery::Gap(gap) => {
            let (from, to) = (gap.from, gap.to);
            let text = format!("{channel}: {from} to {to} are no longer kept");
            if output.is_json() {
                output.result(&Lost { gap: &gap }, || text)?;
            } else {
                output.note(&text);
            }
            Ok(0)
        }
        Delivery::Ephemeral { event, .. } => {
            let shown = fleeting(&event);
            output.result(&shown, || shown.line())?;
            Ok(1)
        }
        Delivery::Dropped { count } => {
            let text = format!("{channel}: {count} ephemeral events were dropped");
            if output.is_json() {
                let dropped = Dropped {
                    channel,
                    dropped: count.get(),
                };
                output.result(&dropped, || text)?;
            } else {
                output.note(&text);
            }
            Ok(0)
        }
        // It did not ask who is there.
        Delivery::CaughtUp { .. } | Delivery::Presence(_) => Ok(0),
    }
}

fn fleeting(event: &Ephemeral) -> Shown<'_> {
    let content_type = event.content_type.as_deref();
    let data = data_of_ephemeral(event).unwrap_or_default();
    Shown {
        channel: &event.channel,
        seq: None,
        time: event.time,
        id: &event.id,
        user: event.user.as_deref(),
        function: event.function.as_deref(),
        content_type,
        data: Data::new(content_type, &data),
    }
}

pub(super) fn shown(event: &Event) -> Shown<'_> {
    let content_type = event.content_type.as_deref();
    let data = data_of(event).unwrap_or_default();
    Shown {
        channel: &event.channel,
        seq: Some(event.seq),
        time: event.time,
        id: &event.id,
        user: event.user.as_deref(),
        function: event.function.as_deref(),
        content_type,
        data: Data::new(content_type, &data),
    }
}

fn place(text: &str) -> Result<Place, CliError> {
    let wrong = || {
        let text =
            format!("--from {text:?} is neither now, earliest, a sequence nor EPOCH:SEQUENCE");
        CliError::new(EXIT_SETTINGS, text)
    };
    match text {
        "now" => return Ok(Place::Start(Start::Named(Named::Now))),
        "earliest" => return Ok(Place::Start(Start::Named(Named::Earliest))),
        _ => {}
    }
    let Some((epoch, seq)) = text.split_once(':') else {
        return text.parse().map(Place::Sequence).map_err(|_| wrong());
    };
    Ok(Place::Start(Start::After(Position {
        epoch: Epoch::parse(epoch).ok_or_else(wrong)?,
        seq: seq.parse().map_err(|_| wrong())?,
        time: None,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let check = |text: &str, good: bool| assert_eq!(place(text).is_ok(), good, "{text}");
        check("now", true);
        check("earliest", true);
        check("0a1b:42", true);
        check("0a1b:", false);
        check("latest", false);
        check("-1", false);
        assert!(matches!(place("42"), Ok(Place::Sequence(42))));
    }
}
