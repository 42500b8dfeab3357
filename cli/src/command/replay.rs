//! `eddyline replay`: prints what the mirror holds.

use client::replay::{
    ReplayClient, ReplayEnd, ReplayError, ReplayItem, ReplayRequest, ReplayStart, ReplayedEvent,
};
use futures_util::StreamExt;
use protocol::header;
use protocol::id::Publisher;
use protocol::name::ChannelPattern;
use protocol::record::MirrorGap;
use serde::Serialize;

use super::event::{Data, Shown};
use crate::args::Replay;
use crate::config::{self, DevState, Which};
use crate::error::{CliError, EXIT_FAILED, EXIT_SETTINGS, EXIT_UNAVAILABLE, sentence};
use crate::output::Output;

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
    let client = ReplayClient::connect(config::resolve(&grpc).await?, &token).await;
    let client = client.map_err(refused)?;
    let mut items = client.read(request).await.map_err(refused)?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut resume: Option<String> = None;
    while left > 0 {
        let Some(item) = items.next().await else {
            break;
        };
        match item.map_err(refused)? {
            ReplayItem::Event(event) => {
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
    let mut request = if args.ingress {
        ReplayRequest::ingress(channels)
    } else {
        ReplayRequest::events(channels)
    };
    request.start = start(&args.from);
    if args.live {
        request.end = ReplayEnd::Live;
    }
    Ok(request)
}

fn start(text: &str) -> ReplayStart {
    match (text, text.parse()) {
        ("earliest", _) => ReplayStart::Earliest,
        (_, Ok(seq)) => ReplayStart::Sequence(seq),
        (token, Err(_)) => ReplayStart::Token(token.to_owned()),
    }
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
    fn starts_are_words_numbers_or_tokens() {
        assert!(matches!(start("earliest"), ReplayStart::Earliest));
        assert!(matches!(start("12"), ReplayStart::Sequence(12)));
        assert!(matches!(start("eyJz"), ReplayStart::Token(token) if token == "eyJz"));
    }
}
