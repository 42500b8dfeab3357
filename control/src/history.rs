//! Recorded history of one stream: from JetStream, and from the mirror what retention has
//! taken there.
//!
//! Owns how far the reading is, and what is missing. It must not know what history is for.

use bus::{Bus, BusError, Scan};
use futures_util::StreamExt;
use protocol::bus::Stored;
use protocol::name::Tenant;
use protocol::record::MirrorGapReason;
use protocol::stream::StreamName;
use protocol::subject::{Parsed, Subject};

use crate::error::ControlError;
use crate::mirror::{Mirror, Query};
use crate::seam::{Place, Seam, Step};

/// Events that are read from JetStream before it is asked whether it still had them: few
/// enough that retention rarely takes one meanwhile, many enough that asking costs little.
const CHUNK: usize = 512;

/// A range that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its stream.
    pub stream: StreamName,
    /// First sequence, at the earliest.
    pub from: u64,
    /// Last sequence.
    pub to: u64,
    /// Why the mirror lacks it; `None`: retention took it, and no mirror was asked.
    pub reason: Option<MirrorGapReason>,
}

/// A stream's history while it is read.
pub(crate) struct History<'a, M> {
    bus: &'a Bus,
    stream: StreamName,
    filter: Subject,
    mirror: Option<&'a M>,
    /// What of the mirror is a part of it.
    queries: Vec<Query>,
    seam: Seam,
    last: u64,
    scan: Option<Scan>,
    missing: Vec<Missing>,
}

impl<'a, M: Mirror> History<'a, M> {
    /// Begins at a place, and ends with what the stream holds now.
    pub(crate) async fn begin(
        bus: &'a Bus,
        (stream, filter): (StreamName, Subject),
        (mirror, queries): (Option<&'a M>, Vec<Query>),
        at: Place,
    ) -> Result<Self, BusError> {
        let last = bus.stream_state(&stream).await?.last_seq;
        Ok(Self {
            bus,
            stream,
            filter,
            mirror,
            queries,
            seam: Seam::new(at, last),
            last,
            scan: None,
            missing: Vec::new(),
        })
    }

    /// Gives some of what comes next: with a mirror of its tenant alone. What comes from
    /// the mirror is given at once and in order per channel, everything else in order.
    /// False: that was all.
    ///
    /// # Errors
    /// Those of the bus; [`ControlError::Mirror`].
    pub(crate) async fn advance(
        &mut self,
        take: &mut (dyn FnMut(Stored) + Send),
    ) -> Result<bool, ControlError> {
        match self.seam.step(&self.bus.stream_state(&self.stream).await?) {
            Step::Done => return Ok(false),
            Step::Older { from, to } => {
                self.scan = None;
                self.older(from, to, take).await?;
                self.seam.reach(to);
            }
            Step::Kept(from) => {
                let (events, to) = self.chunk(from).await?;
                let kept = self.bus.stream_state(&self.stream).await?;
                if !matches!(self.seam.step(&kept), Step::Kept(_)) {
                    // Retention has passed meanwhile; some of them may have been lost.
                    self.scan = None;
                    return Ok(true);
                }
                let tenant = self.mirror.map(Mirror::tenant);
                events
                    .into_iter()
                    .filter(|stored| tenant.is_none_or(|tenant| is_of(stored, tenant)))
                    .for_each(take);
                self.seam.reach(to);
            }
        }
        Ok(true)
    }

    /// What is missing of what was read; each part of the mirror tells what is missing of
    /// all.
    pub(crate) fn missing(self) -> Vec<Missing> {
        self.missing
    }

    async fn older(
        &mut self,
        from: Place,
        to: u64,
        take: &mut (dyn FnMut(Stored) + Send),
    ) -> Result<(), ControlError> {
        let Some(mirror) = self.mirror else {
            let first = match from {
                Place::Sequence(seq) => seq,
                Place::Earliest | Place::Time(_) => 1,
            };
            self.tell(first, to, None);
            return Ok(());
        };
        for query in self.queries.clone() {
            let mut of_query = |mirrored| take(query.stored(mirror.tenant(), mirrored));
            for gap in mirror.read(&query, from, to, &mut of_query).await? {
                self.tell(gap.from, gap.to.min(to), Some(gap.reason));
            }
        }
        Ok(())
    }

    fn tell(&mut self, from: u64, to: u64, reason: Option<MirrorGapReason>) {
        let missing = Missing {
            stream: self.stream.clone(),
            from,
            to,
            reason,
        };
        if from <= to {
            self.missing.push(missing);
        }
    }

    /// Some of what JetStream has from a place on, and up to where that is all.
    async fn chunk(&mut self, from: Place) -> Result<(Vec<Stored>, u64), ControlError> {
        let mut events = Vec::new();
        let mut scan = match self.scan.take() {
            Some(scan) => scan,
            None => {
                let Some(from) = self.sequence(from).await? else {
                    return Ok((events, self.last));
                };
                let (stream, filter) = (&self.stream, &self.filter);
                self.bus.scan(stream, filter, from, self.last).await
            }
        };
        while let Some(stored) = scan.next().await {
            events.push(stored?);
            if events.len() == CHUNK {
                self.scan = Some(scan);
                break;
            }
        }
        let to = match self.scan {
            Some(_) => events.last().map_or(self.last, |stored| stored.seq),
            None => self.last,
        };
        Ok((events, to))
    }

    async fn sequence(&self, from: Place) -> Result<Option<u64>, BusError> {
        match from {
            Place::Earliest => Ok(Some(1)),
            Place::Sequence(seq) => Ok(Some(seq)),
            Place::Time(since_us) => {
                let (stream, filter) = (&self.stream, &self.filter);
                self.bus.first_since(stream, filter, since_us).await
            }
        }
    }
}

/// Whose a message is: a dead letter is its input's.
fn is_of(stored: &Stored, tenant: &Tenant) -> bool {
    let event = |subject: &str| match Parsed::parse(subject) {
        Ok(Parsed::Event { tenant: of, .. }) => of == *tenant,
        _ => false,
    };
    let dead = stored.headers.get(protocol::outcome::dead_letter::SUBJECT);
    match Parsed::parse(&stored.subject) {
        Ok(Parsed::DeadLetter { .. }) => dead.is_some_and(event),
        _ => event(&stored.subject),
    }
}
