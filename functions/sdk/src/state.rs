//! What a function remembers of a channel.
//!
//! In a guest each call is an import; natively there is no host, and
//! [`testing`](crate::testing) remembers instead. Owns nothing.

use std::time::Duration;

use crate::Event;

#[cfg(target_arch = "wasm32")]
std::thread_local! {
    /// Takes back what the event at hand has written, if it has. Reached through here
    /// alone, so that a function that never writes does not import it either: by that
    /// its host knows that it remembers nothing. On the heap, because the optimiser
    /// would see through a plain cell that nothing else is ever in it.
    static UNDO: std::cell::RefCell<Vec<fn(u32)>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(target_arch = "wasm32")]
fn undo_later() {
    UNDO.with_borrow_mut(|undo| undo.push(crate::bindings::eddyline::function::state::undo));
}

/// Why a value is not remembered. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateError {
    /// The key is not 1 to 256 bytes.
    Key,
    /// The channel would have more than 256 keys or 128 KiB of keys and values.
    Full,
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "the key is not 1 to 256 bytes",
            Self::Full => "the channel's memory is full: 256 keys, 128 KiB",
        })
    }
}

impl std::error::Error for StateError {}

/// The memory of an event's channel, as that event finds and leaves it.
///
/// What is written is stored with the event's emissions if its outcome is
/// [`Ack`](crate::Outcome::Ack), and was never written otherwise. Every event sees what
/// the events of its channel before it have left, on whichever worker.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    event: Event<'a>,
}

impl<'a> State<'a> {
    /// The memory of this event's channel.
    #[must_use]
    pub fn of(event: &Event<'a>) -> Self {
        Self { event: *event }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::eddyline::function::state::get(self.event.source(), key);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| host.memory.get(&self.event, key))
    }

    /// The value of a key as a text that is read, such as a number; `None` when there
    /// is none, or when it is not such a text.
    #[must_use]
    pub fn parse<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        let value = self.get(key)?;
        std::str::from_utf8(&value).ok()?.parse().ok()
    }

    /// Remembers a value.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn put(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), StateError> {
        self.write(key, value.as_ref(), 0)
    }

    /// Remembers a value for a while, in event time. Less than a millisecond counts as
    /// one.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn put_for(
        &self,
        key: &str,
        value: impl AsRef<[u8]>,
        time: Duration,
    ) -> Result<(), StateError> {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.write(key, value.as_ref(), ms.max(1))
    }

    /// Forgets a key.
    pub fn delete(&self, key: &str) {
        #[cfg(target_arch = "wasm32")]
        undo_later();
        #[cfg(target_arch = "wasm32")]
        crate::bindings::eddyline::function::state::delete(self.event.source(), key);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| host.memory.delete(&self.event, key));
    }

    fn write(&self, key: &str, value: &[u8], ttl_ms: u64) -> Result<(), StateError> {
        #[cfg(target_arch = "wasm32")]
        {
            use crate::bindings::eddyline::function::state::{Problem, put};
            undo_later();
            put(self.event.source(), key, value, ttl_ms).map_err(|problem| match problem {
                Problem::Key => StateError::Key,
                Problem::Full => StateError::Full,
            })
        }
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| host.memory.put(&self.event, key, value, ttl_ms))
    }

    /// The event is about to be handled.
    pub(crate) fn begin(&self) {
        #[cfg(target_arch = "wasm32")]
        UNDO.with_borrow_mut(Vec::clear);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| host.memory.begin(&self.event));
    }

    /// Takes back what the event has written.
    pub(crate) fn undo(&self) {
        #[cfg(target_arch = "wasm32")]
        if let Some(undo) = UNDO.with_borrow_mut(Vec::pop) {
            undo(self.event.source());
        }
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record(|host| host.memory.undo());
    }
}
