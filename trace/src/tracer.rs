//! Follows one event's way through the streams of its store.
//!
//! Owns the turns: an answer is some hundred requests to JetStream, so few are under way,
//! and of one tenant fewer. It never writes.

use std::collections::VecDeque;
use std::time::Duration;

use bus::{Bus, BusError};
use protocol::bus::Stored;
use protocol::header;
use protocol::id::{EventId, OutputId};
use protocol::lane::Lane;
use protocol::name::{Channel, StoreName, Tenant};
use protocol::position::{Epoch, Source};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Parsed, Subject};
use protocol::trace::{Hop, Searched, Trace};
use shares::turns::Turns;
use tokio::time::timeout;

use crate::mirror::{Bridges, locate};
use crate::search::{self, Place};
use crate::settlement::{self, Owner};
use crate::standing::Input;
use crate::versions::Versions;
use crate::way::{Station, Way};

/// Ways that are followed at a time.
const TRACES_MAX: usize = 8;
/// Of one tenant among them.
const TRACES_PER_TENANT_MAX: usize = 2;
/// How long an answer may take, with the wait for its turn and the bridge.
const TRACE_TIMEOUT: Duration = Duration::from_secs(15);
/// Commits that one answer looks for: each is some thirty requests, and what lies beyond
/// is said to be left out.
const COMMITS_MAX: usize = 32;
/// Lives of a dead letter that are shown, the last ones.
const REDRIVES_MAX: usize = 8;
/// Longest id that is looked for, bytes: an event id with a long user, percent-encoded.
pub const ID_BYTES_MAX: usize = 1_024;

/// What is asked, once it passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whose the event is.
    pub tenant: Tenant,
    /// Its channel.
    pub channel: Channel,
    /// Where the channel lives.
    pub store: StoreName,
    /// That store's epoch.
    pub epoch: Epoch,
    /// The channel's lane.
    pub lane: Lane,
    /// Whether what clients publish there passes a gate first.
    pub gated: bool,
    /// The id.
    pub id: String,
    /// Where it stands, if whoever asks knows that.
    pub seq: Option<u64>,
    /// Only below this sequence.
    pub before: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The bus failed; see whether it is temporary.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// It takes too long now; temporary.
    #[error("the event could not be traced in time")]
    Timeout,
}

/// Follows ways for everybody of a node.
pub struct Tracer {
    bus: Bus,
    bridges: Bridges,
    turns: Turns,
}

/// An event, if it was found, and what was looked at.
type Found = (Option<Stored>, Searched);

impl Asked {
    /// Where what clients publish on the channel is stored, or, of anything else, where
    /// functions and the system write.
    fn stream(&self) -> (StreamName, Kind) {
        match self.gated && EventId::parse(&self.id).is_ok() {
            true => (StreamName::ingress(&self.store), Kind::In),
            false => (StreamName::events(&self.store), Kind::Ev),
        }
    }

    /// The input of an output of a function, which its id names.
    fn source(&self) -> Option<Source> {
        let source = OutputId::parse(&self.id).ok()?.source;
        let ours = source.epoch == self.epoch && source.stream.holds_events();
        let store = [
            StreamName::ingress(&self.store),
            StreamName::events(&self.store),
        ];
        (ours && store.contains(&source.stream)).then_some(source)
    }
}

impl Tracer {
    /// Nothing is asked yet.
    pub fn new(bus: Bus, bridges: Bridges) -> Self {
        Self {
            bus,
            bridges,
            turns: Turns::new(TRACES_MAX, TRACES_PER_TENANT_MAX),
        }
    }

    /// Follows an event's way, as far as `sees` lets its channels be shown. The bridge is
    /// asked with `token`. Cancel safe.
    ///
    /// # Errors
    /// [`TraceError`].
    pub async fn trace(
        &self,
        asked: &Asked,
        token: &str,
        sees: &(dyn Fn(&Channel) -> bool + Sync),
    ) -> Result<Trace, TraceError> {
        let follow = async {
            let _turn = self.turns.take(&asked.tenant).await;
            let (found, searched) = self.find(asked, sees).await?;
            let mut way = Way::default();
            if let Some(station) = &found {
                self.follow(asked, station.clone(), &mut way, sees).await?;
            }
            let bridge = self.bridges.of(&asked.store);
            let mirror = match bridge {
                None => Some("this node knows no bridge of the store".to_owned()),
                Some(_) => None,
            };
            if let (Some(bridge), Some(_)) = (bridge, &found) {
                for hop in locate(bridge, token, &way.wanted).await {
                    way.push(hop);
                }
            }
            Ok(Trace {
                id: asked.id.clone(),
                channel: asked.channel.as_str().to_owned(),
                store: asked.store.clone(),
                epoch: asked.epoch.clone(),
                found: found.is_some(),
                searched,
                hops: way.hops,
                hidden: way.hidden,
                cut: way.cut,
                mirror,
            })
        };
        let answer = timeout(TRACE_TIMEOUT, follow).await;
        answer.unwrap_or(Err(TraceError::Timeout))
    }

