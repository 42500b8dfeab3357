//! `eddyline function list`: what is deployed, and as what.

use control::Landscape;
use protocol::name::ChannelPattern;
use protocol::spec::{FunctionSpec, Trigger, Written};
use serde::Serialize;
use service::clock;

use crate::args::function::List;
use crate::error::CliError;
use crate::nats;
use crate::output::Output;
use crate::table::{Table, share, when};

/// A deployed function, in short.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    name: &'a str,
    kind: &'static str,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<u64>,
    store: &'a str,
    digest: &'a str,
    /// The namespaces whose gate it is, the channels that it handles, or its times.
    handles: Vec<&'a str>,
    emits: &'a [ChannelPattern],
    paused: Option<&'a Written>,
    deployed: Option<&'a Written>,
    /// The version that is on trial, and its share of the channels in a thousand.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<Trial>,
}

#[derive(Debug, Serialize)]
struct Trial {
    version: u64,
    permille: u16,
}

impl<'a> Summary<'a> {
    pub(super) fn of(spec: &'a FunctionSpec, land: &'a Landscape) -> Self {
        let handles = match &spec.trigger {
            Trigger::Gate => {
                let named = land.namespaces_of(&spec.name);
                named.map(|spec| spec.name.as_str()).collect()
            }
            Trigger::Reactive(on) => on.iter().map(|on| on.as_str()).collect(),
            Trigger::Schedule(schedule) => vec![schedule.times()],
        };
        Self {
            name: spec.name.as_str(),
            kind: spec.trigger.kind(),
            version: spec.version,
            repeats: spec.repeats,
            store: spec.store.as_str(),
            digest: spec.digest.as_str(),
            handles,
            emits: &spec.emits,
            paused: spec.paused.as_ref(),
            deployed: spec.deployed.as_ref(),
            trial: spec.canary.as_ref().map(|canary| Trial {
                version: canary.candidate.version,
                permille: canary.permille,
            }),
        }
    }

    fn row(&self, now_us: u64) -> [String; 6] {
        [
            self.name.to_owned(),
            self.kind.to_owned(),
            version(self.version, self.repeats),
            match self.handles.is_empty() {
                true => "nothing yet".to_owned(),
                false => self.handles.join(", "),
            },
            match (self.paused, &self.trial) {
                (Some(paused), _) => format!("paused {}", when(Some(paused), now_us)),
                (None, Some(trial)) => {
                    let (version, share) = (trial.version, share(trial.permille));
                    format!("runs; version {version} on trial on {share}")
                }
                (None, None) => "runs".to_owned(),
            },
            when(self.deployed, now_us),
        ]
    }
}

/// A version, and what it repeats.
pub(super) fn version(version: u64, repeats: Option<u64>) -> String {
    match repeats {
        Some(repeats) => format!("{version} (as {repeats})"),
        None => version.to_string(),
    }
}

/// Lists it.
///
/// # Errors
/// NATS cannot be reached or read.
pub async fn run(args: &List, output: &Output) -> Result<(), CliError> {
    let deployer = nats::deployer(&args.nats).await?;
    let land = deployer.landscape().await?;
    let specs = land.functions.values().map(|entry| &entry.spec);
    let summaries: Vec<Summary<'_>> = specs.map(|spec| Summary::of(spec, &land)).collect();
    nats::tell_unreadable(&land, output);
    if output.is_json() {
        for summary in &summaries {
            output.result(summary, String::new)?;
        }
        return Ok(());
    }
    if summaries.is_empty() {
        output.note("no function is deployed; `eddyline function deploy PATH` deploys one");
        return Ok(());
    }
    let heads = ["NAME", "KIND", "VERSION", "HANDLES", "STATE", "DEPLOYED"];
    let (mut table, now_us) = (Table::new(&heads), clock::now_us());
    for summary in &summaries {
        table.row(summary.row(now_us));
    }
    output.text(&table.text())
}
