//! Recorded history through a candidate: what it would make of inputs, beside what is
//! stored of them. Publishes nothing.
//!
//! Owns the inputs that wait for the candidate. It must not know how differences are
//! shown, or how the mirror is reached.

use std::ops::RangeInclusive;

use bytes::Bytes;
use host::event::{self, Event};
use protocol::bus::Stored;
use protocol::header;
use protocol::lane::LANES_DEFAULT;
use protocol::name::{ChannelPattern, Tenant};
use protocol::spec::{FunctionSpec, Trigger};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use crate::candidate::{Candidate, Input};
use crate::deployer::Deployer;
use crate::draft::{FunctionDraft, Start};
use crate::error::ControlError;
use crate::fate::{Fate, Fates};
use crate::function::{kind, stream};
use crate::held::Held;
use crate::history::{History, Missing};
use crate::mirror::Mirror;
use crate::queries::Queries;
use crate::seam::{Place, Seam, Step};

/// Which history.
#[derive(Debug, Clone)]
pub struct ReplayRequest {
    /// Where it begins.
    pub from: Start,
    /// Inputs on these channels alone.
    pub channel: Option<ChannelPattern>,
    /// Most inputs, from there on.
    pub inputs_max: usize,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Its sequence.
    pub seq: u64,
    /// When it was stored, microseconds since 1970.
    pub time_us: u64,
    /// Its channel.
    pub channel: String,
    /// What is stored of it.
    pub stored: Fate,
    /// What the candidate makes of it.
    pub candidate: Fate,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The inputs, in order.
    pub inputs: Vec<Compared>,
    /// There are more, past the limit.
    pub more: bool,
    /// The tenant whose inputs they are, where a mirror was read; without one, everybody's.
    pub tenant: Option<Tenant>,
    /// What is missing of the inputs, and of what became of them.
    pub missing: Vec<Missing>,
}

impl Compared {
    /// Whether the candidate makes the same of it.
    pub fn is_same(&self) -> bool {
        self.stored == self.candidate
    }
}

/// What a replay reads with.
struct Replay<'a, M> {
    deployer: &'a Deployer,
    spec: &'a FunctionSpec,
    queries: Queries,
    mirror: Option<&'a M>,
    missing: Vec<Missing>,
}

