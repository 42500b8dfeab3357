//! What the mirror is at, for whoever shows it.

use std::collections::BTreeMap;

use protocol::stream::StreamName;
use tokio::sync::watch;

/// Every shard of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorStatus {
    /// By stream.
    pub shards: BTreeMap<StreamName, ShardStatus>,
}

/// One shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardStatus {
    /// What this process does with it.
    pub state: ShardState,
    /// Everything up to this sequence is committed in Kafka, or recorded as a gap,
    /// whichever process did it.
    pub mirrored: u64,
    /// Store time of that event, microseconds since 1970; 0 where unknown.
    pub time_us: u64,
    /// Gaps that the progress record names.
    pub gaps: u64,
    /// Topics that are passed over at the moment, and why.
    pub broken: BTreeMap<String, String>,
    /// What it waits for, if the mirror stands still for it. A shard that another
    /// process works on waits for nothing.
    pub waits_for: Option<String>,
}

impl MirrorStatus {
    /// What the mirror waits for, one line for each shard that stands still.
    pub fn waiting(&self) -> Vec<String> {
        let lines = self.shards.iter().filter_map(|(stream, shard)| {
            let reason = shard.waits_for.as_ref()?;
            Some(format!("shard {stream}: {reason}"))
        });
        lines.collect()
    }
}

/// What a process does with a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ShardState {
    /// Another process holds the lease, or a server is out of reach.
    #[default]
    Waiting,
    /// It holds the lease and takes over.
    Starting,
    /// It mirrors.
    Mirroring,
    /// It has stopped until somebody has looked; the log says why.
    Halted,
}

/// Changes one shard's status.
pub(crate) fn update(
    status: &watch::Sender<MirrorStatus>,
    stream: &StreamName,
    change: impl FnOnce(&mut ShardStatus),
) {
    status.send_if_modified(|status| {
        let shard = status.shards.entry(stream.clone()).or_default();
        let before = shard.clone();
        change(shard);
        *shard != before
    });
}
