//! `eddyline function top`: how functions do, again and again. Owns nothing.

use std::time::Duration;

use control::{Load, Loads, Rates};
use protocol::name::{FunctionName, StoreName};
use tokio::time::sleep;

use crate::args::function::Top;
use crate::error::{CliError, EXIT_FAILED, EXIT_SETTINGS};
use crate::nats;
use crate::output::{Output, harmless, thousands};
use crate::table::{Table, share};

/// Least time between two looks: workers report at most four times a second.
const INTERVAL_MIN: Duration = Duration::from_millis(250);
/// Bytes in a MiB.
const MIB: f64 = 1_048_576.0;

/// Shows it, once or until an interruption.
///
/// # Errors
/// NATS cannot be reached or read; there is no such store or function.
pub async fn run(args: &Top, output: &Output) -> Result<(), CliError> {
    let function = args.name.as_deref().map(nats::name::<FunctionName>);
    let function = function.transpose()?;
    let store: StoreName = nats::name(&args.store)?;
    if args.interval < INTERVAL_MIN {
        let text = format!("--interval is under {INTERVAL_MIN:?}");
        return Err(CliError::new(EXIT_SETTINGS, text).hint("workers report no oftener than that"));
    }
    let deployer = nats::deployer(&args.nats).await?;
    let mut watcher = deployer.watcher(store);
    // A rate takes two looks.
    narrow(&mut watcher.look().await?, function.as_ref())?;
    loop {
        sleep(args.interval).await;
        let mut loads = watcher.look().await?;
        narrow(&mut loads, function.as_ref())?;
        match output.is_json() {
            true => output.result(&loads, String::new)?,
            false => output.screen(&text(&loads))?,
        }
        if args.once {
            return Ok(());
        }
    }
}

fn narrow(loads: &mut Loads, function: Option<&FunctionName>) -> Result<(), CliError> {
    let Some(function) = function else {
        return Ok(());
    };
    loads.functions.retain(|load| load.function == *function);
    if loads.functions.is_empty() {
        let text = format!("there is no function {function} in store {}", loads.store);
        return Err(
            CliError::new(EXIT_FAILED, text).hint("`eddyline function list` lists what there is")
        );
    }
    Ok(())
}

const HEADS: [&str; 16] = [
    "FUNCTION", "VERSION", "LANES", "EVENTS/S", "LAG", "AGE", "ACK", "DROP", "REJECT", "RETRY",
    "TRAP", "P50", "P99", "CPU", "MEMORY", "STATE",
];

fn text(loads: &Loads) -> String {
    let mut table = Table::new(&HEADS);
    for load in &loads.functions {
        table.row(row(load));
    }
    let time = std::time::UNIX_EPOCH + Duration::from_micros(loads.at_us);
    let mut text = format!(
        "{}  store {}, {} workers\n\n{}",
        humantime::format_rfc3339_seconds(time),
        loads.store,
        loads.workers,
        table.text()
    );
    let failed = loads.functions.iter().flat_map(|load| {
        let trial = load.trial.iter();
        trial.flat_map(|trial| &trial.failed).map(|(worker, why)| {
            let function = &load.function;
            format!(
                "\n{function}: the version on trial fails on {worker}: {}",
                harmless(why)
            )
        })
    });
    text.extend(failed);
    let broken = loads.functions.iter().flat_map(|load| {
        let each = load.broken.iter();
        each.map(|(worker, why)| format!("\n{}: {worker}: {}", load.function, harmless(why)))
    });
    text.extend(broken);
    if loads.uncounted > 0 {
        let count = loads.uncounted;
        text.push_str(&format!(
            "\n{count} functions are not counted: a worker's report has no room for more"
        ));
    }
    text
}

fn row(load: &Load) -> [String; 16] {
    let rate = |of: fn(&Rates) -> f64| {
        load.rates
            .as_ref()
            .map_or("-".to_owned(), |r| number(of(r)))
    };
    let quantile = |of: fn(&Rates) -> Option<f64>| {
        let ms = load.rates.as_ref().and_then(of);
        ms.map_or("-".to_owned(), time)
    };
    let cpu = load.rates.as_ref();
    [
        load.function.to_string(),
        load.version.to_string(),
        format!("{}/{}", load.running, load.lanes),
        rate(|rates| rates.events_per_s),
        thousands(load.lag_events),
        time(load.lag_ms as f64),
        rate(|rates| rates.ack_per_s),
        rate(|rates| rates.drop_per_s),
        rate(|rates| rates.reject_per_s),
        rate(|rates| rates.retry_per_s),
        rate(|rates| rates.fault_per_s),
        quantile(|rates| rates.p50_ms),
        quantile(|rates| rates.p99_ms),
        cpu.map_or("-".to_owned(), |rates| {
            format!("{:.1} %", rates.cpu * 100.0)
        }),
        format!("{:.1} MiB", load.memory_bytes as f64 / MIB),
        state(load),
    ]
}

