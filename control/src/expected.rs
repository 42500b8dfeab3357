//! What a change is made to, as whoever asks for it has seen it: what others have made of
//! it meanwhile is not overwritten.
//!
//! Owns nothing.

use crate::error::ControlError;

/// What is expected to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    #[default]
    Whatever,
    /// Nothing, or the same as is wanted.
    New,
    /// What has this revision in its bucket.
    Revision(u64),
}

impl Expected {
    /// Judges what there is: its revision, and whether it is what is wanted already.
    pub(crate) fn check(
        self,
        now: Option<u64>,
        same: bool,
        what: &str,
    ) -> Result<(), ControlError> {
        let what = || what.to_owned();
        match self {
            Self::New if now.is_some() && !same => Err(ControlError::Exists { what: what() }),
            Self::Revision(seen) if !same && now != Some(seen) => {
                Err(ControlError::Conflict { what: what() })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_seen_is_changed() {
        let check = |expected: Expected, now, same| {
            let checked = expected.check(now, same, "it");
            checked.map_err(|error| error.to_string())
        };
        for now in [None, Some(7)] {
            assert_eq!(check(Expected::Whatever, now, false), Ok(()));
        }
        assert_eq!(check(Expected::New, None, false), Ok(()));
        assert_eq!(check(Expected::New, Some(7), true), Ok(()));
        let told = check(Expected::New, Some(7), false).unwrap_err();
        assert_eq!(told, "it is there already, and different");
        assert_eq!(check(Expected::Revision(7), Some(7), false), Ok(()));
        assert_eq!(check(Expected::Revision(7), Some(8), true), Ok(()));
        for now in [None, Some(8)] {
            let told = check(Expected::Revision(7), now, false).unwrap_err();
            assert!(told.contains("somebody else"), "{told}");
        }
    }
}
