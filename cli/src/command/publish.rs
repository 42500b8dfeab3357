//! `eddyline pub`: publishes one event, or each line of standard input, pipelined, and in
//! a namespace with a gate waits until something has come of each. A line that cannot be published is told by its
//! number and passed over; the others are stored.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use protocol::frame::{Published, StoredIn};
use running::{DevState, Which};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::BufReader;

use super::input::{Line, Lines};
use super::outcomes::Outcomes;
use crate::args::{EdgeArgs, Publish};
use crate::config;
use crate::error::{CliError, EXIT_FAILED, sentence};
use crate::output::Output;
use client::{Ack, Client, ClientError, ClientOptions, Draft};

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

#[derive(Serialize)]
struct Refused<'a> {
    line: u64,
    refused: &'a str,
}

/// Publishes.
///
/// # Errors
/// The edge node cannot be reached or refuses; the input cannot be read.
pub async fn run(args: Publish, output: &Output) -> Result<(), CliError> {
    let client = connect(&args.edge).await?;
    let mut publisher = Publisher {
        outcomes: Outcomes::of(&client, &args.channel, args.wait, args.receipt).await?,
        args: &args,
        output,
        refusals: 0,
    };
    match args.data.as_deref() {
        None | Some("-") => publisher.lines(&client).await?,
        Some(data) => {
            let draft = draft(&args, Bytes::from(data.to_owned()));
            let published = patiently(client.publish(draft), output).await?;
            publisher.told(&published)?;
        }
    }
    let refusals = publisher.refusals;
    let passed = publisher.outcomes.end(output).await;
    client.close().await;
    passed?;
    match refusals {
        0 => Ok(()),
        1 => Err(CliError::new(EXIT_FAILED, "a line was not published")),
        many => {
            let text = format!("{many} lines were not published");
            Err(CliError::new(EXIT_FAILED, text))
        }
    }
}

/// What a publisher says, and to whom.
struct Publisher<'a> {
    args: &'a Publish,
    output: &'a Output,
    outcomes: Outcomes,
    /// Lines that were not published.
    refusals: u64,
}

/// A client of the edge node that is named, or of a running `dev`.
pub(super) async fn connect(args: &EdgeArgs) -> Result<Client, CliError> {
    Ok(Client::connect(options(args)?).await?)
}

/// Where, and as whom.
pub(super) fn options(args: &EdgeArgs) -> Result<ClientOptions, CliError> {
    let which = Which {
        name: args.dev.as_deref(),
        address: args.edge.as_deref(),
    };
    let first = |state: DevState| state.edges.into_iter().next();
    let edge = config::given_or_running(args.edge.as_deref(), "--edge", which, first)?;
    let token = |state: DevState| Some(state.token);
    let token = config::given_or_running(args.token.as_deref(), "--token", which, token)?;
    let mut options = ClientOptions::new(edge, token);
    options.roots.clone_from(&args.roots);
    Ok(options)
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

/// Acks that are waited for, each with the number of its line.
type Acks = VecDeque<(u64, Ack)>;

/// The next outcome, which stays the first until it has come.
async fn first(acks: &mut Acks) -> (u64, Result<Published, ClientError>) {
    match acks.front_mut() {
        Some((number, ack)) => (*number, ack.await),
        None => std::future::pending().await,
    }
}

/// Whether only this event is concerned, and the session goes on.
pub(super) fn is_of_one_event(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Refused(_)
            | ClientError::NotJson
            | ClientError::TooLarge { .. }
            | ClientError::InFlight { .. }
    )
}

