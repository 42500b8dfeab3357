//! The start of a run. Its order is what exactly-once stands on: fence the
//! predecessor, only then read the progress, look at the lease again, check that the
//! stream and the topics are those that were mirrored, and read on from there.
//!
//! Owns nothing; what it has made is the run's.

use std::sync::Arc;

use bus::{Reader, ReaderOptions};
use protocol::record::Progress;

use super::end::RunError;
use super::progress::{self, ProgressError};
use super::relay::Relay;
use super::shard::Shard;
use super::survey;
use super::tenure::Tenure;
use super::topics::Topics;
use super::writer::{Report, Writer};

/// How the stream is read: two pulls of this size wait in memory at most.
const READER: ReaderOptions = ReaderOptions {
    batch: 5_000,
    bytes_max: 4 * 1024 * 1024,
};

/// What a run works with once it has started.
pub(super) struct Started {
    pub reader: Reader,
    pub relay: Relay,
    pub topics: Topics,
    /// What was found of the topics that the progress record names.
    pub findings: Vec<survey::Finding>,
    /// The last progress that is committed.
    pub last: Option<Progress>,
    pub lease: u64,
    /// The stream's first and last sequence.
    pub first_seq: u64,
    pub last_seq: u64,
}

/// Starts; `None`: the lease was lost meanwhile.
///
/// # Errors
/// [`RunError`].
pub(super) async fn start(
    shard: &Arc<Shard>,
    writer: &mut Writer,
    tenure: &Tenure,
) -> Result<Option<Started>, RunError> {
    match writer.report().await {
        Some(Report::Ready) => {}
        Some(Report::Failed(fault)) => return Err(fault.into()),
        Some(Report::Committed(_)) | None => return Err(RunError::Ended),
    }
    shard.faults.hit("mirror.takeover");
    let last = read_progress(shard).await?;
    if tenure.is_lost() {
        return Ok(None);
    }
    let state = shard.bus.stream_state(&shard.stream).await?;
    if let Some(progress) = &last {
        verify(shard, progress, state.first_seq, state.last_seq).await?;
    }
    shard.admin.check_progress(&shard.progress_topic).await?;
    let mut topics = Topics::new(last.as_ref());
    let policy = shard.config.on_broken_topic;
    let findings = survey::begin(&shard.admin, &mut topics, policy).await?;
    let seq = last.as_ref().map_or(0, |progress| progress.seq);
    let reader = shard
        .bus
        .reader(&shard.stream, None, seq + 1, READER)
        .await?;
    tracing::info!(stream = %shard.stream, seq, first = state.first_seq, last = state.last_seq, "mirror starts");
    Ok(Some(Started {
        reader,
        relay: Relay::new(seq, shard.config.commit_interval()),
        topics,
        findings,
        last,
        lease: tenure.revision(),
        first_seq: state.first_seq,
        last_seq: state.last_seq,
    }))
}

/// Whether `last` is still the last committed progress, so that nobody has mirrored on
/// since it was read. A successor commits its records and its progress in one
/// transaction: whoever has seen the former and asks then, sees the latter.
///
/// # Errors
/// [`ProgressError`].
pub(super) async fn is_current(
    shard: &Arc<Shard>,
    last: Option<&Progress>,
) -> Result<bool, ProgressError> {
    Ok(read_progress(shard).await?.as_ref() == last)
}

async fn read_progress(shard: &Arc<Shard>) -> Result<Option<Progress>, ProgressError> {
    let shard = shard.clone();
    let read = tokio::task::spawn_blocking(move || {
        let stop = || shard.shutdown.is_triggered();
        progress::read(
            &shard.config.kafka,
            shard.admin.observer(),
            &shard.progress_topic,
            shard.progress_partition,
            &shard.stream,
            &stop,
        )
    });
    read.await.expect("reading the progress does not panic")
}

/// Checks that the stream is the one that the progress record speaks of.
async fn verify(
    shard: &Shard,
    progress: &Progress,
    first_seq: u64,
    last_seq: u64,
) -> Result<(), RunError> {
    let stream = shard.stream.to_string();
    if progress.epoch != shard.epoch {
        return Err(RunError::Epoch {
            stream,
            recorded: progress.epoch.to_string(),
            found: shard.epoch.to_string(),
        });
    }
    let rolled_back = RunError::RolledBack {
        stream,
        seq: progress.seq,
    };
    if progress.seq > last_seq {
        return Err(rolled_back);
    }
    // Time 0: the record ends with a gap, so there is no event to compare with.
    if progress.time == 0 || progress.seq < first_seq {
        return Ok(());
    }
    match shard.bus.get(&shard.stream, progress.seq).await? {
        Some(event) if event.time_us != progress.time => Err(rolled_back),
        _ => Ok(()),
    }
}
