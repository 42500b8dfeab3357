//! What can be set about a nats-server, and the configuration file made of it.
//! Owns no state; starts nothing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An event's data may be 1 MiB; headers need room beside it.
pub const PAYLOAD_BYTES_MAX: u32 = 1024 * 1024 + HEADER_SLACK_BYTES;
/// Room for headers in `PAYLOAD_BYTES_MAX`; NATS counts both together.
const HEADER_SLACK_BYTES: u32 = 64 * 1024;

/// How to run a nats-server.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// The program, as found by [`crate::fetch::nats`].
    pub binary: PathBuf,
    /// Folder for data and log; `None` makes one that is deleted on drop.
    pub data: Option<PathBuf>,
    /// Folder for JetStream alone, on a disk of its own; `None`, the default, keeps it
    /// with the rest.
    pub store: Option<PathBuf>,
    /// Whether JetStream syncs to disk before it acknowledges; default true.
    /// NATS itself would sync every two minutes.
    pub sync_always: bool,
    /// Client port; 0, the default, takes a free one.
    pub port: u16,
    /// Monitoring port; 0, the default, takes a free one.
    pub monitor_port: u16,
    /// Largest message, headers included; default 1 MiB and 64 KiB.
    pub payload_bytes_max: u32,
    /// Users; with none, the default, everybody may do everything.
    pub users: Vec<NatsUser>,
    /// Its place in a cluster; `None`, the default, is a server of its own.
    pub member: Option<NatsMember>,
    /// Configuration appended as it is, in the syntax of nats-server.
    pub extra: String,
}

impl NatsOptions {
    /// Defaults for the given program.
    pub fn new(binary: impl Into<PathBuf>) -> NatsOptions {
        NatsOptions {
            binary: binary.into(),
            data: None,
            store: None,
            sync_always: true,
            port: 0,
            monitor_port: 0,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            users: Vec::new(),
            member: None,
            extra: String::new(),
        }
    }

    /// The configuration file.
    pub(super) fn render(&self, port: u16, monitor_port: u16, store: &Path) -> String {
        let sync = if self.sync_always { "always" } else { "2m" };
        let store = self.store.as_deref().unwrap_or(store);
        let store = quote(&store.to_string_lossy());
        let limit = self.payload_bytes_max;
        let mut text = format!(
            "listen: \"127.0.0.1:{port}\"\n\
             http: \"127.0.0.1:{monitor_port}\"\n\
             max_payload: {limit}\n\
             jetstream {{\n  store_dir: {store}\n  sync_interval: {sync}\n}}\n"
        );
        if !self.users.is_empty() {
            text.push_str("authorization {\n  users: [\n");
            for user in &self.users {
                user.render(&mut text);
            }
            text.push_str("  ]\n}\n");
        }
        if let Some(member) = &self.member {
            member.render(&mut text);
        }
        text.push_str(&self.extra);
        text
    }
}

/// One server's place in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsMember {
    /// Name of the cluster, the same for all.
    pub cluster: String,
    /// Name of this server, its own.
    pub name: String,
    /// Where it takes routes, `host:port`.
    pub listen: String,
    /// What it tells others to dial; an address where nobody listens, so that routes
    /// are those alone that are named here, whatever stands in between.
    pub advertise: String,
    /// Where it reaches others, `host:port` each.
    pub routes: Vec<String>,
}

impl NatsMember {
    fn render(&self, text: &mut String) {
        let routes: Vec<String> = self
            .routes
            .iter()
            .map(|address| format!("nats-route://{address}"))
            .collect();
        writeln!(
            text,
            "server_name: {}\ncluster {{\n  name: {}\n  listen: {}\n  advertise: {}\n  \
             no_advertise: true\n  routes: {}\n}}",
            quote(&self.name),
            quote(&self.cluster),
            quote(&self.listen),
            quote(&self.advertise),
            list(&routes)
        )
        .expect("writing to a string cannot fail");
    }
}

/// A user and the subjects that it may use. An empty `allow` list allows
/// everything that is not denied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NatsUser {
    /// User name.
    pub name: String,
    /// Password, in the clear: these are servers for development.
    pub password: String,
    /// Subjects it may publish to.
    pub publish_allow: Vec<String>,
    /// Subjects it may not publish to.
    pub publish_deny: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe_allow: Vec<String>,
    /// Subjects it may not subscribe to.
    pub subscribe_deny: Vec<String>,
    /// Whether it may answer what it is asked, once and within this time, wherever the
    /// answer goes.
    pub answer_within: Option<Duration>,
}

impl NatsUser {
    fn render(&self, text: &mut String) {
        let (name, password) = (quote(&self.name), quote(&self.password));
        let publish = permission(&self.publish_allow, &self.publish_deny);
        let subscribe = permission(&self.subscribe_allow, &self.subscribe_deny);
        let answer = self.answer_within.map_or(String::new(), |within| {
            let ms = within.as_millis();
            format!(", allow_responses: {{ max: 1, expires: \"{ms}ms\" }}")
        });
        writeln!(
            text,
            "    {{ user: {name}, password: {password}, \
             permissions: {{ publish: {publish}, subscribe: {subscribe}{answer} }} }}"
        )
        .expect("writing to a string cannot fail");
    }
}

fn permission(allow: &[String], deny: &[String]) -> String {
    let everything = [">".to_owned()];
    let allow = if allow.is_empty() { &everything } else { allow };
    format!("{{ allow: {}, deny: {} }}", list(allow), list(deny))
}

fn list(subjects: &[String]) -> String {
    let quoted: Vec<String> = subjects.iter().map(|subject| quote(subject)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A string of nats-server's configuration language.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
