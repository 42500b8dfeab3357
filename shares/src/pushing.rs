//! Events on their way into the outbox of one client: as many as fit, and as it has granted;
//! of those that it does not want, what it has to be told.
//!
//! Owns nothing but how far one subscription has come by it. It knows no events, only their
//! payloads and places.

use bytes::Bytes;
use protocol::frame::{Encoding, encode};

use super::credit::Credits;
use super::outbox::{Full, Outbox};
use super::sieve::{Place, Sieve};

/// Why nothing more goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The outbox is full.
    Full,
    /// Its client has granted no more.
    Spent,
}

/// One subscription's way into the outbox.
#[derive(Debug)]
pub struct Pushing<'a> {
    /// The subscription.
    pub id: u64,
    /// How its client is told.
    pub encoding: Encoding,
    /// Where it goes.
    pub outbox: &'a mut Outbox,
    /// What its client has granted, if it counts.
    pub credits: Option<&'a mut Credits>,
    /// Where the subscription stands.
    pub reached: u64,
    /// Events that went in.
    pub events: u64,
}

impl Pushing<'_> {
    /// Puts a payload of so many events in, by which the subscription comes to `seq`.
    ///
    /// # Errors
    /// It does not go in, and nothing has changed.
    pub fn put(&mut self, seq: u64, events: u64, payload: &Bytes) -> Result<(), Stop> {
        let mut credits = self.credits.as_deref_mut();
        let spent = credits.as_deref_mut();
        if spent.is_some_and(|credits| !credits.spend(self.id, events)) {
            return Err(Stop::Spent);
        }
        if self.outbox.try_push(payload.clone()) == Err(Full) {
            if let Some(credits) = credits {
                credits.give_back(self.id, events);
            }
            return Err(Stop::Full);
        }
        self.reached = seq;
        self.events += events;
        Ok(())
    }

    /// As [`Self::put`], of a subscription that wants a part: behind what it was not sent.
    ///
    /// # Errors
    /// It does not go in; what was not sent may have been told.
    pub fn put_after(
        &mut self,
        sieve: &mut Sieve,
        (seq, events): (u64, u64),
        payload: &Bytes,
    ) -> Result<(), Stop> {
        // Without credit nothing is told either: what is before an event goes with it.
        let credits = self.credits.as_deref();
        if events > 0 && credits.is_some_and(|credits| !credits.allows(self.id)) {
            return Err(Stop::Spent);
        }
        self.tell(sieve)?;
        self.put(seq, events, payload)
    }

    /// Goes over an event that is not sent.
    pub fn pass(&mut self, sieve: &mut Sieve, place: Place) {
        self.reached = place.seq;
        if sieve.pass(place) {
            // Without room it is told later.
            let _ = self.tell(sieve);
        }
    }

    /// Tells what was not sent, if anything.
    fn tell(&mut self, sieve: &mut Sieve) -> Result<(), Stop> {
        let Some(untold) = sieve.untold() else {
            return Ok(());
        };
        let frame = encode(self.encoding, &untold);
        if self.outbox.try_push(frame) == Err(Full) {
            return Err(Stop::Full);
        }
        sieve.told();
        Ok(())
    }
}
