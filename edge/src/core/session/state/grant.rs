//! What a session may do, over time: a new token, an old one that ends, one that is
//! revoked.

use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Expiry, Outcome, Push, Refresh, Refreshed};

use super::{Phase, State, Step, Taken, refuse};
use crate::core::session::commands::{self, Rules};

impl State {
    /// Whether the token has ended: what it allowed is over, but for the grace in which
    /// another one may come.
    pub(super) fn has_expired(&self, rules: &Rules<'_>) -> bool {
        matches!(self.phase, Phase::Connected(_)) && self.ends_at.is_some_and(|at| rules.now >= at)
    }

    /// Refuses what needs a token, once there is none.
    pub(super) fn check_expiry(&self, rules: &Rules<'_>) -> Result<(), ErrorBody> {
        match self.has_expired(rules) {
            false => Ok(()),
            true => Err(ErrorBody::new(
                ErrorCode::TokenExpired,
                "the token has expired: refresh comes first",
            )),
        }
    }

    /// Checks `refresh`, and what is subscribed against what the new token allows.
    pub(super) fn refresh(&mut self, rules: &Rules<'_>, id: u64, body: &Refresh) -> Taken {
        let identity = commands::identity(rules, &body.token)?;
        let Phase::Connected(member) = &mut self.phase else {
            return refuse(ErrorCode::NotConnected, "the session is not connected");
        };
        let who = &mut member.who;
        if (&identity.tenant, &identity.user) != (&who.identity.tenant, &who.identity.user) {
            let message = "the token is for another tenant or user than the session's";
            return refuse(ErrorCode::BadToken, message);
        }
        who.identity = identity;
        let expires_at = who.ends_us();
        self.ends_at = who.ends_at(rules);
        (self.told_expiry, self.closes_at) = (false, None);
        let mut steps = vec![Step::Reply(id, Outcome::Refresh(Refreshed { expires_at }))];
        steps.extend(self.recheck_subscriptions());
        Ok(steps)
    }

    /// Ends the subscriptions that the token does not allow any more.
    fn recheck_subscriptions(&mut self) -> Vec<Step> {
        let Phase::Connected(member) = &self.phase else {
            return Vec::new();
        };
        let mut ended = Vec::new();
        self.subscriptions.retain(|channel, (id, command)| {
            let allowed = commands::may_subscribe(&member.who.identity, channel);
            if !allowed {
                ended.push((channel.clone(), *id, *command));
            }
            allowed
        });
        // In an order that does not depend on a hash.
        ended.sort();
        let steps = ended
            .into_iter()
            .map(|(channel, id, command)| Step::Withdraw {
                id,
                command,
                channel,
            });
        steps.collect()
    }

    /// The token has ended, or the grace after it.
    pub(super) fn expire(&mut self, rules: &Rules<'_>) -> Vec<Step> {
        let grace = rules.limits.expiry_grace();
        self.closes_at = self.ends_at.and_then(|at| at.checked_add(grace));
        if self.closes_at.is_none_or(|over| rules.now >= over) {
            return vec![Step::Close(CloseCode::TokenExpired)];
        }
        if std::mem::replace(&mut self.told_expiry, true) {
            return Vec::new();
        }
        let closes_after_ms = grace.as_millis() as u64;
        vec![Step::Push(Box::new(Push::TokenExpired(Expiry {
            closes_after_ms,
        })))]
    }

    /// Something was revoked.
    pub fn recheck(&self, rules: &Rules<'_>) -> Vec<Step> {
        let Phase::Connected(member) = &self.phase else {
            return Vec::new();
        };
        let Some(revocations) = &rules.revocations else {
            return Vec::new();
        };
        let identity = &member.who.identity;
        let tenant = &identity.tenant;
        let ended = revocations.ends(tenant, &self.name, self.began_us, rules.now_us);
        match ended || revocations.bars(&identity.bearer(), rules.now_us) {
            true => vec![Step::Close(CloseCode::Revoked)],
            false => Vec::new(),
        }
    }
}
