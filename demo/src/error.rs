//! Why a demo could not be brought to its end. That texts differ is no error: it
//! is the report's to say.

use super::edit::EditError;
use super::editor::EditorError;
use super::trace::TraceError;
use client::ClientError;

/// A failure of the demo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The trace cannot be used.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A client failed for good.
    #[error("editor {agent}: {source}")]
    Client {
        /// Whose.
        agent: u32,
        /// How.
        source: ClientError,
    },
    /// A subscription ended although nobody left it.
    #[error("editor {agent}: the subscription ended")]
    Ended {
        /// Whose.
        agent: u32,
    },
    /// Events were lost: the channel announced a gap.
    #[error("editor {agent}: events {from} to {to} are lost")]
    Gap {
        /// Who missed them.
        agent: u32,
        /// First sequence.
        from: u64,
        /// Last sequence.
        to: u64,
    },
    /// An event on the document's channel is no edit.
    #[error("event {seq} on the document's channel: {source}")]
    Edit {
        /// Its sequence.
        seq: u64,
        /// What is wrong.
        source: EditError,
    },
    /// An editor cannot go on.
    #[error("editor {agent}: {source}")]
    Editor {
        /// Which.
        agent: u32,
        /// Why.
        source: EditorError,
    },
    /// The gate refused an edit that is well formed, or told something unreadable.
    #[error("editor {agent} was told of event {n}: {reason}")]
    Outcome {
        /// Who was told.
        agent: u32,
        /// Of which event.
        n: u64,
        /// What.
        reason: String,
    },
    /// Nothing moves any more.
    #[error("editor {agent}: nothing happened for {seconds} s, still waiting for {missing}")]
    Stalled {
        /// Who waits.
        agent: u32,
        /// How long.
        seconds: u64,
        /// For what.
        missing: String,
    },
    /// The mirror cannot be read.
    #[error("the mirror cannot be read: {0}")]
    Mirror(#[from] client::replay::ReplayError),
    /// The mirror holds something that cannot be applied.
    #[error("the mirror holds event {seq}, which cannot be applied: {problem}")]
    MirrorEvent {
        /// Its sequence.
        seq: u64,
        /// What is wrong.
        problem: String,
    },
    /// The mirror announced a loss.
    #[error("the mirror lost events {from} to {to}")]
    MirrorGap {
        /// First sequence.
        from: u64,
        /// Last sequence.
        to: u64,
    },
    /// There is no edge node to connect to.
    #[error("no edge node is named")]
    NoEdge,
    /// A participant's task was cut off.
    #[error("an editor was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}
