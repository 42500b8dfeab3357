//! In whose name things are written. Owns nothing.

/// Who uses this program, for what is written in their name: USER@HOST.
pub fn who() -> String {
    #[allow(
        clippy::disallowed_methods,
        reason = "the system's own variables, no settings of ours"
    )]
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host
        .map(|host| host.trim().to_owned())
        .or_else(|| variable("HOSTNAME"));
    format!(
        "{}@{}",
        user.as_deref().unwrap_or("somebody"),
        host.as_deref().unwrap_or("somewhere")
    )
}
