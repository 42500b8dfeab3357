//! What can be judged of a thing by itself, where nobody can be asked what there is: the
//! rules of its own fields, and whether its module starts.
//!
//! Owns nothing.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use protocol::checkpoint::Digest;
use protocol::spec::{FunctionSpec, Written};

use crate::draft::FunctionDraft;
use crate::error::ControlError;
use crate::function::stages;
use crate::namespace::NamespaceDraft;

/// Judges a namespace.
///
/// # Errors
/// [`ControlError::Refused`] names the field.
pub fn namespace(draft: NamespaceDraft) -> Result<(), ControlError> {
    let nobody = Written {
        by: String::new(),
        at_us: 0,
    };
    Ok(draft.spec(None, nobody).check()?)
}

/// Judges the fields of a function of which the modules are not known yet.
///
/// # Errors
/// [`ControlError::Refused`] names the field.
pub fn fields(draft: &FunctionDraft) -> Result<(), ControlError> {
    Ok(spec(draft, Digest::from_bytes([0; 32])).check()?)
}

/// Judges a function with its modules, which are compiled and started as a worker does it.
/// `compiled` is the folder in which compiled code is kept.
///
/// # Errors
/// [`ControlError::Refused`] names the field; [`ControlError::Module`].
pub async fn function(
    draft: FunctionDraft,
    modules: Vec<Bytes>,
    compiled: Option<PathBuf>,
) -> Result<(), ControlError> {
    let judge = move || check(&draft, &modules, compiled.as_deref());
    match tokio::task::spawn_blocking(judge).await {
        Ok(judged) => judged,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The same, for up to 25 seconds of this thread.
///
/// # Errors
/// As [`function`].
pub fn check(
    draft: &FunctionDraft,
    modules: &[Bytes],
    compiled: Option<&Path>,
) -> Result<(), ControlError> {
    let (digest, then) = stages(draft, modules)?;
    let spec = FunctionSpec {
        then,
        ..spec(draft, digest)
    };
    spec.check()?;
    Ok(host::check(spec, modules, compiled).map(drop)?)
}

fn spec(draft: &FunctionDraft, digest: Digest) -> FunctionSpec {
    FunctionSpec {
        headers: draft.headers.clone(),
        emits: draft.emits.clone(),
        config: draft.config.clone(),
        limits: draft.limits.clone(),
        linger_ms: draft.linger_ms,
        loops: draft.loops,
        ..FunctionSpec::new(
            draft.name.clone(),
            digest,
            draft.store.clone(),
            draft.trigger.clone(),
        )
    }
}
