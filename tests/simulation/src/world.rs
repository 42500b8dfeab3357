//! The model that a run happens in, and what may be done to it in every scenario.
//!
//! Owns the model, the history, the run's own dice and the count of what was injected.
//! Must not know the parts that run in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::bootstrap::{StoreSettings, bootstrap};
use bus::model::{Model, ModelFaults};
use bytes::Bytes;
use checker::Recorder;
use parking_lot::Mutex;
use protocol::bus::Outgoing;
use protocol::envelope::Envelope;
use protocol::id::Publisher;
use protocol::lane::Lane;
use protocol::name::{Channel, FunctionName, StoreName, Tenant};
use protocol::spec::StoreSpec;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use service::fault::Faults;
use tokio::time::sleep;

use crate::plan::{Act, CLOCK_MIDDLE, Plant, Scenario, Schedule, Step};

/// Whose events all of them are.
pub const TENANT: &str = "acme";
/// How long a run may take to come to rest once nothing goes wrong any more: longer
/// than any timeout, lease or back-off.
pub const REST_MAX: Duration = Duration::from_secs(900);

/// Where a run happens; clones are the same.
#[derive(Clone)]
pub struct World {
    /// The bus's model.
    pub model: Model,
    /// The store.
    pub store: StoreSpec,
    /// What was seen.
    pub history: Recorder,
    /// What our parts leave out on purpose.
    pub faults: Faults,
    plant: Option<Plant>,
    /// Whether a process may hear two leaders by turns.
    alternate: bool,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    clock_offset_us: i64,
    injected: BTreeMap<&'static str, u64>,
    problems: Vec<String>,
}

impl World {
    /// A model with a store and nothing wrong yet.
    pub async fn start(
        schedule: &Schedule,
        plant: Option<Plant>,
        settings: &StoreSettings,
    ) -> Self {
        let seed = schedule.seed;
        let model = Model::start(ModelFaults {
            seed,
            ..ModelFaults::default()
        });
        let store = bootstrap(&model.connect("bootstrap"), settings).await;
        let switches = match plant {
            Some(Plant::NoGuard) => "lane.no_guard=skip@1+",
            Some(Plant::ReadBeforeFence) => "lane.read_before_fence=skip@1+",
            Some(Plant::NoLookup) => "edge.no_lookup=skip@1+",
            _ => "",
        };
        let world = Self {
            model,
            store: store.expect("a model without faults makes a store"),
            history: Recorder::new(),
            faults: Faults::parse(switches).expect("these are switches"),
            plant,
            // Feeds and lanes ask twice, for an event and for the end of its stream, and
            // take the two answers for those of one server.
            alternate: !matches!(schedule.scenario, Scenario::Feed | Scenario::Lane),
            shared: Arc::default(),
        };
        world.weather(0);
        world
    }

    /// Whether a fault of ours is put in.
    pub fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// Counts something that was injected.
    pub fn injected(&self, what: &'static str) {
        *self.shared.lock().injected.entry(what).or_default() += 1;
    }

    /// Something is wrong that the history does not show.
    pub fn problem(&self, text: impl Into<String>) {
        let mut shared = self.shared.lock();
        // One shows as much as thousands of the same.
        if shared.problems.len() < 20 {
            shared.problems.push(text.into());
        }
    }

    /// What is wrong that the history does not show.
    pub fn problems(&self) -> Vec<String> {
        self.shared.lock().problems.clone()
    }

