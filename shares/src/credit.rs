//! How many events the subscriptions of one client may still be sent, for those that
//! count: a machine.
//!
//! Owns the counts; an event costs one, whatever else is told costs nothing. A
//! subscription that is not listed has as much as it likes. Bounded by a session's
//! subscriptions. It knows neither events nor frames.

use protocol::frame::CREDIT_EVENTS_MAX;

/// Why events were not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The subscription was made without credit: it gets everything anyway.
    Unlimited,
    /// Together with the events that are left, of which there are so many, it would be more
    /// than [`CREDIT_EVENTS_MAX`].
    Beyond {
        /// Events that are left.
        left: u64,
    },
}

/// What the subscriptions of one client have left.
#[derive(Debug, Default)]
pub struct Credits {
    /// Few, so a list.
    left: Vec<(u64, u64)>,
}

impl Credits {
    /// A subscription counts from now on, and has so many events.
    pub fn limit(&mut self, id: u64, events: u64) {
        self.forget(id);
        self.left.push((id, events));
    }

    /// A subscription gets so many more; returns what it has then.
    ///
    /// # Errors
    /// It does not count, or would have too many. Nothing is granted then.
    pub fn grant(&mut self, id: u64, events: u64) -> Result<u64, Refused> {
        let left = self.entry(id).ok_or(Refused::Unlimited)?;
        match left.checked_add(events) {
            Some(sum) if sum <= CREDIT_EVENTS_MAX => {
                *left = sum;
                Ok(sum)
            }
            _ => Err(Refused::Beyond { left: *left }),
        }
    }

    /// Takes so many events of a subscription's, or none if it has fewer; false then.
    pub fn spend(&mut self, id: u64, events: u64) -> bool {
        let Some(left) = self.entry(id) else {
            return true;
        };
        let enough = *left >= events;
        if enough {
            *left -= events;
        }
        enough
    }

    /// So many events that were spent have not been sent.
    pub fn give_back(&mut self, id: u64, events: u64) {
        if let Some(left) = self.entry(id) {
            *left += events;
        }
    }

    /// What a subscription has left; `None`: it does not count.
    pub fn left(&self, id: u64) -> Option<u64> {
        let mut listed = self.left.iter();
        let found = listed.find(|(listed, _)| *listed == id);
        found.map(|(_, left)| *left)
    }

    /// Whether a subscription may be sent an event.
    pub fn allows(&self, id: u64) -> bool {
        let mut listed = self.left.iter();
        listed.all(|(listed, left)| *listed != id || *left > 0)
    }

    /// A subscription has ended.
    pub fn forget(&mut self, id: u64) {
        self.left.retain(|(listed, _)| *listed != id);
    }

    fn entry(&mut self, id: u64) -> Option<&mut u64> {
        let mut listed = self.left.iter_mut();
        let found = listed.find(|(listed, _)| *listed == id);
        found.map(|(_, left)| left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credit_within_and_beyond_its_limit() {
        let mut credits = Credits::default();
        credits.limit(1, CREDIT_EVENTS_MAX - 5);
        assert_eq!(credits.grant(1, 5), Ok(CREDIT_EVENTS_MAX));
        let beyond = Err(Refused::Beyond {
            left: CREDIT_EVENTS_MAX,
        });
        assert_eq!(credits.grant(1, 1), beyond);
        assert_eq!(credits.grant(1, u64::MAX), beyond);
        assert!(credits.spend(1, 2));
        assert_eq!(credits.grant(1, 2), Ok(CREDIT_EVENTS_MAX));
    }

    #[test]
    fn who_does_not_count_has_no_limit_and_can_be_granted_nothing() {
        let mut credits = Credits::default();
        credits.limit(1, 0);
        assert!(!credits.allows(1) && !credits.spend(1, 1) && credits.spend(1, 0));
        assert!(credits.allows(2) && credits.spend(2, u64::MAX));
        assert_eq!(credits.grant(2, 1), Err(Refused::Unlimited));
        assert_eq!(credits.grant(1, 3), Ok(3));
        assert!(
            !credits.spend(1, 4) && credits.spend(1, 3),
            "all or nothing"
        );
        credits.give_back(1, 2);
        assert!(credits.spend(1, 2) && !credits.allows(1));
        credits.forget(1);
        assert!(credits.allows(1));
        assert_eq!(credits.grant(1, 1), Err(Refused::Unlimited));
    }

    proptest! {
        /// A subscription is never sent more than it was granted, and what is left is the
        /// difference.
        #[test]
        fn what_is_left_is_what_was_granted_and_not_sent(
            steps in proptest::collection::vec((any::<bool>(), 1u64..400_000), 0..60),
        ) {
            let mut credits = Credits::default();
            credits.limit(7, 3);
            credits.limit(8, 1);
            let (mut granted, mut sent) = (3, 0);
            for (grants, events) in steps {
                match grants {
                    true => match credits.grant(7, events) {
                        Ok(left) => {
                            granted += events;
                            prop_assert_eq!(left, granted - sent);
                        }
                        Err(Refused::Beyond { left }) => {
                            prop_assert_eq!(left, granted - sent);
                            prop_assert!(left + events > CREDIT_EVENTS_MAX);
                        }
                        Err(Refused::Unlimited) => prop_assert!(false),
                    },
                    false => {
                        let enough = granted - sent >= events;
                        prop_assert_eq!(credits.spend(7, events), enough);
                        sent += if enough { events } else { 0 };
                    }
                }
                prop_assert_eq!(credits.allows(7), granted > sent);
            }
            prop_assert_eq!(credits.grant(8, 1), Ok(2));
        }
    }
}
