//! What a case runs on: a model, a server, a cluster, and a store on each.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::bootstrap::StoreSettings;
use bus::model::{Model, ModelFaults};
use bus::{Bus, BusError, Subscription};
use bytes::Bytes;
use devstack::{Config, NatsCluster, NatsClusterPlan, NatsOptions, NatsServer, fetch};
use futures_util::TryStreamExt;
use harness::{Proxy, foreign, store as stores};
use protocol::bus::Outgoing;
use protocol::header::{self, Headers};
use protocol::lane::Lane;
use protocol::name::{Channel, StoreName, Tenant};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use service::settings::NatsSettings;

/// How long anything that must happen may take; generous, the machine is shared.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// What every connection of a case is called.
const NAME: &str = "bus-test";

/// What a case runs on.
#[allow(clippy::large_enum_variant, reason = "a case has one of them")]
enum Place {
    Model(Model),
    /// Away only while a blocking call is made on it.
    One(Option<NatsServer>),
    /// The one cluster of this process, which cases use in turn.
    Three(MutexGuard<'static, Option<NatsCluster>>),
}

/// One case's server and what it talks to it with.
pub struct Fixture {
    place: Place,
    pub bus: Bus,
    pub events: StreamName,
    /// Servers that hold each stream.
    pub replicas: u8,
}

/// Runs a case on a model, in virtual time.
pub fn on_model<F: Future<Output = ()>>(case: impl FnOnce(Fixture) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let model = Model::start(ModelFaults::default());
        case(Fixture::new(Place::Model(model), 1).await).await;
    });
}

/// Runs a case on one nats-server of its own.
pub fn on_server<F: Future<Output = ()>>(case: impl FnOnce(Fixture) -> F) {
    let binary =
        fetch::nats(&Config::from_env(), &|_| {}).expect("nats-server is there or can be fetched");
    let server = NatsServer::start(NatsOptions::new(binary)).expect("nats-server starts");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        case(Fixture::new(Place::One(Some(server)), 1).await).await;
    });
}

/// Servers of the cluster.
const SERVERS: usize = 3;
/// Started by the first case that needs it; it ends with the process.
static CLUSTER: Mutex<Option<NatsCluster>> = Mutex::new(None);

/// Runs a case on three nats-servers, on which nothing is left of the case before.
pub fn on_cluster<F: Future<Output = ()>>(case: impl FnOnce(Fixture) -> F) {
    // A case that failed has left nothing that the next one does not clean up.
    let mut cluster = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster_there = cluster.get_or_insert_with(|| {
        let binary = fetch::nats(&Config::from_env(), &|_| {})
            .expect("nats-server is there or can be fetched");
        let plan = NatsClusterPlan::new(&NatsOptions::new(binary), SERVERS).unwrap();
        NatsCluster::start(plan).expect("the cluster starts")
    });
    let url = cluster_there.url();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        clear(&url).await;
        case(Fixture::new(Place::Three(cluster), SERVERS as u8).await).await;
    });
}

/// A plain NATS client of servers whose addresses are separated by commas.
async fn plain(url: &str) -> async_nats::Client {
    let servers: Vec<&str> = url.split(',').collect();
    async_nats::connect(servers.as_slice()).await.unwrap()
}

/// Deletes every stream.
async fn clear(url: &str) {
    let context = async_nats::jetstream::new(plain(url).await);
    let names: Vec<String> = context.stream_names().try_collect().await.unwrap();
    for name in names {
        context.delete_stream(name).await.unwrap();
    }
}

impl Fixture {
    /// A connection and a bootstrapped store.
    async fn new(place: Place, replicas: u8) -> Self {
        let bus = place.connect().await;
        let fixture = Self {
            place,
            bus,
            events: StreamName::events(&store()),
            replicas,
        };
        stores::make(&fixture.bus, &fixture.settings()).await;
        fixture
    }