fn state(load: &Load) -> String {
    let halted = load
        .by_lane
        .iter()
        .filter(|lane| lane.lane.halted.is_some());
    let (halted, free) = (
        halted.count(),
        usize::from(load.lanes) - load.by_lane.len().min(load.lanes.into()),
    );
    let unread = load
        .by_lane
        .iter()
        .filter(|lane| lane.lane.unread.is_some());
    let unread = unread.count();
    let trial = load.trial.as_ref();
    let trial = trial.map(|trial| {
        let (version, tried) = (trial.version, thousands(trial.candidate.settled()));
        format!(
            "version {version} on trial on {}, {tried} events",
            share(trial.permille)
        )
    });
    let states = [
        (trial.is_some(), trial.unwrap_or_default()),
        (load.paused, "paused".to_owned()),
        (halted > 0, format!("{halted} lanes halted")),
        (unread > 0, format!("{unread} lanes cannot be read")),
        (
            load.parked > 0,
            format!("{} channels wait", thousands(load.parked)),
        ),
        (
            free > 0 && !load.paused,
            format!("{free} lanes have no worker"),
        ),
        (
            !load.broken.is_empty(),
            "does not run everywhere".to_owned(),
        ),
    ];
    let said: Vec<String> = states
        .into_iter()
        .filter_map(|(is, text)| is.then_some(text))
        .collect();
    match said.is_empty() {
        true => "runs".to_owned(),
        false => said.join(", "),
    }
}

/// A rate, as exact as its size allows.
fn number(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate => thousands(rate.round() as u64),
    }
}

/// A time in milliseconds, in one unit.
fn time(ms: f64) -> String {
    match ms {
        0.0 => "0".to_owned(),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 120_000.0 => format!("{:.1} s", ms / 1_000.0),
        ms => format!("{:.0} min", ms / 60_000.0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use control::{LaneLoad, TrialLoad};
    use protocol::lane::Lane;
    use protocol::report::LaneReport;
    use protocol::work::Work;

    use super::*;

    fn load() -> Load {
        let lane = |lane| LaneLoad {
            worker: "a".into(),
            lane: LaneReport::new(Lane(lane), 3),
        };
        Load {
            function: FunctionName::parse("gate").unwrap(),
            version: 7,
            trial: None,
            paused: false,
            lanes: 2,
            running: 2,
            lag_events: 1_234,
            lag_ms: 4_600,
            parked: 0,
            memory_bytes: 3 << 20,
            rates: None,
            total: Work::default(),
            by_lane: vec![lane(0), lane(1)],
            broken: BTreeMap::new(),
        }
    }

    #[test]
    fn a_row_says_how_a_function_does() {
        let mut load = load();
        let told = row(&load).join("|");
        assert_eq!(
            told,
            "gate|7|2/2|-|1,234|4.6 s|-|-|-|-|-|-|-|-|3.0 MiB|runs"
        );
        load.rates = Some(Rates {
            events_per_s: 1_500.4,
            ack_per_s: 9.96,
            cpu: 0.125,
            p50_ms: Some(4.25),
            p99_ms: Some(35.0),
            ..Rates::default()
        });
        let told = row(&load)[3..14].join("|");
        assert_eq!(told, "1,500|1,234|4.6 s|10.0|0|0|0|0|4.2 ms|35 ms|12.5 %");
    }

    #[test]
    fn what_is_not_well_is_said() {
        let mut load = load();
        load.by_lane[1].lane.halted = Some("no schema".into());
        load.by_lane[0].lane.unread = Some("maximum consumers limit reached".into());
        load.parked = 3;
        let said = "1 lanes halted, 1 lanes cannot be read, 3 channels wait";
        assert_eq!(state(&load), said);
        load = Load {
            paused: true,
            by_lane: Vec::new(),
            ..load
        };
        load.parked = 0;
        assert_eq!(state(&load), "paused");
        load.paused = false;
        assert_eq!(state(&load), "2 lanes have no worker");
        load.lanes = 0;
        load.trial = Some(TrialLoad {
            version: 8,
            permille: 50,
            candidate: Work {
                ack: 1_200,
                ..Work::default()
            },
            other: Work::default(),
            failed: BTreeMap::new(),
        });
        assert_eq!(state(&load), "version 8 on trial on 5 %, 1,200 events");
    }
}
