//! Who is to be disconnected, as this process hears of it: the bucket's new entries, each
//! told once.
//!
//! Owns how far it has come. What the bucket held when the process began is not told:
//! nobody is connected by then.

use std::time::Duration;

use futures_util::StreamExt;
use protocol::disconnect::Disconnect;
use protocol::stream::Bucket;
use service::shutdown::Shutdown;

use crate::bus::Bus;
use crate::error::BusError;

/// Wait before the bucket is watched again after a failure, and the first time.
const RETRY: Duration = Duration::from_millis(500);

/// Which entries have been told.
#[derive(Debug, Default)]
struct Told {
    /// The highest revision that was seen.
    last: u64,
    /// The bucket was read once.
    begun: bool,
}

impl Told {
    /// Whether a change is to be told.
    fn is_new(&mut self, revision: u64) -> bool {
        let is_new = self.begun && revision > self.last;
        self.last = self.last.max(revision);
        is_new
    }

    /// Everything that the bucket has is seen, up to this revision. One that was made anew
    /// counts from its own beginning.
    fn caught_up(&mut self, highest: u64) {
        (self.last, self.begun) = (highest, true);
    }
}

/// Tells `take` of each new entry until the process stops. One that came while the process
/// was cut off is told once it is back.
pub async fn follow(bus: Bus, take: impl Fn(&Disconnect), stop: Shutdown) {
    let mut told = Told::default();
    loop {
        // Cancel safe: the next watch starts with everything again, and what was told is
        // known.
        tokio::select! {
            () = stop.triggered() => return,
            result = watch(&bus, &mut told, &take) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "disconnects cannot be watched yet");
                }
            }
        }
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn watch(bus: &Bus, told: &mut Told, take: &impl Fn(&Disconnect)) -> Result<(), BusError> {
    let mut bucket = bus.kv(Bucket::Disconnects).await?.watch_all().await?;
    let mut highest = 0;
    while let Some(change) = bucket.next().await {
        highest = highest.max(change.revision);
        if told.is_new(change.revision) {
            tell(&change.key, change.value.as_deref(), take);
        }
        if change.initial_done {
            told.caught_up(highest);
        }
    }
    Ok(())
}

fn tell(key: &str, value: Option<&[u8]>, take: &impl Fn(&Disconnect)) {
    // Nobody deletes; what ends by its age is not told.
    let Some(value) = value else {
        return;
    };
    match serde_json::from_slice::<Disconnect>(value) {
        Ok(entry) if entry.key() == key => take(&entry),
        Ok(entry) => tracing::warn!(key, belongs = entry.key(), "a disconnect is misplaced"),
        Err(problem) => tracing::warn!(key, %problem, "a disconnect is not readable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_is_told_once_and_those_of_before_never() {
        let mut told = Told::default();
        assert!(!told.is_new(3) && !told.is_new(4));
        told.caught_up(4);
        assert!(told.is_new(5) && !told.is_new(5));
        // After a break everything is read again.
        assert!(!told.is_new(4) && !told.is_new(5) && told.is_new(7));
        told.caught_up(7);
        assert!(!told.is_new(7) && told.is_new(8));
        // Another bucket of the same name.
        assert!(!told.is_new(1));
        told.caught_up(1);
        assert!(told.is_new(2));
    }
}
