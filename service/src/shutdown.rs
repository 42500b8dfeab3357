//! The one signal that ends a service: a tree of cancellation tokens.
//!
//! Owns the token; does not know what is being shut down, nor in which order.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A cheap, cloneable handle; all clones see the same trigger.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A handle that nobody has triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody who holds this handle, or a child of it, to end.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether it was triggered.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the trigger. Cancel safe.
    pub async fn triggered(&self) {
        self.0.cancelled().await;
    }

    /// A handle that this one triggers, but that can also be triggered alone.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Triggers on SIGINT or SIGTERM. A second signal ends the process at once, so
    /// that a drain that hangs can still be ended from the terminal.
    ///
    /// # Errors
    /// The system's, if a signal handler cannot be installed.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let token = self.0.clone();
        tokio::spawn(async move {
            for second in [false, true] {
                // Both branches are cancel safe: a signal stays pending until it is received.
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if second {
                    std::process::exit(EXIT_SECOND_SIGNAL);
                }
                token.cancel();
            }
        });
        Ok(())
    }
}

/// What the shell reports for a process that SIGINT ended.
const EXIT_SECOND_SIGNAL: i32 = 130;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_follows_but_does_not_lead() {
        let parent = Shutdown::new();
        let (one, two) = (parent.child(), parent.child());
        one.trigger();
        assert!(one.is_triggered() && !parent.is_triggered() && !two.is_triggered());
        parent.trigger();
        two.triggered().await;
    }
}
