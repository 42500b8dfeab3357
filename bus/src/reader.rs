//! Following a stream in order, over either backend. Owns the backend's reader.

use std::sync::Arc;

use crate::bus::{self, Bus};
use crate::error::BusError;
use crate::following::{ReaderOptions, Start};
use crate::known::Known;
use crate::{model, nats};
use protocol::bus::Stored;
use protocol::stream::StreamName;
use protocol::subject::Subject;

/// Reads a stream, or one filter of it, in order.
pub struct Reader {
    backend: Backend,
    /// Where what was read is noted; not for streams that are not Eddyline's own.
    known: Option<(Arc<Known>, StreamName)>,
}

enum Backend {
    Nats(nats::Reader),
    Model(model::Reader),
}

impl Bus {
    /// Follows a stream from a sequence on, or only a filter of it.
    ///
    /// # Errors
    /// [`BusError::NotFound`] if there is no such stream, [`BusError::Limit`]; those of
    /// a request.
    pub async fn reader(
        &self,
        stream: &StreamName,
        filter: Option<&Subject>,
        from_seq: u64,
        options: ReaderOptions,
    ) -> Result<Reader, BusError> {
        let filter = filter.map(|filter| filter.as_str().to_owned());
        let start = Start::Seq(from_seq.max(1));
        self.raw_reader(stream.as_str(), filter, start, options)
            .await
    }

    /// Follows any stream, also one that is not Eddyline's own.
    pub(crate) async fn raw_reader(
        &self,
        stream: &str,
        filter: Option<String>,
        start: Start,
        options: ReaderOptions,
    ) -> Result<Reader, BusError> {
        options.check()?;
        let backend = match &self.0 {
            bus::Backend::Nats(bus) => {
                Backend::Nats(bus.reader(stream, filter, start, options).await?)
            }
            bus::Backend::Model(bus) => {
                Backend::Model(bus.reader(stream, filter, start, options).await?)
            }
        };
        let known = StreamName::parse(stream).map(|stream| (self.1.clone(), stream));
        Ok(Reader { backend, known })
    }
}

impl Reader {
    /// How many events wait in the stream behind the last one that was yielded.
    pub fn pending(&self) -> u64 {
        match &self.backend {
            Backend::Nats(reader) => reader.pending(),
            Backend::Model(reader) => reader.pending(),
        }
    }

    /// The last sequence that was yielded; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        match &self.backend {
            Backend::Nats(reader) => reader.last_seq(),
            Backend::Model(reader) => reader.last_seq(),
        }
    }

    /// Waits for at least one event and returns what is ready, at most one batch.
    /// Breaks are repaired inside, for as long as they last. Cancel safe: what was not
    /// returned comes with the next call.
    ///
    /// # Errors
    /// [`BusError::StreamChanged`] or [`BusError::NotFound`] when the stream is not the
    /// one that was being read; a refusal by the server that is not temporary.
    pub async fn next_batch(&mut self) -> Result<Vec<Stored>, BusError> {
        let batch = match &mut self.backend {
            Backend::Nats(reader) => reader.next_batch().await,
            Backend::Model(reader) => reader.next_batch().await,
        }?;
        if let (Some((known, stream)), Some(last)) = (&self.known, batch.last()) {
            known.saw(stream, last.seq);
        }
        Ok(batch)
    }
}
