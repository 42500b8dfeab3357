//! Benches: one table, each figure beside a bare yardstick that was measured in the
//! same run, round by round in turn.
//!
//! - [`table`]: rows and how they are printed; [`options`]: what is asked for
//! - [`world`]: a deployment to measure, filled streams, processor time and memory
//! - [`bare`], [`kafka`]: the yardsticks, straight on NATS and Kafka
//! - [`pace`], [`latency`]: a steady pace, and what one waits for at it
//! - [`crowd`]: many subscribers that read and nothing else
//! - [`players`]: many who say something and hear one another
//! - [`centrifugo`]: what others run, if it is here
//! - [`publish`], [`fanout`], [`broadcast`], [`ephemeral`], [`gate`], [`guest`], [`language`], [`lane`], [`abuse`], [`fleet`], [`mirror`], [`idle`], [`resume`]: the rows

mod abuse;
mod bare;
mod broadcast;
mod centrifugo;
mod crowd;
mod ephemeral;
mod fanout;
mod fleet;
mod gate;
mod guest;
mod idle;
mod kafka;
mod lane;
mod language;
mod latency;
mod mirror;
mod options;
mod pace;
mod players;
mod publish;
mod resume;
mod table;
mod world;

use std::io::Write;
use std::process::ExitCode;

use options::Options;
use table::Row;

/// Every bench by its name, in the order of the table.
const BENCHES: [&str; 13] = [
    "publish",
    "gate",
    "fanout",
    "broadcast",
    "ephemeral",
    "guest",
    "language",
    "lane",
    "abuse",
    "fleet",
    "mirror",
    "idle",
    "resume",
];

async fn run(name: &str, options: &Options) -> anyhow::Result<Vec<Row>> {
    match name {
        "publish" => publish::run(options).await,
        "gate" => gate::run(options).await,
        "fanout" => fanout::run(options).await,
        "broadcast" => broadcast::run(options).await,
        "ephemeral" => ephemeral::run(options).await,
        "guest" => guest::run(options).await,
        "language" => language::run(options).await,
        "lane" => lane::run(options).await,
        "abuse" => abuse::run(options).await,
        "fleet" => fleet::run(options).await,
        "mirror" => mirror::run(options).await,
        "idle" => idle::run(options).await,
        _ => resume::run(options).await,
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1), &BENCHES) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{}", options::USAGE);
            return ExitCode::from(64);
        }
    };
    let (mut rows, mut failed) = (Vec::new(), false);
    for name in BENCHES.iter().filter(|name| options.wants(name)) {
        eprintln!("{name} ..");
        match run(name, &options).await {
            Ok(found) => rows.extend(found),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                failed = true;
            }
        }
    }
    let text = if options.json {
        table::json(&rows)
    } else {
        table::markdown(&rows)
    };
    // Nothing is left to do for a reader that is gone.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(u8::from(failed))
}
