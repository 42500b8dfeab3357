//! What the streams that lanes read still keep, and what of it a lane has not read.
//!
//! Owns one task per stream, shared by all lanes of the worker: retention is noticed
//! while lanes run, and not only when one is taken over.

use std::time::Duration;

use bus::Bus;
use protocol::stream::StreamName;
use service::shutdown::Shutdown;
use tokio::sync::watch;

/// A stream is looked at so many times in what it keeps.
const LOOKS: u32 = 40;
/// The least and the longest time between two looks.
const LOOK_LEAST: Duration = Duration::from_millis(100);
const LOOK_LONGEST: Duration = Duration::from_secs(30);

/// The sequences that a stream held when it was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// First sequence kept; 0: not known yet.
    pub first: u64,
    /// Last sequence given.
    pub last: u64,
}

/// Begins to look at a stream, until `stop`.
pub fn follow(bus: Bus, stream: StreamName, stop: Shutdown) -> watch::Receiver<Kept> {
    let (sender, kept) = watch::channel(Kept::default());
    tokio::spawn(async move {
        loop {
            let mut pause = LOOK_LONGEST;
            match bus.stream_state(&stream).await {
                Ok(state) => {
                    let (first, last) = (state.first_seq, state.last_seq);
                    sender.send_replace(Kept { first, last });
                    pause = (state.max_age / LOOKS).clamp(LOOK_LEAST, LOOK_LONGEST);
                }
                Err(error) => {
                    tracing::debug!(%error, %stream, "what the stream keeps is not known now");
                }
            }
            // Both only wait.
            tokio::select! {
                () = stop.triggered() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
    kept
}

/// How far one lane has read, against what its stream keeps.
#[derive(Debug)]
pub struct Unread {
    /// Every input up to this sequence was read.
    read: u64,
    /// The stream's last sequence at the look before, if the lane had nothing unread.
    idle_at: Option<u64>,
}

impl Unread {
    /// Of a lane that reads from this sequence on.
    pub fn from(seq: u64) -> Self {
        Self {
            read: seq.saturating_sub(1),
            idle_at: None,
        }
    }

    /// An input was read.
    pub fn read(&mut self, seq: u64) {
        self.read = self.read.max(seq);
    }

    /// What retention has taken since the look before and may have held inputs of the
    /// lane: how many nobody knows any more. `idle`: the lane waits for its next input
    /// and knows of none. One that is idle at two looks has read all that was there at
    /// the first.
    pub fn look(&mut self, kept: Kept, idle: bool) -> Option<(u64, u64)> {
        let before = self.idle_at.take();
        if idle {
            self.read(before.unwrap_or(0));
            self.idle_at = Some(kept.last);
        }
        let lost = (self.read + 1, kept.first.saturating_sub(1));
        if lost.0 > lost.1 {
            return None;
        }
        self.read = lost.1;
        Some(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(first: u64, last: u64) -> Kept {
        Kept { first, last }
    }

    #[test]
    fn what_is_gone_before_it_was_read_is_told_once() {
        let mut unread = Unread::from(1);
        assert_eq!(
            unread.look(Kept::default(), false),
            None,
            "nothing is known"
        );
        assert_eq!(unread.look(kept(1, 90), false), None);
        unread.read(20);
        assert_eq!(unread.look(kept(21, 90), false), None, "just read");
        assert_eq!(unread.look(kept(31, 90), false), Some((21, 30)));
        assert_eq!(unread.look(kept(31, 90), false), None);
        assert_eq!(unread.look(kept(41, 90), false), Some((31, 40)));
    }

    #[test]
    fn a_quiet_lane_loses_nothing_when_other_lanes_inputs_go() {
        let mut unread = Unread::from(1);
        assert_eq!(unread.look(kept(1, 500), true), None);
        assert_eq!(unread.look(kept(400, 900), true), None);
        assert_eq!(unread.look(kept(900, 900), true), None);
        // Busy since: what came after the last look may have been its own.
        assert_eq!(unread.look(kept(905, 990), false), Some((901, 904)));
    }

    #[test]
    fn idleness_counts_from_one_look_to_the_next_only() {
        let mut unread = Unread::from(1);
        assert_eq!(unread.look(kept(1, 500), true), None);
        assert_eq!(unread.look(kept(1, 600), false), None);
        assert_eq!(unread.look(kept(1, 700), true), None);
        // Idle now, but what was there at the look before was not read for certain.
        assert_eq!(unread.look(kept(3, 700), false), Some((1, 2)));
    }
}
