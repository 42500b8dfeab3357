//! The test-only switches as a release has them. This crate alone is compiled without
//! debug assertions (see the workspace's profiles), and has their source for its own:
//! so they are tried in this form without building everything twice.

#[path = "../../../service/src/fault.rs"]
pub mod fault;

#[cfg(test)]
mod tests {
    use super::fault::{FaultError, Faults};

    #[test]
    fn a_release_build_has_no_switches() {
        for text in ["a=skip@1", "a=kill@1+", "nonsense"] {
            assert_eq!(Faults::parse(text).unwrap_err(), FaultError::Release);
        }
        let faults = Faults::parse(" ").unwrap();
        assert!(!faults.hit("lane.no_guard") && !faults.hit_with("lane.no_guard"));
    }
}
