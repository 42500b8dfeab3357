//! What Linux tells of a process. Owns nothing.

/// A process as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// `R` and `S` for one that lives, `T` for one that stands still, `Z` and `X` for
    /// one that has ended.
    pub state: char,
    /// Its parent.
    pub parent: u32,
}

/// Looks at a process; `None` if there is none.
pub fn look(pid: u32) -> Option<Seen> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state parent …`, and a name may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some(Seen {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
    })
}

/// Whether a process, named by its number, has ended. Where there is no `/proc`,
/// nothing is known of other processes, and what they left stays until the build's
/// folder is removed.
pub(crate) fn is_gone(process: &str) -> bool {
    let processes = std::path::PathBuf::from("/proc");
    processes.join("self").exists() && !processes.join(process).exists()
}
