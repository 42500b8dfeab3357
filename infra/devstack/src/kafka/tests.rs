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
fn a_member_is_a_controller_only_where_it_is_named_as_one() {
    let mut options = options();
    let mut text = |id, side_door| {
        options.member = Some(KafkaMember {
            id,
            cluster_id: "x".repeat(22),
            controllers: vec!["127.0.0.1:7".to_owned()],
            side_door,
        });
        options.render(1, 2, Path::new("d"))
    };
    let first = text(1, None);
    assert!(
        first.contains("process.roles=broker,controller\n"),
        "{first}"
    );
    assert!(first.contains("min.insync.replicas=2\n"), "{first}");
    let door = Some(("127.0.0.1:8".to_owned(), "127.0.0.1:9".to_owned()));
    let second = text(2, door);
    assert!(second.contains("process.roles=broker\n"), "{second}");
    assert!(
        second.contains("listeners=PLAINTEXT://127.0.0.1:1,SIDE://127.0.0.1:8\n"),
        "{second}"
    );
    assert!(second.contains(",SIDE://127.0.0.1:9\n"), "{second}");
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
