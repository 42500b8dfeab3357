//! How much processor time this thread has used.
//!
//! A guest's deadline is measured in it: a guest cannot block, so time in which
//! its thread was not scheduled is the machine's, and must cost no attempt.

use std::time::Duration;

/// Processor time of the calling thread since it started.
#[allow(
    unsafe_code,
    reason = "the standard library has no clock for a thread's processor time"
)]
pub fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live, writable timespec of this frame.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "linux has had this clock since 2.6.12");
    let seconds = u64::try_from(time.tv_sec).expect("a thread's time is not negative");
    Duration::new(
        seconds,
        u32::try_from(time.tv_nsec).expect("below a billion"),
    )
}
