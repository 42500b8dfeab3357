//! `eddyline pub --ephemeral`: passes one event on, or each line of standard input, one
//! after the other. What a gate filters is told; a line that is refused is told by its
//! number and passed over.

use bytes::Bytes;
use client::{Client, PassedOn};
use serde::Serialize;
use tokio::io::BufReader;

use super::input::Lines;
use super::publish::{connect, draft, is_of_one_event, is_told_by_type, refused};
use crate::args::Publish;
use crate::error::{CliError, EXIT_FAILED, sentence};
use crate::output::Output;

#[derive(Serialize)]
struct Told<'a> {
    channel: &'a str,
    #[serde(flatten)]
    passed_on: &'a PassedOn,
}

/// Passes events on.
///
/// # Errors
/// The edge node cannot be reached or refuses; the input cannot be read.
pub async fn run(args: Publish, output: &Output) -> Result<(), CliError> {
    let client = connect(&args.edge).await?;
    let done = match args.data.as_deref() {
        None | Some("-") => lines(&client, &args, output).await,
        Some(data) => {
            let draft = draft(&args, Bytes::from(data.to_owned()));
            let passed_on = client.pass_on(draft).await?;
            tell(&args, &passed_on, output)
        }
    };
    client.close().await;
    done
}

async fn lines(client: &Client, args: &Publish, output: &Output) -> Result<(), CliError> {
    let mut lines = Lines::new(BufReader::new(tokio::io::stdin()));
    let mut refusals = 0;
    loop {
        let failed =
            |error| CliError::new(EXIT_FAILED, format!("the input cannot be read: {error}"));
        let Some(line) = lines.next().await.map_err(failed)? else {
            break;
        };
        let problem = match line.bytes {
            Err(fault) => fault.to_string(),
            Ok(bytes) if !is_told_by_type(args, &bytes) => {
                "it is not UTF-8; name its content type with --type".to_owned()
            }
            Ok(bytes) => match client.pass_on(draft(args, Bytes::from(bytes))).await {
                Ok(passed_on) => {
                    tell(args, &passed_on, output)?;
                    continue;
                }
                Err(error) if is_of_one_event(&error) => sentence(&error),
                Err(error) => return Err(error.into()),
            },
        };
        refusals += 1;
        refused(line.number, "passed on", &problem, output)?;
    }
    match refusals {
        0 => Ok(()),
        many => {
            let text = format!("{many} of the lines were not passed on");
            Err(CliError::new(EXIT_FAILED, text))
        }
    }
}

fn tell(args: &Publish, passed_on: &PassedOn, output: &Output) -> Result<(), CliError> {
    let channel = args.channel.as_str();
    output.result(&Told { channel, passed_on }, || match &passed_on.dropped {
        None => "passed on".to_owned(),
        Some(reason) if reason.is_empty() => "filtered by its gate".to_owned(),
        Some(reason) => format!("filtered by its gate: {reason}"),
    })
}
