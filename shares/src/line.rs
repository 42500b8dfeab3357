//! What waits, by whose it is: everybody's own is first in, first out, and everybody has
//! one turn after the other.
//!
//! A plain structure.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What waits.
#[derive(Debug)]
pub struct Line<K, T> {
    waiting: HashMap<K, VecDeque<T>>,
    /// Who has something, each once, the next first.
    order: VecDeque<K>,
    len: usize,
}

impl<K, T> Default for Line<K, T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            order: VecDeque::new(),
            len: 0,
        }
    }
}

impl<K: Clone + Eq + Hash, T> Line<K, T> {
    /// How much waits, of all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds to the end of what is somebody's.
    pub fn push(&mut self, whose: &K, what: T) {
        self.len += 1;
        if let Some(own) = self.waiting.get_mut(whose) {
            return own.push_back(what);
        }
        self.order.push_back(whose.clone());
        self.waiting.insert(whose.clone(), VecDeque::from([what]));
    }

    /// Takes the next one's first.
    pub fn pop(&mut self) -> Option<T> {
        self.pop_if(|_| true).map(|(_, what)| what)
    }

    /// Takes the first of the next one who may have a turn.
    pub fn pop_if(&mut self, may: impl Fn(&K) -> bool) -> Option<(K, T)> {
        let at = self.order.iter().position(may)?;
        let whose = self.order.remove(at)?;
        let own = self.waiting.get_mut(&whose)?;
        let what = own.pop_front()?;
        self.len -= 1;
        if own.is_empty() {
            self.waiting.remove(&whose);
        } else {
            self.order.push_back(whose.clone());
        }
        Some((whose, what))
    }

    /// Takes the last of whoever has the most.
    pub fn pop_longest(&mut self) -> Option<T> {
        let longest = self.waiting.iter().max_by_key(|(_, own)| own.len());
        let whose = longest.map(|(whose, _)| whose.clone())?;
        let own = self.waiting.get_mut(&whose)?;
        let what = own.pop_back();
        self.len -= usize::from(what.is_some());
        if own.is_empty() {
            self.waiting.remove(&whose);
            self.order.retain(|other| *other != whose);
        }
        what
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn everybody_has_one_turn_after_the_other() {
        let mut line = Line::default();
        for n in 0..3 {
            line.push(&'a', ('a', n));
        }
        line.push(&'b', ('b', 0));
        line.push(&'c', ('c', 0));
        let order: Vec<_> = std::iter::from_fn(|| line.pop()).collect();
        assert_eq!(order, [('a', 0), ('b', 0), ('c', 0), ('a', 1), ('a', 2)]);
        assert!(line.is_empty());
    }

    #[test]
    fn who_may_not_have_a_turn_keeps_its_place() {
        let mut line = Line::default();
        line.push(&'a', 1);
        line.push(&'b', 2);
        assert_eq!(line.pop_if(|whose| *whose != 'a'), Some(('b', 2)));
        assert_eq!(line.pop_if(|whose| *whose != 'a'), None);
        assert_eq!(line.pop(), Some(1));
    }

    #[test]
    fn whoever_has_the_most_loses_the_newest() {
        let mut line = Line::default();
        for n in 0..3 {
            line.push(&'a', ('a', n));
        }
        line.push(&'b', ('b', 0));
        assert_eq!(line.pop_longest(), Some(('a', 2)));
        assert_eq!(line.len(), 3);
    }

    proptest! {
        /// Whatever is done, what is somebody's comes in its order, nothing is lost, and
        /// nobody who waits is passed over by another more than once.
        #[test]
        fn orders_hold(pushes in prop::collection::vec(0_usize..4, 1..100), every in 1_usize..5) {
            let mut line = Line::default();
            let (mut sent, mut taken) = ([0; 4], [0; 4]);
            let mut passed = [[0; 4]; 4];
            for (at, whose) in pushes.into_iter().enumerate() {
                line.push(&whose, sent[whose]);
                sent[whose] += 1;
                if at % every != 0 {
                    continue;
                }
                let (next, n) = line.pop_if(|_| true).unwrap();
                prop_assert_eq!(n, taken[next]);
                taken[next] += 1;
                passed[next] = [0; 4];
                for other in (0..4).filter(|other| *other != next) {
                    passed[other][next] += usize::from(taken[other] < sent[other]);
                    prop_assert!(passed[other][next] <= 1);
                }
            }
            while let Some((next, n)) = line.pop_if(|_| true) {
                prop_assert_eq!(n, taken[next]);
                taken[next] += 1;
            }
            prop_assert_eq!(taken, sent);
        }
    }
}
