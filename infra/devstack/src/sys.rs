//! The crate's few calls into the operating system that Rust cannot check:
//! signals, and the tie between a child's life and its parent's. Owns no state.

use std::io;
use std::process::Command;

/// Signals that the crate sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Terminate,
    Kill,
    Stop,
    Continue,
}

impl Signal {
    fn number(self) -> libc::c_int {
        match self {
            Signal::Terminate => libc::SIGTERM,
            Signal::Kill => libc::SIGKILL,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
        }
    }
}

/// Sends a signal to a process group led by `pid`, which must be a child of
/// ours that has not been reaped, so that its number cannot have been reused.
#[allow(
    unsafe_code,
    reason = "the standard library sends no signal but SIGKILL"
)]
pub(crate) fn signal_group(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: killpg takes two integers and touches no memory of ours.
    match unsafe { libc::killpg(pid, signal.number()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until every thread of our child `pid` has stopped, or it has ended.
/// Leaves the child's status for others to collect.
#[allow(
    unsafe_code,
    reason = "the standard library waits for the end of a child only"
)]
pub(crate) fn wait_until_stopped(pid: u32) -> io::Result<()> {
    let flags = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT;
    loop {
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: waitid writes only to `info`, which is large enough and
        // outlives the call.
        if unsafe { libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), flags) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The number of the user who runs this process.
#[allow(
    unsafe_code,
    reason = "the standard library does not tell the user's number"
)]
pub(crate) fn user_id() -> u32 {
    // SAFETY: getuid takes nothing, touches no memory and cannot fail.
    unsafe { libc::getuid() }
}

/// Makes the kernel kill the child when the thread that spawns it ends; only
/// [`crate::spawner`] spawns, from a thread that lives as long as the process.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the request must be made between fork and exec")]
pub(crate) fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    let parent = std::process::id();
    // SAFETY: the closure runs between fork and exec, and calls only prctl and
    // getppid, both async-signal-safe; it allocates nothing.
    unsafe {
        command.pre_exec(move || {
            let signal = libc::SIGKILL as libc::c_ulong;
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
                return Err(io::Error::last_os_error());
            }
            // A parent that died before the request would never trigger it.
            if u32::try_from(libc::getppid()) != Ok(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Elsewhere a watchdog process does this work.
#[cfg(not(target_os = "linux"))]
pub(crate) fn die_with_parent(_command: &mut Command) {}
