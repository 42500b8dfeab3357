//! The actor's token: another one in place of the last.

use protocol::frame::{Action, FromServer, Refresh};
use protocol::secret::Secret;
use tokio::sync::oneshot;

use super::{Actor, Pending};
use crate::error::ClientError;

/// Hears whether a token was taken.
type Waiter = oneshot::Sender<Result<(), ClientError>>;

impl Actor {
    /// Takes a token for the session that stands, and for those to come. One that the node
    /// refuses is forgotten again.
    pub(super) fn refresh(&mut self, token: Secret, waiter: Waiter) {
        let body = Refresh {
            token: token.expose().to_owned(),
        };
        self.ticket.changed();
        let before = std::mem::replace(&mut self.options.token, token);
        match self.is_connected() {
            true => self.command(Action::Refresh(body), Pending::Refresh { before, waiter }),
            // The next connection begins with it. Whoever asked may have gone.
            false => drop(waiter.send(Ok(()))),
        }
    }

    /// The node answered a token.
    pub(super) fn refreshed(&mut self, before: Secret, waiter: Waiter, frame: FromServer) {
        let outcome = match (frame.refresh, frame.error) {
            (Some(refreshed), _) => {
                self.shared.refreshed(refreshed.expires_at);
                self.want_ticket();
                Ok(())
            }
            (None, Some(body)) => {
                self.options.token = before;
                Err(ClientError::Refused(body))
            }
            (None, None) => Err(ClientError::Protocol("a reply without a body".into())),
        };
        // Whoever asked may have gone.
        drop(waiter.send(outcome));
    }
}
