//! The actor's ephemeral events: sent once, on the connection that stands now, or not at
//! all. Knows that nothing of them is kept; must not know what they mean.

use protocol::class::Class;
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, ErrorBody, FromServer, Publish, PublishReply};

use super::frames::frame_of;
use super::{Actor, Pending};
use crate::error::ClientError;
use crate::options::Draft;
use crate::request::PassWaiter;

impl Actor {
    /// Sends an ephemeral event. Policy where half of the node's window waits already: it
    /// is refused, as the node would. Whoever published it may have gone.
    pub(super) fn pass_on(&mut self, n: u64, draft: &Draft, waiter: PassWaiter) {
        if !self.is_connected() {
            let _ = waiter.send(Err(ClientError::Lost));
            return;
        }
        let max = (self.window / 2).max(1);
        if self.passing >= max {
            let message = format!("{max} ephemeral events wait for their answer already");
            let body = ErrorBody::new(ErrorCode::WindowExceeded, message);
            let _ = waiter.send(Err(ClientError::Refused(body)));
            return;
        }
        self.passing += 1;
        let publish = Publish {
            class: Class::Ephemeral,
            ..frame_of(self.options.encoding, n, draft, None)
        };
        self.command(Action::Publish(publish), Pending::PassOn(waiter));
    }

    /// The node answered one.
    pub(super) fn passed_on(&mut self, waiter: PassWaiter, frame: FromServer) {
        self.passing = self.passing.saturating_sub(1);
        let outcome = match (frame.publish, frame.error) {
            (Some(PublishReply::PassedOn(passed)), _) => Ok(passed),
            (_, Some(body)) => Err(ClientError::Refused(body)),
            _ => Err(ClientError::Protocol("a reply without a body".into())),
        };
        let _ = waiter.send(outcome);
    }
}
