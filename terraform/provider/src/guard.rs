//! A call whose panic is an answer, not the end of the provider: the other resources of a
//! run go on. Owns nothing.

use std::any::Any;

use crate::diagnostic::Diagnostic;

/// Carries a call out on a task of its own, so that it also goes on where nobody waits for
/// its answer any more: what it has begun to write it ends.
///
/// # Errors
/// It has panicked.
pub async fn guarded<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> Result<T, Diagnostic> {
    tokio::spawn(call)
        .await
        .map_err(|error| match error.try_into_panic() {
            Ok(panic) => broken(&*panic),
            Err(error) => broken(&error.to_string()),
        })
}

fn broken(panic: &(dyn Any + Send)) -> Diagnostic {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "no more is known".into());
    let detail = format!(
        "{text}. This is a fault of the provider: please report it with what was to be done. \
         Apply again to see what is there."
    );
    Diagnostic::error("the provider has failed", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told() {
        assert_eq!(guarded(async { 7 }).await, Ok(7));
        let told = guarded(async { panic!("no such {}", "luck") }).await;
        let told: Result<(), Diagnostic> = told;
        let told = told.unwrap_err();
        assert!(
            told.is_error && told.detail.starts_with("no such luck"),
            "{told:?}"
        );
    }
}
