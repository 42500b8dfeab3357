//! `eddyline function logs`: what functions have written, and write. Owns nothing.

use std::time::{Duration, UNIX_EPOCH};

use protocol::log::LogLine;
use protocol::name::{FunctionName, StoreName};

use crate::args::function::ShowLogs;
use crate::error::{CliError, EXIT_SETTINGS};
use crate::moment::moment;
use crate::nats;
use crate::output::{Output, harmless};

/// Prints the lines, until the end or an interruption.
///
/// # Errors
/// NATS cannot be reached or read.
pub async fn run(args: &ShowLogs, output: &Output) -> Result<(), CliError> {
    let function = args.name.as_deref().map(nats::name::<FunctionName>);
    let function = function.transpose()?;
    let store: StoreName = nats::name(&args.store)?;
    let since = moment(&args.since).ok_or_else(|| {
        let text = format!("--since {:?} is no time", args.since);
        CliError::new(EXIT_SETTINGS, text)
            .hint("times are 2026-07-01T12:00:00Z, or 2h for two hours ago")
    })?;
    let deployer = nats::deployer(&args.nats).await?;
    let logs = deployer.logs(&store, function.as_ref(), since, args.follow);
    let mut logs = logs.await?;
    let mut unreadable = 0;
    while let Some(line) = logs.next().await? {
        if line.level >= args.level.0 {
            output.result(&line, || text(&line, function.is_none()))?;
        }
        tell_unreadable(logs.unreadable(), &mut unreadable, output);
    }
    tell_unreadable(logs.unreadable(), &mut unreadable, output);
    Ok(())
}

fn tell_unreadable(now: u64, before: &mut u64, output: &Output) {
    if now > *before {
        let count = now - *before;
        output.note(&format!(
            "note: {count} messages are left out, which this program cannot read"
        ));
        *before = now;
    }
}

fn text(line: &LogLine, named: bool) -> String {
    let time = UNIX_EPOCH + Duration::from_micros(line.time_us);
    let time = humantime::format_rfc3339_millis(time);
    let name = match named {
        true => format!("{}  ", line.function),
        false => String::new(),
    };
    let event = line
        .event
        .as_deref()
        .map_or(String::new(), |event| format!("  [{}]", harmless(event)));
    let (level, text) = (line.level.as_str(), harmless(&line.text));
    format!("{time}  {level:5}  {name}{text}{event}")
}
