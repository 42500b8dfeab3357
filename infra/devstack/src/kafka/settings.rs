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

/// Copies of every topic where there are several brokers.
const COPIES: u32 = 3;
/// Copies that must have a record before it counts, where there are several.
const COPIES_IN_SYNC: u32 = 2;

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
    /// Its place among several brokers; `None`, the default, is one that is alone.
    pub member: Option<KafkaMember>,
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
            member: None,
            extra: Vec::new(),
        }
    }

    /// The file `server.properties`.
    pub(super) fn render(&self, broker: u16, controller: u16, data: &Path) -> String {
        let mut settings = match &self.member {
            Some(member) => member.network(broker),
            None => network(broker, controller),
        };
        settings.push(("log.dirs", escape(&data.to_string_lossy())));
        settings.extend(self.log());
        settings.extend(match self.member {
            Some(_) => copies(COPIES, COPIES_IN_SYNC),
            None => copies(1, 1),
        });
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

/// One broker's place among several. The first ones are controllers too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaMember {
    /// Number of this node, from 1.
    pub id: u32,
    /// The id that all of them share; 22 characters.
    pub cluster_id: String,
    /// Where the controllers are, `host:port`, by their numbers from 1.
    pub controllers: Vec<String>,
    /// Another door for clients: where it listens, and where clients are told to go,
    /// which is whatever leads there.
    pub side_door: Option<(String, String)>,
}

impl KafkaMember {
    fn network(&self, broker: u16) -> Vec<(&'static str, String)> {
        let own = format!("PLAINTEXT://127.0.0.1:{broker}");
        let (mut listeners, mut advertised) = (own.clone(), own);
        if let Some((listen, told)) = &self.side_door {
            listeners += &format!(",SIDE://{listen}");
            advertised += &format!(",SIDE://{told}");
        }
        let mut roles = "broker";
        if let Some(controller) = self.controllers.get(self.id as usize - 1) {
            roles = "broker,controller";
            listeners += &format!(",CONTROLLER://{controller}");
        }
        let voters = self.controllers.iter().zip(1..);
        let voters: Vec<String> = voters.map(|(at, id)| format!("{id}@{at}")).collect();
        vec![
            ("process.roles", roles.to_owned()),
            ("node.id", self.id.to_string()),
            ("controller.quorum.voters", voters.join(",")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            ("listeners", listeners),
            ("advertised.listeners", advertised),
            (
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,SIDE:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            ),
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
    ]
}

/// Copies of every topic, Kafka's own included, and how many of them must have what is
/// acknowledged.
fn copies(count: u32, in_sync: u32) -> Vec<(&'static str, String)> {
    let partitions = INTERNAL_PARTITIONS.to_string();
    let (count, in_sync) = (count.to_string(), in_sync.to_string());
    vec![
        ("default.replication.factor", count.clone()),
        ("min.insync.replicas", in_sync.clone()),
        ("offsets.topic.num.partitions", partitions.clone()),
        ("offsets.topic.replication.factor", count.clone()),
        ("transaction.state.log.num.partitions", partitions.clone()),
        ("transaction.state.log.replication.factor", count.clone()),
        ("transaction.state.log.min.isr", in_sync.clone()),
        ("share.coordinator.state.topic.num.partitions", partitions),
        ("share.coordinator.state.topic.replication.factor", count),
        ("share.coordinator.state.topic.min.isr", in_sync),
        // Load here is a few connections on a small machine.
        ("num.network.threads", "2".to_owned()),
        ("num.io.threads", "4".to_owned()),
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
