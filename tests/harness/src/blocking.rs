//! Calls that block, from tests that must not. Owns nothing.

/// Runs a call that blocks.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(output) => output,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
