//! `eddyline pub`: publishes one event, or each line of standard input, pipelined, and
//! says what did not pass its function.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use protocol::frame::{Published, StoredIn};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::outcomes::Outcomes;
use crate::args::{EdgeArgs, Publish};
use crate::config;
use crate::error::{CliError, EXIT_FAILED};
use crate::output::Output;
use client::{Ack, Client, ClientOptions, Draft};

/// Events whose ack is waited for at once; then the input is read no further.
const PIPELINE: usize = 256;

/// How long an ack may take before somebody who waits for it is told.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct Stored<'a> {
    channel: &'a str,
    #[serde(flatten)]
    published: &'a Published,
}

/// Publishes.
///
/// # Errors
/// The edge node cannot be reached or refuses; the input cannot be read.
pub async fn run(args: Publish, output: &Output) -> Result<(), CliError> {
    let client = connect(&args.edge).await?;
    let mut publisher = Publisher {
        outcomes: Outcomes::of(&client, &args.channel).await?,
        args: &args,
        output,
    };
    match args.data.as_deref() {
        None | Some("-") => publisher.lines(&client).await?,
        Some(data) => {
            let draft = publisher.draft(Bytes::from(data.to_owned()));
            let published = patiently(client.publish(draft), output).await?;
            publisher.told(&published)?;
        }
    }
    let passed = publisher.outcomes.tell(output).await;
    client.close().await;
    passed
}

/// What a publisher says, and to whom.
struct Publisher<'a> {
    args: &'a Publish,
    output: &'a Output,
    outcomes: Outcomes,
}

/// A client of the edge node that is named, or of a running `dev`.
pub(super) async fn connect(args: &EdgeArgs) -> Result<Client, CliError> {
    let first = |state: config::DevState| state.edges.into_iter().next();
    let edge = config::given_or_running(args.edge.clone(), "--edge", first)?;
    let token = |state: config::DevState| Some(state.token);
    let token = config::given_or_running(args.token.clone(), "--token", token)?;
    Ok(Client::connect(ClientOptions::new(edge, token)).await?)
}

/// Waits as long as it takes, but says after a while what is waited for.
async fn patiently<T>(ack: impl Future<Output = T>, output: &Output) -> T {
    tokio::pin!(ack);
    // Both branches are cancel safe: the ack stays pinned outside.
    tokio::select! {
        told = &mut ack => return told,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    output.note("no ack yet: the event is sent again until it is stored; Ctrl-C gives up");
    ack.await
}

async fn first(acks: &mut VecDeque<Ack>) -> Result<Published, CliError> {
    match acks.front_mut() {
        Some(ack) => Ok(ack.await?),
        None => std::future::pending().await,
    }
}

impl Publisher<'_> {
    async fn lines(&mut self, client: &Client) -> Result<(), CliError> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut acks: VecDeque<Ack> = VecDeque::new();
        let failed =
            |error| CliError::new(EXIT_FAILED, format!("the input cannot be read: {error}"));
        loop {
            if acks.len() >= PIPELINE {
                self.settle(&mut acks).await?;
                continue;
            }
            // Both branches are cancel safe: an ack stays the first until it has come.
            let line = tokio::select! {
                line = lines.next_line() => line.map_err(failed)?,
                published = first(&mut acks), if !acks.is_empty() => {
                    acks.pop_front();
                    self.told(&published?)?;
                    continue;
                }
            };
            let Some(line) = line else { break };
            let draft = self.draft(Bytes::from(line));
            acks.push_back(client.publish_start(draft).await?);
        }
        while !acks.is_empty() {
            self.settle(&mut acks).await?;
        }
        Ok(())
    }

    async fn settle(&mut self, acks: &mut VecDeque<Ack>) -> Result<(), CliError> {
        let published = patiently(first(acks), self.output).await?;
        acks.pop_front();
        self.told(&published)
    }

    fn draft(&self, data: Bytes) -> Draft {
        let is_json = serde_json::from_slice::<&RawValue>(&data).is_ok();
        let content_type = match &self.args.content_type {
            Some(given) => Some(given.clone()),
            None if is_json => None,
            None => Some("text/plain; charset=utf-8".to_owned()),
        };
        Draft {
            content_type,
            headers: self.args.headers.iter().cloned().collect(),
            ..Draft::json(self.args.channel.as_str(), data)
        }
    }

    fn told(&mut self, published: &Published) -> Result<(), CliError> {
        self.outcomes.expect(published);
        let channel = self.args.channel.as_str();
        let stored = Stored { channel, published };
        self.output.result(&stored, || line(published))
    }
}

fn line(published: &Published) -> String {
    let position = &published.position;
    let what = if published.duplicate {
        "was stored before"
    } else {
        "stored"
    };
    let place = match published.stored_in {
        StoredIn::Events => "events",
        StoredIn::Ingress => "ingress, on its way through the function",
    };
    format!("{what} at {}:{} in {place}", position.epoch, position.seq)
}
