//! A batch by version, and the two versions' answers together again in the order of the
//! inputs, so that the lane sees one run.
//!
//! Owns the order of one batch. It must not know guests.

use host::event::Event;
use host::pack::Item;
use host::reply::Handled;

/// A batch, by version. Each part keeps the order of the inputs, and with it that of every
/// channel, which is one version's as a whole.
#[derive(Debug, Default)]
pub struct Split {
    /// Those of the version beside the candidate.
    pub other: Vec<Item>,
    /// Those of the candidate.
    pub candidate: Vec<Item>,
    /// Whether each event is the candidate's, in the order of the batch.
    order: Vec<bool>,
}

impl Split {
    /// Takes a batch apart; `tried` says which events are the candidate's.
    pub fn of(items: Vec<Item>, tried: impl Fn(&Event) -> bool) -> Self {
        let mut split = Self::default();
        for item in items {
            let tried = tried(&item.event);
            split.order.push(tried);
            match tried {
                true => split.candidate.push(item),
                false => split.other.push(item),
            }
        }
        split
    }

    /// The answers to the first events of the batch, as far as both versions have
    /// answered: what is left comes again.
    pub fn join(&self, other: Vec<Handled>, candidate: Vec<Handled>) -> Vec<Handled> {
        let (mut other, mut candidate) = (other.into_iter(), candidate.into_iter());
        let next = |tried: &bool| match tried {
            true => candidate.next(),
            false => other.next(),
        };
        self.order.iter().map_while(next).collect()
    }
}

/// A candidate's answers up to its first failure, and what that was: a fault, or that it
/// stops. What it said of later events was said without this one.
pub fn sound(mut handled: Vec<Handled>) -> (Vec<Handled>, Option<String>) {
    let Some(at) = handled.iter().position(is_failure) else {
        return (handled, None);
    };
    let failure = match &handled[at] {
        Handled::Halt(reason) => format!("it halts: {reason}"),
        Handled::Fault(fault) => fault.to_string(),
        other => unreachable!("{other:?} is no failure"),
    };
    handled.truncate(at);
    (handled, Some(failure))
}

/// Whether an answer says that the version cannot handle the event.
pub fn is_failure(handled: &Handled) -> bool {
    matches!(handled, Handled::Fault(_) | Handled::Halt(_))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use host::fault::Fault;
    use proptest::prelude::*;

    use super::*;
    use crate::lane::tests::stored;

    fn item(seq: u64, channel: u8) -> Item {
        let stored = stored(seq, &format!("doc.{channel}"), "{}");
        let (tenant, channel) = host::event::address(&stored).unwrap();
        let event = Event::read(tenant, channel, stored).unwrap();
        Item {
            attempt: 1,
            event: Arc::new(event),
            memory: None,
        }
    }

    /// Says which event it is an answer to.
    fn answer(item: &Item) -> Handled {
        Handled::Drop(item.event.seq().to_string())
    }

    fn answers(items: &[Item], most: usize) -> Vec<Handled> {
        items.iter().take(most).map(answer).collect()
    }

    proptest! {
        /// Each event is in one part, in order; and what comes back answers a first part of
        /// the batch, each event once, as its own version did.
        #[test]
        fn every_event_is_one_versions_and_is_answered_once(
            channels in prop::collection::vec(0_u8..6, 0..40), tried in 0_u8..64,
            most in (0_usize..40, 0_usize..40),
        ) {
            let items: Vec<Item> = (1..).zip(&channels).map(|(seq, on)| item(seq, *on)).collect();
            let takes = |event: &Event| {
                let channel: u8 = event.channel.as_str()["doc.".len()..].parse().unwrap();
                tried & (1 << channel) != 0
            };
            let split = Split::of(items.clone(), takes);
            prop_assert_eq!(split.other.len() + split.candidate.len(), items.len());
            let mut last: BTreeMap<String, u64> = BTreeMap::new();
            for (part, is) in [(&split.other, false), (&split.candidate, true)] {
                for item in part {
                    prop_assert_eq!(takes(&item.event), is);
                    let seq = item.event.seq();
                    let before = last.insert(item.event.channel.to_string(), seq);
                    prop_assert!(before.is_none_or(|before| before < seq));
                }
            }
            let (other, candidate) = (answers(&split.other, most.0), answers(&split.candidate, most.1));
            let answered = other.len() + candidate.len();
            let joined = split.join(other, candidate);
            prop_assert!(joined.len() <= answered);
            prop_assert_eq!(&joined, &answers(&items, joined.len()));
            // It ends where one of the versions has, and nowhere before.
            let whole = most.0 >= split.other.len() && most.1 >= split.candidate.len();
            prop_assert!(!whole || joined.len() == items.len());
        }
    }

    #[test]
    fn answers_behind_a_failure_are_not_counted_on() {
        let (ack, drop) = (Handled::Ack(Vec::new().into()), Handled::Drop("no".into()));
        let fault = Handled::Fault(Fault::Trap("out of cheese".into()));
        let (kept, failure) = sound(vec![ack.clone(), fault, drop.clone()]);
        assert_eq!(kept, std::slice::from_ref(&ack));
        assert!(failure.unwrap().contains("out of cheese"));
        let (kept, failure) = sound(vec![Handled::Halt("no schema".into())]);
        assert_eq!(kept, []);
        assert_eq!(failure.unwrap(), "it halts: no schema");
        let (kept, failure) = sound(vec![ack, drop]);
        assert_eq!((kept.len(), failure), (2, None));
    }
}