    /// Settings with short windows, so that nothing leans on long ones.
    pub fn settings(&self) -> StoreSettings {
        StoreSettings {
            lanes: 4,
            replicas: self.replicas,
            lease_ttl: Duration::from_millis(1_500),
            short_windows: true,
            ..StoreSettings::default()
        }
    }

    /// Another store, with other settings.
    pub async fn other_store(&self, name: &str, change: fn(&mut StoreSettings)) -> StreamName {
        let mut settings = self.settings();
        settings.name = StoreName::parse(name).unwrap();
        change(&mut settings);
        stores::make(&self.bus, &settings).await;
        StreamName::events(&settings.name)
    }

    /// Another process's connection.
    pub async fn connect(&self) -> Bus {
        self.place.connect().await
    }

    /// Another process's connection to the one server, through a proxy.
    pub async fn connect_through_proxy(&self) -> (Proxy, Bus) {
        let url = self.place.url().expect("a model has no address");
        let proxy = Proxy::to(url.trim_start_matches("nats://")).await;
        let bus = connect(format!("nats://{}", proxy.address())).await;
        (proxy, bus)
    }

    /// Subscribes, and waits until whoever leads a stream knows: interest and a request
    /// to the leader travel the same way, one after the other.
    pub async fn listen(&self, to: &Subject, stream: &StreamName) -> Subscription {
        let subscription = self.bus.subscribe(to).await.unwrap();
        self.bus.flush().await.unwrap();
        self.bus.stream_state(stream).await.unwrap();
        subscription
    }

    /// Waits until every copy of a stream has what its leader has now: a read may be
    /// answered by any of them.
    pub async fn level(&self, stream: &StreamName) {
        let Place::Three(cluster) = &self.place else {
            return;
        };
        let state = self.bus.stream_state(stream).await.unwrap();
        let held = (state.first_seq, state.last_seq);
        let cluster = cluster.as_ref().unwrap();
        for index in 0..SERVERS {
            within("a copy is level", async {
                loop {
                    let streams = cluster.server(index).streams().unwrap_or_default();
                    let copy = streams.iter().find(|view| view.name == stream.as_str());
                    if copy.is_some_and(|copy| copy.held >= held) {
                        return;
                    }
                    look_again().await;
                }
            })
            .await;
        }
    }

    /// The servers go down, with no time to say so.
    pub async fn go_down(&mut self) {
        match &mut self.place {
            Place::Model(model) => model.disconnect(NAME),
            Place::One(server) => blocking(server, |server| server.kill().unwrap()).await,
            Place::Three(cluster) => {
                let cluster = cluster.as_mut().unwrap();
                for index in 0..SERVERS {
                    cluster.server_mut(index).kill().unwrap();
                }
            }
        }
    }

    /// They are there again, with all that they had stored.
    pub async fn come_back(&mut self) {
        match &mut self.place {
            Place::Model(model) => model.heal(NAME),
            Place::One(server) => blocking(server, |server| server.restart().unwrap()).await,
            Place::Three(cluster) => {
                let cluster = cluster.as_mut().unwrap();
                for index in 0..SERVERS {
                    cluster.server_mut(index).restart().unwrap();
                }
                cluster.whole().unwrap();
            }
        }
    }

    /// Takes every reader of EVENTS its consumer.
    pub async fn lose_consumers(&self) {
        if let Place::Model(model) = &self.place {
            return model.cut_readers(self.events.as_str());
        }
        let stream = self.plain_stream().await;
        let names = self.consumers().await;
        assert!(!names.is_empty(), "nobody reads");
        for name in names {
            stream.delete_consumer(&name).await.unwrap();
        }
    }

    /// The consumers of EVENTS; a model has none to show.
    pub async fn consumers(&self) -> Vec<String> {
        let stream = self.plain_stream().await;
        stream.consumer_names().try_collect().await.unwrap()
    }

