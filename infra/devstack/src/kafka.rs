//! An Apache Kafka broker (KRaft), alone or one of several. [`KafkaServer`] owns the
//! process, its ports and its folder; which topics are in it is the caller's business.

mod cluster;
mod settings;
#[cfg(test)]
mod tests;
mod wire;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::Result;
use crate::home::Home;
use crate::port::Lease;
use crate::process::ServerProcess;
use crate::server::{Program, Server};
use crate::tool;

pub use cluster::{KafkaCluster, KafkaClusterPlan};
pub use settings::{KafkaMember, KafkaOptions};
pub(crate) use wire::api_versions;

/// What the broker logs when it serves requests and is no longer fenced.
const STARTED_LINE: &str = "Kafka Server started";

/// A running or stopped Kafka.
pub type KafkaServer = Server<Kafka>;

/// What is particular to Kafka: its settings and its ports.
#[derive(Debug)]
pub struct Kafka {
    options: KafkaOptions,
    broker: Lease,
    controller: Lease,
}

impl KafkaServer {
    /// Starts a server (after formatting an empty data folder) and waits until
    /// it serves. Blocks for several seconds.
    ///
    /// # Errors
    /// The folder is in use, Java does not start, or the server is not ready
    /// within 90 s; the last two quote its log.
    pub fn start(options: KafkaOptions) -> Result<KafkaServer> {
        let data = options.data.clone();
        let program = Kafka {
            broker: Lease::of(options.port)?,
            controller: Lease::free()?,
            options,
        };
        Server::launched(program, data.as_deref())
    }

    /// `127.0.0.1:port`, the same for the life of this value.
    pub fn bootstrap(&self) -> String {
        self.program.broker.address()
    }
}

impl Kafka {
    fn cluster_id(&self) -> String {
        let member = self.options.member.as_ref();
        member.map_or_else(settings::cluster_id, |member| member.cluster_id.clone())
    }

    /// Java itself, without a shell around it that could outlive it.
    fn java(&self, home: &Home, logging: &Path, class: &str) -> Command {
        let runtime = &self.options.runtime;
        let mut class_path = PathBuf::from(&runtime.jars).into_os_string();
        class_path.push("/*");
        let mut logging_option = std::ffi::OsString::from("-Dlog4j2.configurationFile=");
        logging_option.push(logging);
        let mut command = Command::new(&runtime.java);
        command
            .arg(format!("-Xmx{}m", self.options.heap_mb))
            // Kafka is short-lived here: quick compiled code beats fast code.
            .args(["-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"])
            .arg(logging_option)
            .arg("-cp")
            .arg(class_path)
            .arg(class)
            .current_dir(home.path())
            .stdin(Stdio::null());
        command
    }
}

impl Program for Kafka {
    const NAME: &'static str = "kafka";
    /// A start takes about 3 s of one core; a busy machine needs several times that.
    const READY_DEADLINE: Duration = Duration::from_secs(90);
    /// An orderly stop takes about 1 s.
    const STOP_DEADLINE: Duration = Duration::from_secs(30);

    fn command(&self, home: &Home) -> Result<Command> {
        let data = home.path().join("data");
        let (broker, controller) = (self.broker.port(), self.controller.port());
        let text = self.options.render(broker, controller, &data);
        let properties = home.write("server.properties", &text)?;
        let logging = home.write("log4j2.properties", settings::LOG_SETTINGS)?;
        if !data.join("meta.properties").is_file() {
            let mut format = self.java(home, &logging, "kafka.tools.StorageTool");
            format
                .args(["format", "-t", &self.cluster_id(), "-c"])
                .arg(&properties);
            tool::run(format, |_| {})?;
        }
        let mut command = self.java(home, &logging, "kafka.Kafka");
        command.arg(&properties);
        Ok(command)
    }

    fn probe(&self, process: &ServerProcess) -> Result<(), String> {
        if !process.log_text().contains(STARTED_LINE) {
            return Err("its log does not say that it has started".to_owned());
        }
        api_versions(&self.broker.address()).map_err(|error| error.to_string())
    }

    fn port_taken(log: &str) -> bool {
        log.contains("Address already in use") || log.contains("BindException")
    }

    /// The controller's port is always ours to choose.
    fn move_ports(&mut self) -> Result<bool> {
        self.broker = Lease::of(self.options.port)?;
        self.controller = Lease::free()?;
        Ok(true)
    }

    fn cause(process: &ServerProcess) -> String {
        errors_first(&process.log_text()).unwrap_or_else(|| process.log_tail())
    }
}

/// Lines of a failed start that name the cause; the end of the log is often a
/// long stack trace of what followed from it.
fn errors_first(log: &str) -> Option<String> {
    const LINES_MAX: usize = 10;
    let telling = |line: &&str| line.contains("ERROR") || line.contains("Exception");
    let lines: Vec<&str> = log.lines().filter(telling).take(LINES_MAX).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
