//! What a session may do, over time: a new token, an old one that ends, one that is
//! revoked.

use std::time::{Duration, UNIX_EPOCH};

use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Expiry, Outcome, Push, Refresh, Refreshed};
use tokio::time::Instant;

use super::{Phase, State, Step, Taken, refuse};
use crate::core::session::commands::{self, Rules, Who};

/// Microseconds since 1970 of the moment until which a session is served.
pub(super) fn ends_us(who: &Who) -> u64 {
    let since = who.identity.ends_at.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// The same moment by the clock of timers; `None`: later than it counts.
pub(super) fn ends_at(rules: &Rules<'_>, who: &Who) -> Option<Instant> {
    let left = ends_us(who).saturating_sub(rules.now_us);
    rules.now.checked_add(Duration::from_micros(left))
}

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
        let expires_at = ends_us(who);
        self.ends_at = ends_at(rules, who);
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
        let steps = ended.into_iter().map(|(channel, id, command)| Step::Withdraw {
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
        vec![Step::Push(Push::TokenExpired(Expiry { closes_after_ms }))]
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
