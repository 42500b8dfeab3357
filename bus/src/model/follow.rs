//! A reader's turn: what its consumer has for it, or how long to wait. Pure; owns
//! nothing beside the network's state.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::network::Network;
use super::place::Place;
use crate::error::BusError;
use crate::following::{ReaderOptions, Start};
use protocol::bus::Stored;

/// How long a lost consumer takes to be noticed and made anew.
const REBUILD: RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(1_000);
/// How soon a reader looks again at a follower that lags.
const LAG_LOOK_US: u64 = 20_000;

/// What a reader does next.
#[derive(Debug)]
pub(super) enum Turn {
    /// Yield these.
    Events(Vec<Stored>),
    /// Look again when something changes, or at a time.
    Wait(Option<u64>),
}

impl Network {
    /// Makes a consumer, and says where it stands.
    ///
    /// # Errors
    /// [`BusError::NotFound`].
    pub(super) fn consume(
        &mut self,
        now: u64,
        link: usize,
        (name, filter): (&str, Option<String>),
        start: Start,
        options: ReaderOptions,
    ) -> Result<Place, BusError> {
        let wall = self.wall(now);
        let stream = self.server.stream(name, wall)?;
        let views = self.views.entry(name.into()).or_default();
        // A consumer without replicas is made on any server that has the stream, and begins
        // with what that one has.
        let until = views.any(&stream.log, wall, &self.faults, &mut self.dice);
        let mut place = Place::new(name, filter, start, options, (stream, until));
        place.connects = self.links[link].connects;
        place.consumers = views.consumers;
        Ok(place)
    }

    /// One look at the stream.
    ///
    /// # Errors
    /// [`BusError::NotFound`], [`BusError::StreamChanged`].
    pub(super) fn follow(
        &mut self,
        now: u64,
        link: usize,
        place: &mut Place,
    ) -> Result<Turn, BusError> {
        if !self.links[link].up || self.links[link].cut {
            return Ok(Turn::Wait(None));
        }
        if let Some(arrives) = place.arrives.filter(|arrives| *arrives > now) {
            return Ok(Turn::Wait(Some(arrives)));
        }
        let (wall, name) = (self.wall(now), place.stream.clone());
        let views = self.views.entry(name.clone()).or_default();
        let made_with = (place.connects, place.consumers);
        let stands = (self.links[link].connects, views.consumers);
        let lost =
            place.arrives.is_some() && self.dice.happens("reader_cut", self.faults.reader_cut);
        if lost || made_with != stands {
            metrics::counter!("nats_reader_rebuilt_total").increment(1);
            (place.connects, place.consumers) = stands;
            place.restart();
            // Noticed and made anew by then; nothing is found before.
            let again = now + self.dice.micros(&REBUILD);
            place.arrives = Some(again);
            return Ok(Turn::Wait(Some(again)));
        }
        let stream = self.server.stream(&name, wall)?;
        let last = stream.log.last_seq();
        if stream.created_us != place.created_us || last < place.last {
            return Err(BusError::changed(&name));
        }
        let until = views.any(&stream.log, wall, &self.faults, &mut self.dice);
        if !place.finds(stream, until) {
            place.arrives = None;
            let again = (until < last).then_some(now + LAG_LOOK_US);
            return Ok(Turn::Wait(again));
        }
        if place.arrives.take().is_some() {
            return Ok(Turn::Events(place.take(stream, until)));
        }
        let arrives = now + self.dice.micros(&self.faults.delay);
        place.arrives = Some(arrives);
        Ok(Turn::Wait(Some(arrives)))
    }
}
