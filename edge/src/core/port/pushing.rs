//! Events on their way into the outbox, under the port's lock.

use protocol::frame::Encoding;
use shares::pushing::{Pushing, Stop};
use shares::sieve::{Place, Sieve};

use super::{Port, Pushed, sieve_of};
use crate::core::run::Run;

/// Puts in what is wanted of a run, and goes over the rest.
fn sift(pushing: &mut Pushing<'_>, run: &Run, sieve: &mut Sieve) -> Result<(), Stop> {
    let at = pushing.reached;
    for event in run.events().iter().filter(|event| event.seq() > at) {
        match event.relayed() {
            Some(relayed) if !sieve.lets(&relayed.headers) => {
                let (prev, seq, time) = (relayed.prev, relayed.seq, relayed.time_us);
                pushing.pass(sieve, Place { prev, seq, time });
            }
            _ => {
                let place = (event.seq(), event.events());
                pushing.put_after(sieve, place, event.payload(pushing.encoding))?;
            }
        }
    }
    Ok(())
}

impl Port {
    /// Queues those events of a run that come after `at`, as many as fit; returns how far it
    /// came, and how many events those are that were queued.
    pub fn push_run(&self, id: u64, encoding: Encoding, run: &Run, at: u64) -> (Pushed, u64) {
        let mut state = self.state.lock();
        if !state.open.contains(&id) {
            return (Pushed::Closed, 0);
        }
        let state = &mut *state;
        let mut pushing = Pushing {
            id,
            encoding,
            outbox: &mut state.outbox,
            credits: state.credits.as_deref_mut(),
            reached: at,
            events: 0,
        };
        let ended = match sieve_of(&mut state.sieves, id) {
            Some(sieve) => sift(&mut pushing, run, sieve),
            None => run.hand_out(encoding, self.form, at, |seq, events, payload| {
                pushing.put(seq, events, payload)
            }),
        };
        let (reached, events) = (pushing.reached, pushing.events);
        state.reach(id, reached);
        self.wake.notify_one();
        let pushed = match ended {
            Ok(()) => Pushed::All(reached),
            Err(Stop::Full) => Pushed::Full(reached),
            Err(Stop::Spent) => Pushed::Spent(reached),
        };
        (pushed, events)
    }
}
