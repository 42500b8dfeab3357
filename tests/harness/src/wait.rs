//! Waiting for conditions. Tests never wait for time to pass: they look until
//! something holds, and say what does not when it takes too long.

use std::time::Duration;

use tokio::time::Instant;

/// How long anything that must happen may take: generous, because the machine may
/// be busy with other tests; nothing is slower for it.
pub const DEADLINE: Duration = Duration::from_secs(90);
/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(25);

/// Looks until `look` is content, for at most `deadline`. What it complained about
/// last is the failure's message.
///
/// # Errors
/// What did not happen, how long that was waited for, and the last complaint.
pub async fn look<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let end = Instant::now() + deadline;
    let mut complaint = String::from("the first look has not ended");
    loop {
        match tokio::time::timeout_at(end, look()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(reason)) => complaint = reason,
            Err(_) => {}
        }
        if Instant::now() >= end {
            return Err(format!("{what}: not within {deadline:?}: {complaint}"));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// [`look`] within [`DEADLINE`], as a test wants it.
///
/// # Panics
/// If it does not happen.
pub async fn until<T>(what: &str, condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    match look(what, DEADLINE, condition).await {
        Ok(found) => found,
        Err(problem) => panic!("{problem}"),
    }
}

/// Waits for a future that must end.
///
/// # Panics
/// If it does not within [`DEADLINE`].
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for a look, and all that a test waits.
    const MOMENT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        let found = look("the third look", DEADLINE, async || {
            looks += 1;
            if looks == 3 {
                Ok(looks)
            } else {
                Err("not yet".into())
            }
        });
        assert_eq!(found.await, Ok(3));
    }

    #[tokio::test]
    async fn what_does_not_happen_is_told_with_the_last_complaint() {
        let never = look("the impossible", MOMENT, async || {
            Err::<(), _>("there is none".into())
        });
        let told = never.await.unwrap_err();
        assert!(
            told.contains("the impossible") && told.contains("there is none"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_hang_the_wait() {
        let hangs = look("anything", MOMENT, async || {
            std::future::pending::<Result<(), String>>().await
        });
        assert!(hangs.await.is_err());
    }
}