    async fn find(
        &self,
        asked: &Asked,
        sees: &(dyn Fn(&Channel) -> bool + Sync),
    ) -> Result<(Option<Station>, Searched), BusError> {
        let (stream, kind) = asked.stream();
        if let Some(source) = asked.source() {
            let (stored, searched) = self.at(&source.stream, source.seq).await?;
            let found =
                stored.and_then(|stored| Station::read(&source.stream, &asked.epoch, stored));
            let found = found
                .filter(|found| found.input.tenant == asked.tenant && sees(&found.input.channel));
            return Ok((found, searched));
        }
        let (store, lane) = (&asked.store, asked.lane);
        let subject = Subject::event(kind, store, lane, &asked.tenant, &asked.channel);
        let (stored, searched) = match asked.seq {
            Some(seq) => {
                let (stored, searched) = self.at(&stream, seq).await?;
                let is_it = |stored: &Stored| {
                    stored.subject == subject.as_str()
                        && stored.headers.get(header::ID) == Some(&asked.id)
                };
                (stored.filter(is_it), searched)
            }
            None => {
                let place = Place {
                    stream: &stream,
                    subject: &subject,
                };
                search::newest(&self.bus, place, &asked.id, asked.before).await?
            }
        };
        let found = stored.and_then(|stored| Station::read(&stream, &asked.epoch, stored));
        Ok((found, searched))
    }

    /// What stands at a sequence.
    async fn at(&self, stream: &StreamName, seq: u64) -> Result<Found, BusError> {
        let state = self.bus.stream_state(stream).await?;
        let searched = Searched {
            stream: stream.as_str().to_owned(),
            from: seq,
            to: seq,
            more: false,
            kept_from: state.first_seq,
            kept_since: state.first_time_us,
        };
        let kept = (state.first_seq..=state.last_seq).contains(&seq);
        let stored = match kept {
            true => self.bus.get(stream, seq).await?,
            false => None,
        };
        Ok((stored, searched))
    }

    /// An event, after the one whose dead letter it is again, if it is.
    async fn redriven(
        &self,
        asked: &Asked,
        last: Station,
        sees: &(dyn Fn(&Channel) -> bool + Sync),
    ) -> Result<VecDeque<Station>, BusError> {
        let mut all = VecDeque::from([last]);
        while all.len() < REDRIVES_MAX
            && let Some(source) = all.front().and_then(Station::redrive_of)
            && source.epoch == asked.epoch
            && let Some(stored) = self.bus.get(&source.stream, source.seq).await?
            && let Some(before) = Station::read(&source.stream, &asked.epoch, stored)
            && before.input.tenant == asked.tenant
            && sees(&before.input.channel)
        {
            all.push_front(before);
        }
        Ok(all)
    }

    /// The event of a reactive function's dead letter, if it was stored again for that one.
    async fn again(
        &self,
        asked: &Asked,
        owner: Owner<'_>,
        input: &Input,
    ) -> Result<Option<Station>, BusError> {
        let Source { stream, epoch, seq } = &input.source;
        let place = Channel::redrive(owner.function, epoch.as_str(), *seq);
        let (store, lane) = (&asked.store, owner.lane);
        let subject = Subject::event(Kind::Ev, store, lane, &input.tenant, &place);
        let stored = self.bus.last_on(stream, &subject).await?;
        Ok(stored.and_then(|stored| Station::read(stream, &asked.epoch, stored)))
    }

    /// Follows what was stored, breadth first.
    async fn follow(
        &self,
        asked: &Asked,
        first: Station,
        way: &mut Way,
        sees: &(dyn Fn(&Channel) -> bool + Sync),
    ) -> Result<(), BusError> {
        let versions = Versions::read(&self.bus, &asked.store).await?;
        let mut next = self.redriven(asked, first, sees).await?;
        let mut commits = 0;
        while let Some(station) = next.pop_front() {
            if !way.stored(&station) {
                continue;
            }
            let (input, stored) = (&station.input, &station.stored);
            let Ok(Parsed::Event { lane, .. }) = Parsed::parse(&stored.subject) else {
                continue;
            };
            let (stream, seq) = (&input.source.stream, stored.seq);
            for function in versions.of(stream, seq, &input.channel, &stored.headers) {
                commits += 1;
                if commits > COMMITS_MAX {
                    way.cut = true;
                    return Ok(());
                }
                let owner = Owner {
                    store: &asked.store,
                    lane,
                    function: &function,
                };
                let settlement = settlement::find(&self.bus, owner, input).await?;
                let channel = station.channel();
                let key = (&input.tenant, &channel);
                let ran = |mark: &settlement::Mark| {
                    let digest = &mark.checkpoint.digest;
                    versions.ran(&function, digest, mark.time_us, key)
                };
                next.extend(way.handled(&station, &function, settlement, ran, sees));
                if !stream.is_ingress() && matches!(way.hops.last(), Some(Hop::DeadLetter { .. })) {
                    next.extend(self.again(asked, owner, input).await?);
                }
            }
        }
        Ok(())
    }
}
