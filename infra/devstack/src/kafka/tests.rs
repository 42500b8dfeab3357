//! The broker settings: what the caller adds wins.

use std::path::{Path, PathBuf};

use super::*;
use crate::fetch::KafkaRuntime;

fn options() -> KafkaOptions {
    KafkaOptions::new(KafkaRuntime {
        java: PathBuf::from("java"),
        jars: PathBuf::from("jars"),
    })
}

#[test]
fn records_are_kept_unless_a_retention_is_set() {
    let mut options = options();
    let render = |options: &KafkaOptions| options.render(1, 2, Path::new("d"));
    assert!(render(&options).contains("log.retention.ms=-1\n"));
    options.retention_ms = Some(5000);
    assert!(render(&options).contains("log.retention.ms=5000\n"));
}

#[test]
fn extra_settings_come_last_and_so_win() {
    let mut options = options();
    options.extra = vec![("num.io.threads".to_owned(), "9".to_owned())];
    let text = options.render(1, 2, Path::new("d"));
    assert!(text.ends_with("num.io.threads=9\n"), "{text}");
}

#[test]
fn a_failed_start_quotes_the_lines_that_name_the_cause() {
    let log = "INFO a\nERROR cannot bind\n\tat java.Thing\nINFO b";
    assert_eq!(errors_first(log).as_deref(), Some("ERROR cannot bind"));
    assert_eq!(errors_first("INFO a"), None);
}
