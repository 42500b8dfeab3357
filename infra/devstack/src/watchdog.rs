//! Kills a server when its parent dies, where the kernel does not offer it: a
//! shell that reads from a pipe of which the parent holds the other end.
//! Owns the shell; knows only the number of the process group to kill.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::spawner;

/// Blocks until the pipe closes, then kills the group given as `$1`.
const SCRIPT: &str = "read -r _; kill -s KILL -- \"-$1\"";

/// A guard over one process group. Dropping it stands the guard down without
/// touching the group, so drop it before the group's leader is reaped.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// Watches over the group led by `pid`.
    pub(crate) fn over(pid: u32) -> io::Result<Watchdog> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "watchdog", &pid.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        spawner::spawn(command).map(Watchdog)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The shell goes first: closing the pipe alone would let it fire.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        let mut command = Command::new("sleep");
        command.arg("600").process_group(0);
        spawner::spawn(command).unwrap()
    }

    #[test]
    fn a_closed_pipe_kills_the_group() {
        let mut sleeper = sleeper();
        let mut watchdog = Watchdog::over(sleeper.id()).unwrap();
        drop(watchdog.0.stdin.take());
        let status = sleeper.wait().unwrap();
        assert!(!status.success());
        watchdog.0.wait().unwrap();
    }

    #[test]
    fn standing_down_spares_the_group() {
        let mut sleeper = sleeper();
        drop(Watchdog::over(sleeper.id()).unwrap());
        assert!(sleeper.try_wait().unwrap().is_none());
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}