impl Deployer {
    /// Whether JetStream no longer has all of what a replay is about: the mirror may.
    ///
    /// # Errors
    /// Those of the bus.
    pub async fn needs_mirror(
        &self,
        draft: &FunctionDraft,
        request: &ReplayRequest,
    ) -> Result<bool, ControlError> {
        let Some(from) = place(request.from) else {
            return Ok(false);
        };
        for stream in [
            stream(&draft.store, &draft.trigger),
            StreamName::events(&draft.store),
        ] {
            let kept = self.bus.stream_state(&stream).await?;
            let step = Seam::new(from, kept.last_seq).step(&kept);
            if matches!(step, Step::Older { .. }) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs history through a candidate on this machine. With a mirror, that of its tenant
    /// alone: nobody else's is read there.
    ///
    /// # Errors
    /// [`ControlError`]: the candidate cannot be used, or the history not be read.
    pub async fn replay<M: Mirror>(
        &self,
        draft: FunctionDraft,
        modules: Vec<Bytes>,
        request: &ReplayRequest,
        mirror: Option<&M>,
    ) -> Result<Replayed, ControlError> {
        let land = self.landscape().await?;
        let spec = self.function_spec(&land, draft, &modules).await?;
        spec.check()?;
        let tenant = mirror.map(|mirror| mirror.tenant().clone());
        let Some(from) = place(request.from) else {
            return Ok(Replayed {
                tenant,
                ..Replayed::default()
            });
        };
        let room = self
            .bus
            .max_payload()
            .saturating_sub(header::HEADERS_BYTES_MAX);
        let store = land.stores.get(&spec.store);
        let lanes = store.map_or(LANES_DEFAULT, |store| store.lanes);
        let (folder, limits) = (self.compiled.clone(), (lanes, room));
        let mut candidate = Candidate::start(spec.clone(), modules, limits, folder).await?;
        let mut replay = Replay {
            deployer: self,
            spec: &spec,
            queries: Queries::new(&land, &spec, request.channel.as_ref()),
            mirror,
            missing: Vec::new(),
        };
        let (inputs, more) = replay.inputs(from, request, &mut candidate).await?;
        let mut fates = Fates::new(&spec);
        if let Some((first, last)) = inputs.first().zip(inputs.last()) {
            let range = (first.0.time_us, first.0.seq..=last.0.seq);
            replay.read_fates(range, &mut fates).await?;
        }
        let inputs = inputs.into_iter().map(|(input, candidate)| Compared {
            stored: fates.take(input.seq),
            seq: input.seq,
            time_us: input.time_us,
            channel: input.channel,
            candidate,
        });
        Ok(Replayed {
            inputs: inputs.collect(),
            more,
            tenant,
            missing: replay.missing,
        })
    }
}

impl<M: Mirror> Replay<'_, M> {
    /// The inputs of a function from a place on, and what the candidate makes of them.
    async fn inputs(
        &mut self,
        from: Place,
        request: &ReplayRequest,
        candidate: &mut Candidate,
    ) -> Result<(Vec<(Input, Fate)>, bool), ControlError> {
        let spec = self.spec;
        let stream = stream(&spec.store, &spec.trigger);
        let filter = Subject::store_filter(kind(&spec.trigger), &spec.store);
        let mirrored = (self.mirror, self.queries.inputs());
        let mut history =
            History::begin(&self.deployer.bus, (stream, filter), mirrored, from).await?;
        let is_wanted = |event: &Event| {
            let wanted = request.channel.as_ref();
            wanted.is_none_or(|wanted| wanted.matches(&event.channel))
        };
        let (mut left, mut more) = (request.inputs_max, false);
        while !more {
            // One past the limit says that there are more.
            let mut held = Held::new(left.saturating_add(1));
            let mut take = |stored| {
                if let Some(event) = input(spec, stored).filter(is_wanted) {
                    held.push(event);
                }
            };
            if !history.advance(&mut take).await? {
                break;
            }
            more = held.is_cut();
            for event in held.take() {
                if left == 0 {
                    more = true;
                    break;
                }
                left -= 1;
                candidate.take(event).await?;
            }
        }
        self.miss(history.missing());
        Ok((candidate.finish().await?, more))
    }

    /// What is stored of inputs; the first of them was stored at this time.
    async fn read_fates(
        &mut self,
        (since_us, inputs): (u64, RangeInclusive<u64>),
        fates: &mut Fates,
    ) -> Result<(), ControlError> {
        let store = &self.spec.store;
        let filters = [
            Subject::store_filter(Kind::Ev, store),
            Subject::dead_letter_filter(store),
        ];
        let queries = [self.queries.told(), self.queries.letters()];
        for (filter, queries) in filters.into_iter().zip(queries) {
            let (events, mirrored) = (StreamName::events(store), (self.mirror, queries));
            let (bus, since) = (&self.deployer.bus, Place::Time(since_us));
            let mut history = History::begin(bus, (events, filter), mirrored, since).await?;
            let mut take = |stored| fates.read(&stored, &inputs);
            while history.advance(&mut take).await? {}
            self.miss(history.missing());
        }
        Ok(())
    }

    fn miss(&mut self, missing: Vec<Missing>) {
        for missing in missing {
            if !self.missing.contains(&missing) {
                self.missing.push(missing);
            }
        }
    }
}

/// Where recorded history begins; `None`: nothing of it is wanted.
fn place(start: Start) -> Option<Place> {
    match start {
        Start::Earliest => Some(Place::Earliest),
        Start::Time(since_us) => Some(Place::Time(since_us)),
        Start::Latest => None,
    }
}

/// A stored message as an input of a function, as a lane takes it.
fn input(spec: &FunctionSpec, stored: Stored) -> Option<Event> {
    let (tenant, channel) = event::address(&stored).ok()?;
    let handles = spec.handles(&channel, &stored.headers);
    let event = handles.then(|| Event::read(tenant, channel, stored).ok())??;
    let is_own = !matches!(spec.trigger, Trigger::Gate)
        && event.envelope.function.as_ref() == Some(&spec.name);
    (!is_own).then_some(event)
}