    /// What was injected how often.
    pub fn tally(&self) -> BTreeMap<&'static str, u64> {
        let mut tally = self.model.happened();
        for (what, count) in &self.shared.lock().injected {
            *tally.entry(what).or_default() += count;
        }
        tally
    }

    /// The stream of events.
    pub fn events(&self) -> StreamName {
        StreamName::events(&self.store.name)
    }

    /// The stream of raw inputs.
    pub fn ingress(&self) -> StreamName {
        StreamName::ingress(&self.store.name)
    }

    /// Does what does not depend on the scenario; false if this step does.
    pub async fn does(&self, step: &Step) -> bool {
        let stream = match step.who % 3 {
            0 => self.events(),
            1 => self.ingress(),
            _ => StreamName::state(&self.store.name),
        };
        let lasts = Duration::from_millis(step.much.into());
        match step.act {
            Act::Weather => {
                self.weather(step.much % 3);
                return true;
            }
            Act::Stale => self.model.freeze_leader(stream.as_str(), lasts),
            Act::Leader => self.model.change_leader(stream.as_str(), lasts),
            Act::Readers => self.model.cut_readers(stream.as_str()),
            // An error says that as many are open as may be.
            Act::Batch => drop(self.model.leave_batch(self.left_open())),
            Act::Clock => self.set_clock(step.much),
            Act::Pass => {
                sleep(Duration::from_secs(step.much.into())).await;
                return true;
            }
            _ => return false,
        }
        self.injected(step.act.word());
        true
    }

    /// What goes wrong by itself from now on.
    pub fn weather(&self, kind: u32) {
        let mut faults = match kind {
            0 => ModelFaults::default(),
            1 => ModelFaults::rough(0),
            _ => ModelFaults {
                request_lost: 0.05,
                reply_lost: 0.1,
                broken: 0.02,
                delivery_lost: 0.2,
                run_reply_lost: 0.1,
                ..ModelFaults::rough(0)
            },
        };
        faults.runs_unproved = self.has(Plant::ReplyUnnoticed);
        faults.leaders_alternate = self.alternate;
        self.model.set_faults(faults);
    }

    fn set_clock(&self, much: u32) {
        let offset_us = (i64::from(much) - i64::from(CLOCK_MIDDLE)) * 1_000_000;
        let mut shared = self.shared.lock();
        let by_us = offset_us - shared.clock_offset_us;
        shared.clock_offset_us = offset_us;
        drop(shared);
        self.model.step_clock(by_us);
    }

    fn left_open(&self) -> Outgoing {
        let (subject, envelope) = self.event(Kind::Ev, "doc.0", "nobody/c", 0);
        Outgoing {
            subject,
            headers: envelope.to_headers(),
            payload: Bytes::new(),
            msg_id: None,
            expect: None,
        }
    }

    /// Ends everything that goes wrong by itself.
    pub fn calm(&self, names: impl IntoIterator<Item = String>) {
        self.weather(0);
        names.into_iter().for_each(|name| self.model.heal(&name));
    }

    /// Cuts a process off, or breaks its connection, for a while.
    pub fn trouble(&self, step: &Step, name: String) {
        let lasts = Duration::from_millis(u64::from(step.much) * 10);
        if step.act == Act::Cut {
            self.model.cut(&name);
        } else {
            self.model.disconnect(&name);
        }
        self.injected(step.act.word());
        let model = self.model.clone();
        tokio::spawn(async move {
            sleep(lasts).await;
            model.heal(&name);
        });
    }

    /// Subject and headers of an event of a publisher `user/client`.
    pub fn event(&self, kind: Kind, channel: &str, publisher: &str, n: u64) -> (Subject, Envelope) {
        let channel = channel_of(channel);
        let subject = Subject::event(
            kind,
            &self.store.name,
            self.lane(&channel),
            &tenant(),
            &channel,
        );
        let envelope = Envelope {
            id: format!("{TENANT}/{publisher}/{n}"),
            publisher: Publisher::parse(publisher).ok(),
            time: Some(service::clock::now_us()),
            gate: (kind == Kind::In).then(gate),
            ..Envelope::default()
        };
        (subject, envelope)
    }

    /// The lane of a channel.
    pub fn lane(&self, channel: &Channel) -> Lane {
        Lane::of(&tenant(), channel, self.store.lanes)
    }

    /// Waits until something holds; a problem if it does not in time.
    pub async fn rest(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let every = Duration::from_millis(500);
        let mut waited = Duration::ZERO;
        while !holds() {
            if waited >= REST_MAX {
                return self.problem(format!("{what} does not come to rest"));
            }
            sleep(every).await;
            waited += every;
        }
    }

    /// Records what a stream holds, of which nobody can say that it gave out more.
    pub fn record(&self, name: &StreamName) {
        let events = self.model.events(name);
        let last = events.last().map_or(0, |event| event.seq);
        crate::collect::stream(&self.history, name, &events, last);
    }
}

/// The gate that raw inputs are for.
pub fn gate() -> FunctionName {
    FunctionName::parse("probe").expect("a function's name")
}

/// The tenant.
pub fn tenant() -> Tenant {
    Tenant::parse(TENANT).expect("a tenant's name")
}

/// A channel of ours.
pub fn channel_of(text: &str) -> Channel {
    Channel::parse(text).expect("a channel's name")
}

/// Settings with a duplicate window and age that a run can outlast.
pub fn settings(window: Duration, age: Duration) -> StoreSettings {
    StoreSettings {
        name: StoreName::parse("main").expect("a store's name"),
        lanes: 1,
        ingress_max_age: age,
        events_max_age: age,
        duplicate_window_ingress: window,
        duplicate_window_events: window,
        short_windows: true,
        ..StoreSettings::default()
    }
}