    /// Deletes EVENTS, with all that is in it.
    pub async fn delete_events(&self) {
        match &self.place {
            Place::Model(model) => model.delete_stream(self.events.as_str()),
            Place::One(_) | Place::Three(_) => {
                let context = async_nats::jetstream::new(self.plain().await);
                context.delete_stream(self.events.as_str()).await.unwrap();
            }
        }
    }

    /// Opens a batch and leaves it; says whether the stream took its first event.
    pub async fn leave_batch(&self, id: u64, event: Outgoing) -> bool {
        if let Place::Model(model) = &self.place {
            return match model.leave_batch(event) {
                Ok(()) => true,
                Err(BusError::BatchBusy) => false,
                Err(error) => panic!("{error}"),
            };
        }
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Batch-Id", format!("left-{id}"));
        headers.insert("Nats-Batch-Sequence", "1");
        let subject = event.subject.as_str().to_owned();
        let client = self.plain().await;
        let answer = client.request_with_headers(subject, headers, event.payload);
        let answer = answer.await.unwrap().payload;
        if answer.is_empty() {
            return true;
        }
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["error"]["err_code"], 10_210, "{answer}");
        false
    }

    /// Stores what some other program would: an event with another first line of its
    /// header block, and one more line in it. A model, which has no lines, keeps what
    /// can be read.
    pub async fn store_foreign(&self, channel: &str, n: u64, version: &[u8], line: &[u8]) -> u64 {
        let event = event(channel, n);
        let Some(url) = self.place.url() else {
            return self.bus.publish(event).await.unwrap().seq;
        };
        let own = event.headers.iter();
        let own: Vec<_> = own
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let mut lines: Vec<&[u8]> = own.iter().map(|line| line.as_bytes()).collect();
        lines.push(line);
        let block = foreign::block(version, &lines);
        let stored = foreign::store(&url, event.subject.as_str(), &block, &event.payload);
        stored.await.unwrap()
    }

    async fn plain_stream(&self) -> async_nats::jetstream::stream::Stream {
        let context = async_nats::jetstream::new(self.plain().await);
        context.get_stream(self.events.as_str()).await.unwrap()
    }

    /// A plain NATS client, to do what the bus does not offer.
    async fn plain(&self) -> async_nats::Client {
        let url = self.place.url().expect("a model has no NATS clients");
        plain(&url).await
    }
}

async fn connect(url: String) -> Bus {
    let settings = NatsSettings {
        url,
        ..NatsSettings::default()
    };
    Bus::connect(&settings, NAME).await.unwrap()
}

impl Place {
    async fn connect(&self) -> Bus {
        let Some(url) = self.url() else {
            let Self::Model(model) = self else {
                panic!("the server is away");
            };
            return model.connect(NAME);
        };
        connect(url).await
    }

    fn url(&self) -> Option<String> {
        match self {
            Self::Model(_) => None,
            Self::One(server) => server.as_ref().map(NatsServer::url),
            Self::Three(cluster) => cluster.as_ref().map(NatsCluster::url),
        }
    }
}

/// Runs a blocking call on a server.
async fn blocking(
    server: &mut Option<NatsServer>,
    call: impl FnOnce(&mut NatsServer) + Send + 'static,
) {
    let mut taken = server.take().unwrap();
    let back = tokio::task::spawn_blocking(move || {
        call(&mut taken);
        taken
    });
    *server = Some(back.await.unwrap());
}

pub fn store() -> StoreName {
    StoreName::parse("main").unwrap()
}

pub fn subject(kind: Kind, channel: &str) -> Subject {
    subject_in("main", kind, channel)
}

pub fn subject_in(store: &str, kind: Kind, channel: &str) -> Subject {
    Subject::event(
        kind,
        &StoreName::parse(store).unwrap(),
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

/// The same event in another store.
pub fn in_store(store: &str, event: Outgoing, channel: &str) -> Outgoing {
    Outgoing {
        subject: subject_in(store, Kind::Ev, channel),
        ..event
    }
}

/// Waits for something that must come.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}

/// Lets time pass between two looks at a condition.
pub async fn look_again() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}
