//! `eddyline function show`: one function, all that is known of it.

use std::time::{Duration, UNIX_EPOCH};

use control::Landscape;
use protocol::name::FunctionName;
use protocol::spec::{FunctionSpec, Judgement, Missed, Schedule, Trigger};
use serde::Serialize;
use service::clock;

use super::list::version;
use super::trial;
use crate::args::function::Named;
use crate::error::{CliError, EXIT_FAILED};
use crate::nats;
use crate::output::{Output, harmless};
use crate::table::{Table, when};

/// How much of a digest tells two modules apart for people.
const DIGEST_SHOWN: usize = 12;

#[derive(Serialize)]
struct Shown<'a> {
    spec: &'a FunctionSpec,
    /// Whether it is deployed now, not a removed one that is remembered.
    is_deployed: bool,
    namespaces: Vec<&'a str>,
    versions: Vec<&'a FunctionSpec>,
    /// How its last trial ended.
    judged: Option<&'a Judgement>,
}

/// Shows it.
///
/// # Errors
/// NATS cannot be reached or read; there is no such function.
pub async fn run(args: &Named, output: &Output) -> Result<(), CliError> {
    let name: FunctionName = nats::name(&args.name)?;
    let deployer = nats::deployer(&args.nats).await?;
    let land = deployer.landscape().await?;
    land.readable(name.as_str())?;
    let Some(spec) = land.last(&name) else {
        return Err(
            CliError::new(EXIT_FAILED, format!("there is no function {name}"))
                .hint("`eddyline function list` lists them"),
        );
    };
    let kept = land.versions.get(&name).into_iter();
    let shown = Shown {
        spec,
        is_deployed: land.functions.contains_key(&name),
        namespaces: land
            .namespaces_of(&name)
            .map(|spec| spec.name.as_str())
            .collect(),
        versions: kept.flat_map(|kept| kept.values()).collect(),
        judged: land.judged.get(&name),
    };
    output.result(&shown, || text(&shown, &land))
}

fn text(shown: &Shown<'_>, land: &Landscape) -> String {
    let (spec, now_us) = (shown.spec, clock::now_us());
    let mut table = Table::new(&[spec.name.as_str(), ""]);
    let mut row = |name: &str, value: String| table.row([format!("  {name}"), value]);
    row("state", state(shown, now_us));
    if let Some(canary) = &spec.canary {
        row("on trial", trial::under_way(canary, now_us));
    }
    if let Some(judgement) = shown.judged {
        row("last trial", trial::ended(judgement, now_us));
    }
    match &spec.trigger {
        Trigger::Gate => row("gate of", list(&shown.namespaces)),
        Trigger::Reactive(on) => {
            let on: Vec<&str> = on.iter().map(|on| on.as_str()).collect();
            row("handles", list(&on));
        }
        Trigger::Schedule(schedule) => {
            row("called", called(schedule, now_us));
            row(
                "ticks go to",
                format!("{} of {}", schedule.channel(), schedule.tenant()),
            );
        }
    }
    if !spec.headers.is_empty() {
        row("with headers", spec.headers.to_string());
    }
    if !spec.emits.is_empty() {
        let emits: Vec<&str> = spec.emits.iter().map(|emits| emits.as_str()).collect();
        row("may emit to", list(&emits));
    }
    row("store", spec.store.to_string());
    row("digest", spec.digest.to_string());
    for (name, value) in &spec.config {
        row(&format!("config {name}"), harmless(value));
    }
    for stage in &spec.then {
        row(&format!("then {}", stage.name), stage.digest.to_string());
        for (name, value) in &stage.config {
            row(&format!("config {}.{name}", stage.name), harmless(value));
        }
    }
    let limits = serde_json::to_value(&spec.limits).expect("limits are numbers");
    for (name, value) in limits.as_object().into_iter().flatten() {
        row(&format!("limit {name}"), value.to_string());
    }
    if spec.linger_ms > 0 {
        row("linger_ms", spec.linger_ms.to_string());
    }
    row("begins at", format!("sequence {}", spec.start_seq));
    format!("{}\n\n{}", table.text(), versions(shown, land, now_us))
}

/// At which times, and when next by this machine's clock.
fn called(schedule: &Schedule, now_us: u64) -> String {
    let is_cron = schedule.times().contains(' ');
    let times = if is_cron { "cron" } else { "every" };
    let missed = match schedule.missed() {
        Missed::Skip => "none that was missed",
        Missed::Latest => "the latest that was missed",
        Missed::All => "all that were missed",
    };
    let now = Duration::from_micros(now_us).as_secs();
    let next = schedule.after(now).map(|next| {
        let next = UNIX_EPOCH + Duration::from_secs(next);
        format!(", next {}", humantime::format_rfc3339_seconds(next))
    });
    let next = next.unwrap_or_default();
    format!("{times} {}{next}; {missed}", schedule.times())
}

fn state(shown: &Shown<'_>, now_us: u64) -> String {
    let spec = shown.spec;
    let version = version(spec.version, spec.repeats);
    match (shown.is_deployed, &spec.paused) {
        (false, _) => format!("removed; it was version {version}"),
        (true, Some(paused)) => {
            let when = when(Some(paused), now_us);
            format!("version {version}, paused {when}")
        }
        (true, None) => format!("version {version} runs"),
    }
}

fn list(names: &[&str]) -> String {
    match names.is_empty() {
        true => "nothing yet".to_owned(),
        false => names.join(", "),
    }
}

/// The versions, the newest first, as somebody who wants to go back looks for one.
fn versions(shown: &Shown<'_>, land: &Landscape, now_us: u64) -> String {
    let mut table = Table::new(&["VERSION", "DIGEST", "DEPLOYED", ""]);
    if let Some(canary) = &shown.spec.canary {
        let tried = &canary.candidate;
        table.row([
            version(tried.version, tried.repeats),
            tried.digest.as_str()[..DIGEST_SHOWN].to_owned(),
            when(tried.deployed.as_ref(), now_us),
            "on trial".to_owned(),
        ]);
    }
    let now = land.functions.get(&shown.spec.name);
    let now = now.map(|entry| (&entry.spec, "deployed"));
    let kept = shown.versions.iter().rev().map(|spec| (*spec, ""));
    for (spec, mark) in now.into_iter().chain(kept) {
        table.row([
            version(spec.version, spec.repeats),
            spec.digest.as_str()[..DIGEST_SHOWN].to_owned(),
            when(spec.deployed.as_ref(), now_us),
            mark.to_owned(),
        ]);
    }
    table.text()
}
