//! What a session receives: subscriptions, pages of history, looks at who is there.

use std::sync::Arc;

use protocol::error_code::ErrorCode;
use protocol::frame::{
    AskPresence, ErrorBody, Grant, History, HistoryPage, Member, Named, Outcome, Presence, Start,
    Subscribe, Unsubscribed,
};
use protocol::name::{Channel, Tenant};

use super::{READS_MAX, State, Step, Taken, refuse, writer};
use crate::core::request::Request;
use crate::core::session::commands::{self, Rules, Who};
use crate::core::session::pages;
use crate::core::session::{credit, presence};
use crate::core::wants::Wants;

impl State {
    pub(super) fn subscribe(
        &mut self,
        rules: &Rules<'_>,
        command: u64,
        body: Subscribe,
        id: u64,
    ) -> Taken {
        self.check_expiry(rules)?;
        let who = &self.member()?.who;
        let (channel, place) = commands::subscribe(rules, who, &body)?;
        if self.subscriptions.contains_key(&channel) {
            return refuse(
                ErrorCode::AlreadySubscribed,
                format!("{channel} is subscribed"),
            );
        }
        let max = rules.limits.subscriptions;
        if self.subscriptions.len() >= max {
            return refuse(
                ErrorCode::TooManySubscriptions,
                format!("the session has {max} subscriptions, as many as it may"),
            );
        }
        let tenant = who.identity.tenant.clone();
        let wants = Wants {
            own: (!body.echo).then(|| writer(who)),
            counted: body.credit.is_some(),
            filter: commands::filter(body.headers.clone())?.map(Arc::new),
        };
        credit::check(body.credit)?;
        let seating = match self.hidden {
            true => None,
            false => presence::seating(&channel, &place, body.presence, || {
                presence::member(who, &self.name, rules.now_us)
            })?,
        };
        let asked = Subscribe {
            from: None,
            channel: body.channel.clone(),
            ..body.clone()
        };
        self.subscriptions.insert(channel.clone(), (id, command));
        match asked == Subscribe::new(&*body.channel) {
            true => drop(self.wishes.remove(&channel)),
            false => drop(self.wishes.insert(channel.clone(), Box::new(asked))),
        }
        let start = body.from.unwrap_or(Start::Named(Named::Now));
        Ok(vec![Step::Attach(Box::new(Request {
            command,
            id,
            tenant,
            channel,
            place,
            start,
            wants,
            credit: body.credit,
            seating,
        }))])
    }

    /// A subscription that is still being made is cancelled, and its place is free at
    /// once: waited for, quick changes would use up the limit.
    pub(super) fn unsubscribe(&mut self, command: u64, text: &str) -> Taken {
        let channel = Channel::parse(text).ok();
        match channel.and_then(|channel| self.subscriptions.remove(&channel)) {
            Some((id, asked_by)) => {
                let leave = Step::Leave {
                    id,
                    command: asked_by,
                };
                let channel = text.into();
                let reply = Outcome::Unsubscribe(Unsubscribed { channel });
                Ok(vec![leave, Step::Reply(command, reply)])
            }
            None => refuse(ErrorCode::NotSubscribed, "the channel is not subscribed"),
        }
    }

    pub(super) fn grant(&mut self, rules: &Rules<'_>, command: u64, body: Grant) -> Taken {
        self.check_expiry(rules)?;
        let channel = Channel::parse(&body.channel).ok();
        let known = channel.and_then(|channel| self.subscriptions.get(&channel));
        let Some((id, _)) = known else {
            return refuse(ErrorCode::NotSubscribed, "the channel is not subscribed");
        };
        credit::check_grant(&body)?;
        Ok(vec![Step::Grant(command, *id, body)])
    }

    /// A subscription could not be made.
    pub fn refused(
        &mut self,
        id: u64,
        command: u64,
        channel: &Channel,
        error: ErrorBody,
    ) -> Vec<Step> {
        if self
            .subscriptions
            .get(channel)
            .is_none_or(|(known, _)| *known != id)
        {
            return Vec::new();
        }
        self.subscriptions.remove(channel);
        vec![
            Step::Detach(id),
            Step::Reply(command, Outcome::Error(error)),
        ]
    }

    pub(super) fn history(&mut self, rules: &Rules<'_>, command: u64, body: History) -> Taken {
        self.check_expiry(rules)?;
        let asked = pages::history(rules, &self.member()?.who.identity, body)?;
        if self.reads >= READS_MAX {
            let message = format!("{READS_MAX} pages of history are being read already");
            return refuse(ErrorCode::TooManyReads, message);
        }
        self.reads += 1;
        Ok(vec![Step::Read(command, Box::new(asked))])
    }

    pub(super) fn look(&mut self, rules: &Rules<'_>, command: u64, body: &AskPresence) -> Taken {
        self.check_expiry(rules)?;
        let asked = presence::ask(rules, &self.member()?.who.identity, body)?;
        if self.reads >= READS_MAX {
            let message = format!("{READS_MAX} reads are under way already");
            return refuse(ErrorCode::TooManyReads, message);
        }
        self.reads += 1;
        Ok(vec![Step::Look(command, Box::new(asked))])
    }

    /// Somebody looked who is on a channel, or could not.
    pub fn looked(&mut self, command: u64, outcome: Result<Presence, ErrorBody>) -> Step {
        self.reads = self.reads.saturating_sub(1);
        Step::Reply(
            command,
            outcome.map_or_else(Outcome::Error, Outcome::Presence),
        )
    }

    /// This session as a member of channels, since now; `None`: it is shown to nobody.
    pub fn present(&self, rules: &Rules<'_>) -> Option<Member> {
        let member = self.member().ok().filter(|_| !self.hidden)?;
        Some(presence::member(&member.who, &self.name, rules.now_us))
    }

    /// Who it is, and what was asked of each of its subscriptions, by the number of that, in
    /// an order that does not depend on a hash.
    pub fn ticket(&self) -> Option<(&Who, Vec<(u64, Subscribe)>)> {
        let who = &self.member().ok()?.who;
        let mut all: Vec<_> = self.subscriptions.iter().collect();
        all.sort_unstable_by_key(|(channel, _)| channel.as_str());
        let asked = all.into_iter().map(|(channel, (id, _))| {
            let wish = self.wishes.get(channel).map(|wish| (**wish).clone());
            (
                *id,
                wish.unwrap_or_else(|| Subscribe::new(channel.as_str())),
            )
        });
        Some((who, asked.collect()))
    }

    /// Where a namespace is told of this writer, and its tenant.
    pub fn writer_channel(&self, namespace: &str) -> Option<(Channel, Tenant)> {
        let who = &self.member().ok()?.who;
        let channel = Channel::session(namespace, &who.identity.user, &who.client)?;
        Some((channel, who.identity.tenant.clone()))
    }

    /// Shows the session to nobody: it is there for one answer.
    pub fn hide(&mut self) {
        self.hidden = true;
    }

    /// A page was read, or could not be.
    pub fn read(&mut self, command: u64, outcome: Result<Box<HistoryPage>, ErrorBody>) -> Step {
        self.reads = self.reads.saturating_sub(1);
        Step::Reply(
            command,
            outcome.map_or_else(Outcome::Error, Outcome::History),
        )
    }
}
