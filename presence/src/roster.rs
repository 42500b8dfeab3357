//! The members of one channel that are on this node: a machine.
//!
//! Owns them. A member is a writer, and there as long as one of its sessions is: a client
//! that comes back before its old connection is known to be dead neither leaves nor is
//! there twice.

use std::collections::BTreeMap;

use protocol::frame::Member;
use protocol::presence::Part;

/// A writer, as members are told apart.
pub type Who = (String, String);

/// The writer of a member.
pub fn who(member: &Member) -> Who {
    (member.user.clone(), member.client.clone())
}

/// A session's place in a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The subscription: no other on this node has its number.
    id: u64,
    since: u64,
}

/// The members that are on this node.
#[derive(Debug, Default)]
pub struct Roster {
    /// The sessions of each writer, in the order in which they came.
    members: BTreeMap<Who, Vec<(Place, String)>>,
}

impl Roster {
    /// A session came; `id` is its subscription. True if that changes what is told.
    pub fn join(&mut self, id: u64, member: &Member) -> bool {
        let sessions = self.members.entry(who(member)).or_default();
        if sessions.iter().any(|(place, _)| place.id == id) {
            return false;
        }
        let since = member.since;
        sessions.push((Place { id, since }, member.session.clone()));
        true
    }

    /// A subscription ended. True if that changes what is told.
    pub fn leave(&mut self, id: u64, who: &Who) -> bool {
        let Some(sessions) = self.members.get_mut(who) else {
            return false;
        };
        let last = sessions.last().map(|(place, _)| place.id);
        let before = sessions.len();
        sessions.retain(|(place, _)| place.id != id);
        if sessions.is_empty() {
            self.members.remove(who);
        } else if sessions.len() == before {
            return false;
        }
        last == Some(id)
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What other nodes are told: up to so many members by name, more only counted.
    pub fn part(&self, list_max: u32) -> Part {
        let count = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let named = || {
            let each = self.members.iter();
            each.filter_map(|((user, client), sessions)| {
                let (place, session) = sessions.last()?;
                Some(Member {
                    user: user.clone(),
                    client: client.clone(),
                    session: session.clone(),
                    since: place.since,
                })
            })
            .collect()
        };
        Part {
            count,
            members: (count <= list_max).then(named),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(user: &str, session: &str, since: u64) -> Member {
        Member {
            user: user.into(),
            client: "c1".into(),
            session: session.into(),
            since,
        }
    }

    fn sessions(roster: &Roster) -> Vec<String> {
        let members = roster.part(10).members.unwrap().into_iter();
        members.map(|member| member.session).collect()
    }

    #[test]
    fn a_writer_is_there_once_by_its_last_session() {
        let mut roster = Roster::default();
        let (old, new) = (member("ann", "old", 1), member("ann", "new", 2));
        assert!(roster.join(1, &old) && roster.join(2, &new));
        assert!(!roster.join(2, &new), "it is there already");
        assert_eq!(sessions(&roster), ["new"]);
        assert!(!roster.leave(1, &who(&old)), "nobody sees that one go");
        assert_eq!(sessions(&roster), ["new"]);
        assert!(!roster.leave(7, &who(&old)), "it was never there");
        assert!(roster.leave(2, &who(&new)) && roster.is_empty());
    }

    #[test]
    fn the_session_before_is_told_again_when_the_last_one_goes() {
        let mut roster = Roster::default();
        let (old, new) = (member("ann", "old", 1), member("ann", "new", 2));
        roster.join(1, &old);
        roster.join(2, &new);
        assert!(roster.leave(2, &who(&new)));
        assert_eq!(sessions(&roster), ["old"]);
    }

    #[test]
    fn members_within_and_beyond_what_is_named() {
        let mut roster = Roster::default();
        roster.join(1, &member("ann", "a", 1));
        roster.join(2, &member("joe", "b", 1));
        assert_eq!(roster.part(2).members.map(|all| all.len()), Some(2));
        let counted = roster.part(1);
        assert_eq!((counted.count, counted.members), (2, None));
    }
}
