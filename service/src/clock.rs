//! The wall clock. Owns nothing; for durations use tokio's `Instant`, which tests can
//! pause.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 by this machine's clock; 0 before.
pub fn now_us() -> u64 {
    #[cfg(debug_assertions)]
    if let Some(now) = simulated::now_us() {
        return now;
    }
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

#[cfg(debug_assertions)]
pub use simulated::{Simulated, simulate};

/// Another clock for one thread: a simulation's time is not this machine's.
#[cfg(debug_assertions)]
mod simulated {
    use std::cell::RefCell;

    type Clock = Box<dyn Fn() -> u64>;

    thread_local! {
        static CLOCK: RefCell<Option<Clock>> = const { RefCell::new(None) };
    }

    /// This thread's other clock, until it is dropped.
    #[derive(Debug)]
    pub struct Simulated(());

    impl Drop for Simulated {
        fn drop(&mut self) {
            CLOCK.with_borrow_mut(|slot| *slot = None);
        }
    }

    /// From now on this thread's wall clock shows what `clock` says, microseconds since
    /// 1970. A release build has no such switch.
    pub fn simulate(clock: impl Fn() -> u64 + 'static) -> Simulated {
        CLOCK.with_borrow_mut(|slot| *slot = Some(Box::new(clock)));
        Simulated(())
    }

    pub(super) fn now_us() -> Option<u64> {
        CLOCK.with_borrow(|slot| slot.as_ref().map(|clock| clock()))
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_clock_is_one_threads_and_ends() {
        let simulated = simulate(|| 7);
        assert_eq!(now_us(), 7);
        let elsewhere = std::thread::spawn(now_us).join();
        assert!(elsewhere.is_ok_and(|now| now > 7));
        drop(simulated);
        assert!(now_us() > 7);
    }
}
