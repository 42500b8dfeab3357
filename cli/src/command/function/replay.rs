//! `eddyline function replay`: what a function on disk would make of recorded history.

use control::{Compared, Fate, Missing, Output as Emitted, ReplayRequest, Replayed};
use serde::Serialize;
use service::clock;

use super::deploy;
use super::mirror;
use super::source;
use crate::args::function::ReplayHistory;
use crate::error::{CliError, EXIT_SETTINGS};
use crate::nats;
use crate::output::{Output, harmless, thousands};
use crate::table::ago;

#[derive(Serialize)]
struct Different<'a> {
    seq: u64,
    time: u64,
    channel: &'a str,
    stored: &'a Fate,
    candidate: &'a Fate,
}

#[derive(Serialize)]
struct Absent<'a> {
    stream: &'a str,
    from: u64,
    to: u64,
    reason: &'a str,
}

#[derive(Serialize)]
struct Summary<'a> {
    inputs: usize,
    same: usize,
    different: usize,
    /// There are more inputs, past the limit.
    more: bool,
    /// Whose inputs they are; everybody's unless the mirror was read.
    tenant: Option<&'a str>,
    /// What the replay could not take in.
    missing: Vec<Absent<'a>>,
}

/// Runs it and shows each input of which it would make something else.
///
/// # Errors
/// The function cannot be used; NATS or the bridge cannot be reached or read.
pub async fn run(args: &ReplayHistory, output: &Output) -> Result<(), CliError> {
    let mut functions = source::wanted(&args.source)?.functions;
    let Some((draft, modules)) = functions.pop() else {
        return Err(CliError::new(EXIT_SETTINGS, "there is no function"));
    };
    let request = ReplayRequest {
        from: deploy::start("--from", &args.from)?,
        channel: args.channel.as_deref().map(nats::name).transpose()?,
        inputs_max: args.count,
    };
    let deployer = nats::deployer(&args.nats).await?;
    let mirror = match deployer.needs_mirror(&draft, &request).await? {
        true => mirror::find(args).await?,
        false => None,
    };
    let replayed = deployer.replay(draft, modules, &request, mirror.as_ref());
    show(&replayed.await?, output)
}

fn show(replayed: &Replayed, output: &Output) -> Result<(), CliError> {
    let inputs = replayed.inputs.iter();
    let different: Vec<&Compared> = inputs.filter(|input| !input.is_same()).collect();
    let now_us = clock::now_us();
    for input in &different {
        let told = Different {
            seq: input.seq,
            time: input.time_us,
            channel: &input.channel,
            stored: &input.stored,
            candidate: &input.candidate,
        };
        output.result(&told, || text(input, now_us))?;
    }
    if !output.is_json() {
        for missing in &replayed.missing {
            output.note(&lacks(missing));
        }
    }
    let summary = Summary {
        inputs: replayed.inputs.len(),
        same: replayed.inputs.len() - different.len(),
        different: different.len(),
        more: replayed.more,
        tenant: replayed.tenant.as_ref().map(|tenant| tenant.as_str()),
        missing: replayed.missing.iter().map(absent).collect(),
    };
    output.result(&summary, || last(&summary))
}

/// What reasons are called; one that no mirror tells is retention in JetStream.
fn absent(missing: &Missing) -> Absent<'_> {
    Absent {
        stream: missing.stream.as_str(),
        from: missing.from,
        to: missing.to,
        reason: missing.reason.map_or("jetstream", |reason| reason.as_str()),
    }
}

fn lacks(missing: &Missing) -> String {
    let (stream, from, to) = (&missing.stream, missing.from, missing.to);
    match missing.reason {
        None => format!(
            "JetStream's history of {stream} begins with {}: what is older needs the mirror, \
             --grpc says where",
            to + 1
        ),
        Some(reason) => format!(
            "the mirror may lack some of {from} to {to} of {stream}: {}",
            reason.as_str().replace('_', " ")
        ),
    }
}

fn text(input: &Compared, now_us: u64) -> String {
    let when = ago(input.time_us, now_us);
    let mut text = format!("input {} on {}, {when}\n", input.seq, input.channel);
    for (mark, fate) in [('-', &input.stored), ('+', &input.candidate)] {
        for line in lines(fate) {
            text.push_str(&format!("  {mark} {line}\n"));
        }
    }
    text
}

fn lines(fate: &Fate) -> Vec<String> {
    let because = |what: &str, reason: &str| match reason {
        "" => vec![what.to_owned()],
        reason => vec![format!("{what}: {}", harmless(reason))],
    };
    match fate {
        Fate::Outputs(outputs) if outputs.is_empty() => vec!["nothing".to_owned()],
        Fate::Outputs(outputs) => outputs.iter().map(line).collect(),
        Fate::Dropped(reason) => because("dropped", reason),
        Fate::Rejected(reason) => because("rejected", reason),
        Fate::Fails(reason) => because("fails", reason),
        Fate::Halts(reason) => because("halts the function", reason),
    }
}

fn line(output: &Emitted) -> String {
    let mut text = format!("{}  {}", output.channel, harmless(&output.data));
    if output.bytes > output.data.len() {
        text.push_str(&format!("... ({} bytes)", thousands(output.bytes as u64)));
    }
    if let Some(content_type) = &output.content_type {
        text.push_str(&format!("  [{}]", harmless(content_type)));
    }
    for (name, value) in &output.headers {
        text.push_str(&format!("  {name}={}", harmless(value)));
    }
    text
}

fn last(summary: &Summary<'_>) -> String {
    let count = |count: usize| thousands(count as u64);
    let mut text = format!(
        "{} inputs{}: {} the same, {} different",
        count(summary.inputs),
        summary
            .tenant
            .map_or_else(String::new, |tenant| format!(" of tenant {tenant}")),
        count(summary.same),
        count(summary.different)
    );
    if summary.more {
        text.push_str("; there are more, --count takes them in");
    }
    text
}