impl Publisher<'_> {
    async fn lines(&mut self, client: &Client) -> Result<(), CliError> {
        let mut lines = Lines::new(BufReader::new(tokio::io::stdin()));
        let mut acks = Acks::new();
        let failed =
            |error| CliError::new(EXIT_FAILED, format!("the input cannot be read: {error}"));
        let read = loop {
            if acks.len() >= PIPELINE {
                self.settle(&mut acks).await?;
                continue;
            }
            // All branches are cancel safe: an ack stays the first until it has come.
            let line = tokio::select! {
                line = lines.next() => match line {
                    Ok(line) => line,
                    Err(error) => break Err(failed(error)),
                },
                (number, outcome) = first(&mut acks), if !acks.is_empty() => {
                    acks.pop_front();
                    self.settled(number, outcome)?;
                    continue;
                }
                delivery = self.outcomes.next() => {
                    self.outcomes.take(&delivery?, self.output)?;
                    continue;
                }
            };
            let Some(line) = line else { break Ok(()) };
            let number = line.number;
            match self.begin(client, line).await {
                Ok(Some(ack)) => acks.push_back((number, ack)),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
        };
        // What is under way is told, also when the input has broken off.
        while !acks.is_empty() {
            self.settle(&mut acks).await?;
        }
        read
    }

    /// Hands a line over; `None` if it was told to be of no use.
    async fn begin(&mut self, client: &Client, line: Line) -> Result<Option<Ack>, CliError> {
        let number = line.number;
        let bytes = match line.bytes {
            Ok(bytes) => bytes,
            Err(fault) => return self.refused(number, &fault.to_string()).map(|()| None),
        };
        if !is_told_by_type(self.args, &bytes) {
            let problem = "it is not UTF-8; name its content type with --type";
            return self.refused(number, problem).map(|()| None);
        }
        match client
            .publish_start(draft(self.args, Bytes::from(bytes)))
            .await
        {
            Ok(ack) => Ok(Some(ack)),
            Err(error) if is_of_one_event(&error) => {
                self.refused(number, &sentence(&error)).map(|()| None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn settle(&mut self, acks: &mut Acks) -> Result<(), CliError> {
        let (number, outcome) = patiently(first(acks), self.output).await;
        acks.pop_front();
        self.settled(number, outcome)
    }

    fn settled(
        &mut self,
        number: u64,
        outcome: Result<Published, ClientError>,
    ) -> Result<(), CliError> {
        match outcome {
            Ok(published) => self.told(&published),
            Err(error) if is_of_one_event(&error) => self.refused(number, &sentence(&error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells that a line was not published.
    fn refused(&mut self, number: u64, problem: &str) -> Result<(), CliError> {
        self.refusals += 1;
        refused(number, "published", problem, self.output)
    }

    fn told(&mut self, published: &Published) -> Result<(), CliError> {
        self.outcomes.expect(published);
        let channel = self.args.channel.as_str();
        let stored = Stored { channel, published };
        self.output.result(&stored, || line(published))
    }
}

/// Whether a line is what its type says: text, unless somebody says that it is something
/// else.
pub(super) fn is_told_by_type(args: &Publish, bytes: &[u8]) -> bool {
    args.content_type.is_some() || std::str::from_utf8(bytes).is_ok()
}

/// The event that the arguments and some data make.
pub(super) fn draft(args: &Publish, data: Bytes) -> Draft {
    let is_json = serde_json::from_slice::<&RawValue>(&data).is_ok();
    let content_type = match &args.content_type {
        Some(given) => Some(given.clone()),
        None if is_json => None,
        None => Some("text/plain; charset=utf-8".to_owned()),
    };
    Draft {
        content_type,
        headers: args.headers.iter().cloned().collect(),
        expected_seq: args.expect,
        clock: args.clock.clone(),
        receipt: args.receipt,
        ..Draft::json(args.channel.as_str(), data)
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
        StoredIn::Ingress => "ingress",
    };
    format!("{what} at {}:{} in {place}", position.epoch, position.seq)
}

/// Tells that a line was not `published`, or whatever was to become of it.
pub(super) fn refused(
    line: u64,
    published: &str,
    problem: &str,
    output: &Output,
) -> Result<(), CliError> {
    if output.is_json() {
        let refused = Refused {
            line,
            refused: problem,
        };
        return output.result(&refused, String::new);
    }
    output.note(&format!("line {line} was not {published}: {problem}"));
    Ok(())
}
