//! What can be set about Kafka, and the configuration files made of it. Owns no
//! state; starts nothing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::distr::Alphanumeric;

use crate::fetch::KafkaRuntime;

/// Heap that a single node gets; with it Kafka takes about 290 MB.
const HEAP_MB: u32 = 384;
/// Largest record batch: an event of 1 MiB with its headers, and room for the
/// progress record in the same batch.
const MESSAGE_BYTES_MAX: u32 = 2 * 1024 * 1024;
/// Partitions of Kafka's own topics; its defaults (50) slow every start.
const INTERNAL_PARTITIONS: u32 = 4;

/// Only warnings and the one line that tells the start are logged.
pub(super) const LOG_SETTINGS: &str = "\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
logger.start.name = kafka.server.KafkaRaftServer
logger.start.level = INFO
";

/// How to run a single-node Kafka.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Java and Kafka's jars, as found by [`crate::fetch::kafka`].
    pub runtime: KafkaRuntime,
    /// Folder for data and log; `None` makes one that is deleted on drop.
    pub data: Option<PathBuf>,
    /// Broker port; 0, the default, takes a free one.
    pub port: u16,
    /// Java heap in MiB; default 384.
    pub heap_mb: u32,
    /// Largest record batch in bytes; default 2 MiB.
    pub message_bytes_max: u32,
    /// Age in ms at which records are deleted; `None`, the default, keeps them.
    pub retention_ms: Option<u64>,
    /// Further broker settings; they win over ours.
    pub extra: Vec<(String, String)>,
}

impl KafkaOptions {
    /// Defaults for the given Java and jars.
    pub fn new(runtime: KafkaRuntime) -> KafkaOptions {
        KafkaOptions {
            runtime,
            data: None,
            port: 0,
            heap_mb: HEAP_MB,
            message_bytes_max: MESSAGE_BYTES_MAX,
            retention_ms: None,
            extra: Vec::new(),
        }
    }

    /// The file `server.properties`.
    pub(super) fn render(&self, broker: u16, controller: u16, data: &Path) -> String {
        let mut settings = network(broker, controller);
        settings.push(("log.dirs", escape(&data.to_string_lossy())));
        settings.extend(self.log());
        settings.extend(single_node());
        let own = settings.iter().map(|(key, value)| (*key, value.as_str()));
        // The last of two equal keys wins in a properties file.
        let extra = self.extra.iter().map(|(key, value)| (&**key, &**value));
        own.chain(extra)
            .fold(String::new(), |mut text, (key, value)| {
                writeln!(text, "{key}={value}").expect("writing to a string cannot fail");
                text
            })
    }

    fn log(&self) -> Vec<(&'static str, String)> {
        let retention = self
            .retention_ms
            .map_or("-1".to_owned(), |ms| ms.to_string());
        vec![
            ("auto.create.topics.enable", "false".to_owned()),
            ("log.retention.ms", retention),
            ("message.max.bytes", self.message_bytes_max.to_string()),
            (
                "replica.fetch.max.bytes",
                self.message_bytes_max.to_string(),
            ),
            // The default takes a third of this heap for nothing.
            ("log.cleaner.dedupe.buffer.size", "16777216".to_owned()),
        ]
    }
}

fn network(broker: u16, controller: u16) -> Vec<(&'static str, String)> {
    let listeners = format!("PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}");
    vec![
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        (
            "controller.quorum.voters",
            format!("1@127.0.0.1:{controller}"),
        ),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("listeners", listeners),
        (
            "advertised.listeners",
            format!("PLAINTEXT://127.0.0.1:{broker}"),
        ),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        ),
        // Load here is a few connections on a small machine.
        ("num.network.threads", "2".to_owned()),
        ("num.io.threads", "4".to_owned()),
    ]
}

/// Kafka's own topics have one copy where there is one node.
fn single_node() -> Vec<(&'static str, String)> {
    let partitions = INTERNAL_PARTITIONS.to_string();
    let one = || "1".to_owned();
    vec![
        ("default.replication.factor", one()),
        ("min.insync.replicas", one()),
        ("offsets.topic.num.partitions", partitions.clone()),
        ("offsets.topic.replication.factor", one()),
        ("transaction.state.log.num.partitions", partitions.clone()),
        ("transaction.state.log.replication.factor", one()),
        ("transaction.state.log.min.isr", one()),
        ("share.coordinator.state.topic.num.partitions", partitions),
        ("share.coordinator.state.topic.replication.factor", one()),
        ("share.coordinator.state.topic.min.isr", one()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        // After a kill the node waits this long for its former self to time
        // out (9 s by default); not shorter, as a stall would then fence it.
        ("broker.session.timeout.ms", "3000".to_owned()),
        ("broker.heartbeat.interval.ms", "500".to_owned()),
    ]
}

/// A random cluster id: 16 bytes in URL-safe Base64. The last of 22 characters
/// carries two bits only, and `A` is all zero.
pub(super) fn cluster_id() -> String {
    let mut id: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(21)
        .map(char::from)
        .collect();
    id.push('A');
    id
}

/// A value of a properties file; only the backslash is special in the middle.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
}
