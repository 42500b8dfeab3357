//! `eddyline replay`: prints what the mirror holds.

use client::replay::{
    ReplayClient, ReplayEnd, ReplayError, ReplayItem, ReplayKind, ReplayRequest, ReplayStart,
    ReplayedEvent,
};
use protocol::header;
use protocol::id::Publisher;
use protocol::name::ChannelPattern;
use protocol::record::MirrorGap;
use running::{DevState, Which};
use serde::Serialize;

use self::paced::{Pace, Reading};
use super::event::{Data, Shown};
use crate::args::replay::Replay;
use crate::config;
use crate::error::{CliError, EXIT_FAILED, EXIT_SETTINGS, EXIT_UNAVAILABLE, sentence};
use crate::moment::moment;
use crate::output::Output;

mod paced;

/// Shortest text that may be a token: it holds a stream, an epoch and a tenant.
const TOKEN_BYTES_MIN: usize = 32;

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Notice<'a> {
    Gap(&'a MirrorGap),
    CaughtUp(bool),
    Token(&'a str),
}

/// Reads and prints, until the end, enough events, or an interruption.
///
/// # Errors
/// The bridge cannot be reached or refuses.
pub async fn run(args: Replay, output: &Output) -> Result<(), CliError> {
    let request = request(&args)?;
    let which = Which {
        name: args.dev.as_deref(),
        address: args.grpc.as_deref(),
    };
    let running = |state: DevState| state.grpc;
    let grpc = config::given_or_running(args.grpc.as_deref(), "--grpc", which, running)?;
    let token = |state: DevState| Some(state.token);
    let token = config::given_or_running(args.token.as_deref(), "--token", which, token)?;
    let client = ReplayClient::open(&grpc, args.roots.as_deref(), &token).await;
    let client = client.map_err(refused)?;
    let mut pace = args.pace.map(Pace::new);
    let mut reading = Reading::begin(&client, request).await.map_err(refused)?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut resume: Option<String> = None;
    while left > 0 {
        let Some(item) = reading.next().await.map_err(refused)? else {
            break;
        };
        match item {
            ReplayItem::Event(event) => {
                if let Some(pace) = &mut pace {
                    tokio::time::sleep_until(pace.due(event.time_us)).await;
                }
                show(&event, output)?;
                left -= 1;
                // It is after more than was printed from here on, so of no use.
                resume = None;
            }
            ReplayItem::Token(token) => resume = Some(token),
            ReplayItem::Gap(gap) => {
                let text = format!("{} to {} were lost before the mirror", gap.from, gap.to);
                notice(&Notice::Gap(&gap), &text, output)?;
            }
            ReplayItem::CaughtUp => {
                notice(&Notice::CaughtUp(true), "what follows is live", output)?;
            }
            ReplayItem::End => break,
        }
    }
    match resume {
        Some(token) => {
            let text = format!("go on later with --from {token}");
            notice(&Notice::Token(&token), &text, output)
        }
        None => Ok(()),
    }
}

fn request(args: &Replay) -> Result<ReplayRequest, CliError> {
    let channels = ChannelPattern::parse(&args.channels)
        .map_err(|error| CliError::new(EXIT_SETTINGS, error.to_string()))?;
    let kind = match &args.dead_letters {
        Some(function) => ReplayKind::DeadLetters(function.clone()),
        None if args.ingress => ReplayKind::Ingress,
        None if args.outcomes => ReplayKind::Outcomes,
        None => ReplayKind::Events,
    };
    let end = match args.until {
        Some(last) => ReplayEnd::Sequence(last),
        None if args.live => ReplayEnd::Live,
        None => ReplayEnd::Snapshot,
    };
    Ok(ReplayRequest {
        kind,
        start: start(&args.from)?,
        end,
        ..ReplayRequest::events(channels)
    })
}

fn start(text: &str) -> Result<ReplayStart, CliError> {
    if text == "earliest" {
        return Ok(ReplayStart::Earliest);
    }
    if let Ok(seq) = text.parse() {
        return Ok(ReplayStart::Sequence(seq));
    }
    if let Some(time) = moment(text) {
        return Ok(ReplayStart::Time(time));
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.len() >= TOKEN_BYTES_MIN && text.bytes().all(letter) {
        return Ok(ReplayStart::Token(text.to_owned()));
    }
    let text = format!(
        "--from {text:?} is neither earliest, a sequence, a time, how long ago, nor the token of an earlier replay"
    );
    Err(CliError::new(EXIT_SETTINGS, text))
}

fn show(event: &ReplayedEvent, output: &Output) -> Result<(), CliError> {
    let headers = &event.headers;
    let publisher = headers.get(header::PUBLISHER);
    let publisher = publisher.and_then(|text| Publisher::parse(text).ok());
    let content_type = headers.get(header::TYPE);
    let shown = Shown {
        channel: event.channel.as_str(),
        seq: Some(event.seq),
        time: event.time_us,
        id: headers.get(header::ID).unwrap_or_default(),
        user: publisher.as_ref().map(|publisher| publisher.user.as_str()),
        function: headers.get(header::FUNCTION),
        content_type,
        data: Data::new(content_type, &event.payload),
    };
    output.result(&shown, || shown.line())
}

fn notice(notice: &Notice<'_>, text: &str, output: &Output) -> Result<(), CliError> {
    if output.is_json() {
        return output.result(notice, String::new);
    }
    output.note(text);
    Ok(())
}

/// Why a bridge gives nothing.
pub(super) fn refused(error: ReplayError) -> CliError {
    match &error {
        ReplayError::Connect(..) => CliError::new(EXIT_UNAVAILABLE, sentence(&error))
            .hint("is `eddyline dev` running? --grpc names another address"),
        ReplayError::Status(status) => {
            let code = match status.code() {
                tonic::Code::Unavailable => EXIT_UNAVAILABLE,
                tonic::Code::InvalidArgument => EXIT_SETTINGS,
                _ => EXIT_FAILED,
            };
            CliError::new(code, format!("the bridge refused: {}", status.message()))
        }
        _ => CliError::new(EXIT_FAILED, sentence(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_words_numbers_times_or_tokens() {
        let start = |text| start(text).unwrap();
        assert!(matches!(start("earliest"), ReplayStart::Earliest));
        assert!(matches!(start("12"), ReplayStart::Sequence(12)));
        assert!(matches!(start("2h"), ReplayStart::Time(_)));
        assert!(matches!(start("2026-05-01"), ReplayStart::Time(_)));
        let token = "eyJ2IjoxLCJzdHJlYW0iOiJFVkVOVFMt_w";
        assert!(matches!(start(token), ReplayStart::Token(text) if text == token));
        for wrong in ["yesterday", "", "0a1b:7", "latest"] {
            let refused = super::start(wrong).unwrap_err();
            assert!(refused.message.contains("how long ago"), "{wrong}");
        }
    }
}
