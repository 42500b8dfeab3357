//! A server, a connection and a store for one test.

use std::time::Duration;

use bus::Bus;
use bus::bootstrap::{StoreSettings, bootstrap};
use bytes::Bytes;
use devstack::{Config, NatsOptions, NatsServer, fetch};
use protocol::bus::Outgoing;
use protocol::header::{self, Headers};
use protocol::lane::Lane;
use protocol::name::{Channel, StoreName, Tenant};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use service::settings::NatsSettings;

/// How long anything that must happen may take; generous, the machine is shared.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// One test's server and what it talks to it with.
pub struct Fixture {
    pub server: Option<NatsServer>,
    pub bus: Bus,
    pub events: StreamName,
}

/// Settings with short windows, so that nothing leans on long ones.
pub fn settings() -> StoreSettings {
    StoreSettings {
        lanes: 4,
        lease_ttl: Duration::from_millis(1_500),
        ..StoreSettings::default()
    }
}

impl Fixture {
    /// A server with a bootstrapped store.
    pub async fn start() -> Self {
        let server = tokio::task::spawn_blocking(|| {
            let binary = fetch::nats(&Config::from_env(), &|_| {})
                .expect("nats-server is there or can be fetched");
            NatsServer::start(NatsOptions::new(binary)).expect("nats-server starts")
        });
        let server = server.await.unwrap();
        let bus = connect(&server).await;
        bootstrap(&bus, &settings()).await.unwrap();
        Self {
            server: Some(server),
            bus,
            events: StreamName::events(&store()),
        }
    }

    /// Runs a blocking call on the server.
    pub async fn server(&mut self, call: impl FnOnce(&mut NatsServer) + Send + 'static) {
        let mut server = self.server.take().unwrap();
        let back = tokio::task::spawn_blocking(move || {
            call(&mut server);
            server
        });
        self.server = Some(back.await.unwrap());
    }

    /// A plain NATS client, to do what the bus does not offer.
    pub async fn plain(&self) -> async_nats::Client {
        async_nats::connect(self.server.as_ref().unwrap().url())
            .await
            .unwrap()
    }
}

/// Connects a bus.
pub async fn connect(server: &NatsServer) -> Bus {
    let settings = NatsSettings {
        url: server.url(),
        ..NatsSettings::default()
    };
    Bus::connect(&settings, "bus-test").await.unwrap()
}

pub fn store() -> StoreName {
    StoreName::parse("main").unwrap()
}

pub fn subject(kind: Kind, channel: &str) -> Subject {
    Subject::event(
        kind,
        &store(),
        Lane(0),
        &Tenant::parse("acme").unwrap(),
        &Channel::parse(channel).unwrap(),
    )
}

/// An event on `ev` with an id header.
pub fn event(channel: &str, n: u64) -> Outgoing {
    let mut headers = Headers::new();
    headers.push(header::ID, format!("acme/ann/c/{n}"));
    headers.push(header::PUBLISHER, "ann/c");
    Outgoing {
        subject: subject(Kind::Ev, channel),
        headers,
        payload: Bytes::from(n.to_string()),
        msg_id: None,
        expect: None,
    }
}

/// An event with a message id.
pub fn identified(channel: &str, n: u64) -> Outgoing {
    Outgoing {
        msg_id: Some(format!("id-{n}")),
        ..event(channel, n)
    }
}

/// Waits for something that must come.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}
