//! What the watchers of a channel have been told, and what that makes of a change: a
//! machine.
//!
//! Owns the last view. Up to the namespace's number of members each of them is told by
//! name, and every change at once; beyond, their count alone, at a bounded pace. Back
//! among the named a channel comes only well below the number, so that one that stands at
//! it does not change to and fro.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::frame::{Join, Leave, Member, Presence, Push};
use tokio::time::Instant;

use super::roster::Who;

/// Wait between two counts that watchers are told: many who come at once cost each watcher
/// one frame a second.
pub const COUNT_PACE: Duration = Duration::from_secs(1);
/// Members are named again at this part of the number up to which they are, in quarters.
const NAMED_AGAIN_QUARTERS: u32 = 3;

/// Who is on a channel, as its node knows it now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// How many.
    pub count: u32,
    /// Who; `None`: more than are named.
    pub members: Option<BTreeMap<Who, Member>>,
}

impl View {
    /// As a frame tells it.
    pub fn frame(&self, channel: &str) -> Presence {
        Presence {
            channel: channel.into(),
            count: self.count,
            members: self
                .members
                .as_ref()
                .map(|all| all.values().cloned().collect()),
            ended: false,
        }
    }
}

/// What watchers have been told.
#[derive(Debug)]
pub struct Told {
    view: View,
    /// When the last count was told.
    counted: Instant,
}

/// Whether members may be named again.
pub fn named_again(count: u32, list_max: u32) -> bool {
    u64::from(count) * 4 <= u64::from(list_max) * u64::from(NAMED_AGAIN_QUARTERS)
}

impl Told {
    /// The first watcher is told this.
    pub fn new(view: View, now: Instant) -> Self {
        Self { view, counted: now }
    }

    /// What they were told last.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// What follows from how it is now.
    pub fn settle(&mut self, channel: &str, view: View, list_max: u32, now: Instant) -> Vec<Push> {
        match (&self.view.members, &view.members) {
            (Some(before), Some(after)) => {
                let changes = changes(channel, before, after);
                self.view = view;
                changes
            }
            (Some(_), None) => self.tell(channel, view, now),
            (None, _) if now < self.counted + COUNT_PACE => Vec::new(),
            (None, Some(_)) if named_again(view.count, list_max) => self.tell(channel, view, now),
            (None, _) if view.count != self.view.count => {
                let counted = View {
                    count: view.count,
                    members: None,
                };
                self.tell(channel, counted, now)
            }
            (None, _) => Vec::new(),
        }
    }

    /// When it should be looked at again, if it is not as `view`.
    pub fn due(&self, view: &View, list_max: u32) -> Option<Instant> {
        let again = view.members.is_some() && named_again(view.count, list_max);
        let open = self.view.members.is_none() && (again || view.count != self.view.count);
        open.then(|| self.counted + COUNT_PACE)
    }

    fn tell(&mut self, channel: &str, view: View, now: Instant) -> Vec<Push> {
        let told = view.frame(channel);
        *self = Self::new(view, now);
        vec![Push::Presence(told)]
    }
}

/// Who left, then who came.
fn changes(
    channel: &str,
    before: &BTreeMap<Who, Member>,
    after: &BTreeMap<Who, Member>,
) -> Vec<Push> {
    let left = before.iter().filter(|(who, _)| !after.contains_key(who));
    let left = left.map(|(_, member)| {
        Push::Leave(Leave {
            channel: channel.into(),
            user: member.user.clone(),
            client: member.client.clone(),
            session: member.session.clone(),
        })
    });
    let came = after
        .iter()
        .filter(|(who, member)| before.get(*who) != Some(member));
    let came = came.map(|(_, member)| Push::Join(Join::of(channel, member.clone())));
    left.chain(came).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(names: &[&str]) -> View {
        let members = names.iter().map(|name| {
            let member = Member {
                user: (*name).into(),
                client: "c".into(),
                session: "s".into(),
                since: 1,
            };
            ((member.user.clone(), member.client.clone()), member)
        });
        View {
            count: names.len() as u32,
            members: Some(members.collect()),
        }
    }

    fn counted(count: u32) -> View {
        View {
            count,
            members: None,
        }
    }

    #[test]
    fn who_comes_and_goes_is_told_by_name() {
        let now = Instant::now();
        let mut told = Told::new(view(&["ann", "joe"]), now);
        let pushes = told.settle("room.1", view(&["joe", "sue"]), 4, now);
        match &pushes[..] {
            [Push::Leave(left), Push::Join(came)] => {
                assert_eq!((left.user.as_str(), came.user.as_str()), ("ann", "sue"));
            }
            other => panic!("{other:?}"),
        }
        assert!(
            told.settle("room.1", view(&["joe", "sue"]), 4, now)
                .is_empty()
        );
        assert_eq!(told.due(&view(&["joe", "sue"]), 4), None);
    }

    #[test]
    fn beyond_the_number_counts_alone_are_told_at_their_pace() {
        let now = Instant::now();
        let mut told = Told::new(view(&["ann"]), now);
        let pushes = told.settle("room.1", counted(5), 4, now);
        assert!(
            matches!(&pushes[..], [Push::Presence(all)] if all.count == 5 && all.members.is_none())
        );
        assert!(told.settle("room.1", counted(6), 4, now).is_empty());
        let due = told.due(&counted(6), 4).unwrap();
        assert_eq!(due, now + COUNT_PACE);
        let pushes = told.settle("room.1", counted(6), 4, due);
        assert!(matches!(&pushes[..], [Push::Presence(all)] if all.count == 6));
        assert_eq!(told.due(&counted(6), 4), None);
    }

    #[test]
    fn members_are_named_again_only_well_below_the_number() {
        let now = Instant::now();
        let mut told = Told::new(counted(5), now);
        let later = now + COUNT_PACE;
        let four = view(&["a", "b", "c", "d"]);
        let pushes = told.settle("room.1", four, 4, later);
        assert!(
            matches!(&pushes[..], [Push::Presence(all)] if all.count == 4 && all.members.is_none())
        );
        let three = view(&["a", "b", "c"]);
        assert!(told.settle("room.1", three.clone(), 4, later).is_empty());
        let due = told.due(&three, 4).unwrap();
        let pushes = told.settle("room.1", three, 4, due);
        assert!(
            matches!(&pushes[..], [Push::Presence(all)] if all.members.as_ref().is_some_and(|m| m.len() == 3))
        );
    }
}
