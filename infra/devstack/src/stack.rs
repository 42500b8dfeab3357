//! Both servers together, or NATS alone, each either our own or one that already runs.
//! Owns the servers that it starts; those it was given are never stopped.

use std::path::PathBuf;

use crate::config::Config;
use crate::error::{DevstackError, Result};
use crate::fetch::{self, OnProgress, Progress};
use crate::kafka::{self, Kafka, KafkaOptions, KafkaServer};
use crate::nats::{self, Nats, NatsOptions, NatsServer, NatsUser};
use crate::prerequisites::{self, Scope};
use crate::server::Program as _;

/// Port of NATS in an address that names none.
const NATS_PORT: u16 = 4222;

/// How to start the servers that do not run yet.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// Folder under which `nats/` and `kafka/` are kept; `None` keeps nothing.
    pub data: Option<PathBuf>,
    /// Client port of NATS; 0 takes a free one.
    pub nats_port: u16,
    /// Users of NATS, the first of whom may do everything; with none, everybody may.
    pub nats_users: Vec<NatsUser>,
    /// Broker port of Kafka; 0 takes a free one.
    pub kafka_port: u16,
    /// NATS alone: nothing that Kafka needs is looked for, fetched or started.
    pub without_kafka: bool,
}

/// The servers, ready.
#[derive(Debug)]
pub struct Stack {
    nats_url: String,
    kafka_bootstrap: Option<String>,
    nats: Option<NatsServer>,
    kafka: Option<KafkaServer>,
}

impl Stack {
    /// Checks prerequisites, fetches what is missing and starts the servers,
    /// or takes the running ones that `config` names. Blocks for seconds, or
    /// for a download.
    ///
    /// # Errors
    /// Whatever [`crate::fetch`] and the servers report; a given server that
    /// does not answer.
    pub fn start(
        config: &Config,
        options: StackOptions,
        progress: OnProgress<'_>,
    ) -> Result<Stack> {
        let scope = match options.without_kafka {
            true => Scope::Nats,
            false => Scope::Servers,
        };
        prerequisites::check(config, scope).map_err(DevstackError::Missing)?;
        let nats = match &config.nats_url {
            Some(url) => reach_nats(url).map(|()| None),
            None => start_nats(config, &options, progress).map(Some),
        }?;
        let given = config.kafka_bootstrap.as_ref();
        let kafka = match given {
            _ if options.without_kafka => None,
            Some(address) => reach_kafka(address).map(|()| None)?,
            None => Some(start_kafka(config, &options, progress)?),
        };
        let own = kafka.as_ref().map(KafkaServer::bootstrap);
        let given = given.filter(|_| !options.without_kafka);
        Ok(Stack {
            nats_url: nats.as_ref().map_or_else(
                || config.nats_url.clone().unwrap_or_default(),
                NatsServer::url,
            ),
            kafka_bootstrap: own.or(given.cloned()),
            nats,
            kafka,
        })
    }

    /// Address of NATS.
    pub fn nats_url(&self) -> &str {
        &self.nats_url
    }

    /// Address of Kafka, where it was wanted.
    pub fn kafka_bootstrap(&self) -> Option<&str> {
        self.kafka_bootstrap.as_deref()
    }

    /// Our NATS server; `None` if the caller gave a running one.
    pub fn nats(&mut self) -> Option<&mut NatsServer> {
        self.nats.as_mut()
    }

    /// Our Kafka; `None` if the caller gave a running one, or wants none.
    pub fn kafka(&mut self) -> Option<&mut KafkaServer> {
        self.kafka.as_mut()
    }

    /// Processes of NATS and of Kafka; `None` for one that the caller gave running.
    pub fn processes(&self) -> [Option<u32>; 2] {
        let nats = self.nats.as_ref().and_then(NatsServer::pid);
        [nats, self.kafka.as_ref().and_then(KafkaServer::pid)]
    }

    /// Hands our servers over, each to be looked after on its own; `None` for one that
    /// the caller gave running.
    pub fn into_servers(self) -> (Option<NatsServer>, Option<KafkaServer>) {
        (self.nats, self.kafka)
    }

    /// Stops our servers in order. Dropping kills them instead.
    ///
    /// # Errors
    /// The first failure, after both were tried.
    pub fn stop(&mut self) -> Result<()> {
        let kafka = self.kafka.as_mut().map_or(Ok(()), KafkaServer::stop);
        let nats = self.nats.as_mut().map_or(Ok(()), NatsServer::stop);
        kafka.and(nats)
    }
}

fn start_nats(
    config: &Config,
    options: &StackOptions,
    progress: OnProgress<'_>,
) -> Result<NatsServer> {
    let mut own = NatsOptions::new(fetch::nats(config, progress)?);
    own.data = options.data.as_ref().map(|data| data.join("nats"));
    own.port = options.nats_port;
    own.users = options.nats_users.clone();
    announce(progress, Nats::NAME);
    NatsServer::start(own)
}

fn start_kafka(
    config: &Config,
    options: &StackOptions,
    progress: OnProgress<'_>,
) -> Result<KafkaServer> {
    let mut own = KafkaOptions::new(fetch::kafka(config, progress)?);
    own.data = options.data.as_ref().map(|data| data.join("kafka"));
    own.port = options.kafka_port;
    announce(progress, Kafka::NAME);
    KafkaServer::start(own)
}

fn announce(progress: OnProgress<'_>, component: &'static str) {
    progress(Progress::Step {
        component,
        text: "starting".to_owned(),
    });
}

fn reach_nats(url: &str) -> Result<()> {
    nats::greet(&nats_address(url)).map_err(|source| DevstackError::Unreachable {
        server: Nats::NAME,
        address: url.to_owned(),
        source,
    })
}

/// One broker that answers leads to the others.
fn reach_kafka(bootstrap: &str) -> Result<()> {
    let mut outcome = Ok(());
    for address in bootstrap.split(',') {
        outcome = kafka::api_versions(address.trim());
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map_err(|source| DevstackError::Unreachable {
        server: Kafka::NAME,
        address: bootstrap.to_owned(),
        source,
    })
}

/// `host:port` of `nats://[user@]host[:port]`, the first of several.
fn nats_address(url: &str) -> String {
    let first = url.split(',').next().unwrap_or(url).trim();
    let rest = first.split_once("://").map_or(first, |(_, rest)| rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:{NATS_PORT}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_urls() {
        let check = |url, expected| assert_eq!(nats_address(url), expected);
        check("nats://127.0.0.1:4300", "127.0.0.1:4300");
        check("nats://user:secret@host:1", "host:1");
        check("host", "host:4222");
        check("nats://a:1,nats://b:2", "a:1");
    }

    #[test]
    fn a_given_server_that_does_not_answer_is_named() {
        let silent = crate::port::Lease::free().unwrap();
        let error = reach_kafka(&silent.address()).unwrap_err();
        assert!(error.to_string().contains(&silent.address()), "{error}");
        let error = reach_nats(&format!("nats://{}", silent.address())).unwrap_err();
        assert!(error.to_string().contains(&silent.address()), "{error}");
    }
}
