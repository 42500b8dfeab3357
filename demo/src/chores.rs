//! What a participant does besides typing, spread over its typing: malformed edits
//! and events sent twice. Pure; owns the list.

use std::collections::VecDeque;

/// Something that must not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// Publish the malformed edit of this index.
    Malformed(usize),
    /// Publish an acknowledged edit again, under its own id.
    Resend,
}

/// The chores of one participant, in order, each with how many own transactions
/// must have been typed before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chores(VecDeque<(usize, Chore)>);

impl Chores {
    /// Spreads chores evenly over `own` transactions.
    pub fn spread(own: usize, chores: impl IntoIterator<Item = Chore>) -> Self {
        let chores: Vec<Chore> = chores.into_iter().collect();
        let parts = chores.len() + 1;
        let after = |index: usize| own * (index + 1) / parts;
        let spread = chores.into_iter().enumerate();
        Self(spread.map(|(index, chore)| (after(index), chore)).collect())
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The chore to do now, which is then off the list. A resend waits until an
    /// acknowledged edit is known, without holding up the typing.
    pub fn due(&mut self, typed: usize, all_typed: bool, known: bool) -> Option<Chore> {
        let (after, chore) = self.0.front()?;
        let ready = *chore != Chore::Resend || known;
        if ready && (all_typed || typed >= *after) {
            return self.0.pop_front().map(|(_, chore)| chore);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chores_are_spread_and_resends_wait_for_an_ack() {
        let mut chores = Chores::spread(9, [Chore::Malformed(0), Chore::Resend]);
        assert_eq!(chores.due(2, false, true), None);
        assert_eq!(chores.due(3, false, true), Some(Chore::Malformed(0)));
        assert_eq!(chores.due(6, false, false), None);
        assert_eq!(chores.due(6, false, true), Some(Chore::Resend));
        assert!(chores.is_empty());
        assert_eq!(chores.due(9, true, true), None);
    }

    #[test]
    fn what_is_left_is_done_at_the_end() {
        let mut chores = Chores::spread(0, [Chore::Malformed(3)]);
        assert_eq!(chores.due(0, true, false), Some(Chore::Malformed(3)));
    }
}
