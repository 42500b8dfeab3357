//! `eddyline presence`: prints who is on a channel, and who comes and goes.

use client::{Delivery, Named, Presence, PresenceChange, Start};
use protocol::frame::{Join, Leave, Member};
use serde::Serialize;
use service::clock;

use super::publish::connect;
use crate::args;
use crate::error::{CliError, EXIT_FAILED};
use crate::output::{Output, harmless};
use crate::table::{Table, ago};

/// One line of `--json --watch`, as the frame has it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Told<'a> {
    Presence(&'a Presence),
    Join(&'a Join),
    Leave(&'a Leave),
}

/// Looks once, or watches until it is interrupted.
///
/// # Errors
/// The edge node cannot be reached or refuses.
pub async fn run(args: args::Presence, output: &Output) -> Result<(), CliError> {
    let client = connect(&args.edge).await?;
    if !args.watch {
        let presence = client.presence(&args.channel, !args.count).await?;
        output.result(&presence, || text(&presence))?;
        client.close().await;
        return Ok(());
    }
    let now = Start::Named(Named::Now);
    let mut subscription = client.subscribe_watching(&args.channel, now).await?;
    while let Some(delivery) = subscription.next().await {
        if let Delivery::Presence(change) = delivery? {
            show(&change, output)?;
        }
    }
    Err(CliError::new(EXIT_FAILED, "the subscription ended"))
}

fn show(change: &PresenceChange, output: &Output) -> Result<(), CliError> {
    match change {
        PresenceChange::All(all) => output.result(&Told::Presence(all), || text(all)),
        PresenceChange::Join(join) => output.result(&Told::Join(join), || {
            format!("+ {} ({})", harmless(&join.user), join.client)
        }),
        PresenceChange::Leave(leave) => output.result(&Told::Leave(leave), || {
            format!("- {} ({})", harmless(&leave.user), leave.client)
        }),
    }
}

fn text(presence: &Presence) -> String {
    let channel = &presence.channel;
    if presence.ended {
        return format!("{channel} does not tell any more who is on it");
    }
    let count = match presence.count {
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    };
    match &presence.members {
        Some(members) if !members.is_empty() => {
            format!("{channel}: {count}\n{}", table(members))
        }
        _ => format!("{channel}: {count}"),
    }
}

fn table(members: &[Member]) -> String {
    let (mut table, now_us) = (
        Table::new(&["USER", "CLIENT", "SESSION", "SINCE"]),
        clock::now_us(),
    );
    for member in members {
        table.row([
            harmless(&member.user),
            member.client.clone(),
            harmless(&member.session),
            ago(member.since, now_us),
        ]);
    }
    table.text()
}
