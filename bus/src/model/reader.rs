//! Following a stream of a model in order. Owns the place in the stream; yields each
//! event once, across everything that happens to its consumer.

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::connection::Connection;
use super::follow::Turn;
use super::place::Place;
use crate::error::BusError;
use crate::following::{ReaderOptions, Start};
use protocol::bus::Stored;

/// Reads a stream, or one filter of it.
pub(crate) struct Reader {
    connection: Connection,
    place: Place,
    stored: watch::Receiver<u64>,
    changes: watch::Receiver<u64>,
}

impl Connection {
    pub(crate) async fn reader(
        &self,
        stream: &str,
        filter: Option<String>,
        start: Start,
        options: ReaderOptions,
    ) -> Result<Reader, BusError> {
        // As over NATS: the stream is asked for first, so that the same faults apply.
        self.describe(stream).await?;
        let link = self.link;
        let (place, stored) = self.shared.act(|world, now| {
            let from = (stream, filter);
            let place = world.network.consume(now, link, from, start, options);
            (place, world.stored(stream))
        });
        Ok(Reader {
            connection: self.clone(),
            place: place?,
            stored,
            changes: self.changes.clone(),
        })
    }
}

impl Reader {
    pub(crate) fn pending(&self) -> u64 {
        self.place.pending
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.place.last
    }

    /// Cancel safe: what is taken is returned without another await.
    pub(crate) async fn next_batch(&mut self) -> Result<Vec<Stored>, BusError> {
        loop {
            self.stored.mark_unchanged();
            self.changes.mark_unchanged();
            let (link, place) = (self.connection.link, &mut self.place);
            let turn = self
                .connection
                .shared
                .act(|world, now| world.network.follow(now, link, place))?;
            let again = match turn {
                Turn::Events(events) => return Ok(events),
                Turn::Wait(again) => again,
            };
            let again = again.map(|at| self.connection.shared.instant(at));
            let due = async {
                match again {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // All branches are cancel safe: they only wait.
            tokio::select! {
                biased;
                _ = self.stored.changed(), if again.is_none() => {}
                _ = self.changes.changed() => {}
                () = due => {}
            }
        }
    }
}
