//! The servers for real: started, used, stopped and killed; and what happens to
//! them when the process that started them is killed.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may panic like the tests themselves"
)]

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use devstack::fetch::{self, Progress};
use devstack::hash::{PinList, sha256};
use devstack::{
    Config, DevstackError, KafkaOptions, KafkaServer, NatsOptions, NatsServer, NatsUser,
    ServerProcess, Stack, StackOptions,
};
use tokio::time::Instant;

/// Longest wait for anything; a busy machine is slow to start Java.
const DEADLINE: Duration = Duration::from_secs(120);

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn nats_options() -> NatsOptions {
    NatsOptions::new(fetch::nats(&Config::from_env(), &|_| {}).unwrap())
}

/// Sends lines of the NATS protocol and returns the answer to the last one,
/// after skipping what answers the connection itself.
fn nats_request(url: &str, connect: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("nats://")).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "CONNECT {connect}\r\n{lines}").unwrap();
    let mut answers = BufReader::new(stream).lines();
    answers
        .find_map(|line| {
            let line = line.unwrap();
            let noise = ["INFO", "MSG", "HMSG", "PING"];
            (!noise.iter().any(|word| line.starts_with(word))).then_some(line)
        })
        .unwrap()
}

/// A JetStream API request; returns the JSON of its answer.
fn jetstream(url: &str, subject: &str, body: &str) -> String {
    let length = body.len();
    let lines = format!("SUB inbox 1\r\nPUB {subject} inbox {length}\r\n{body}\r\n");
    nats_request(url, r#"{"verbose":false}"#, &lines)
}

#[test]
fn nats_is_ready_and_keeps_its_data_and_port_across_a_kill() {
    let mut server = NatsServer::start(nats_options()).unwrap();
    let (url, pid) = (server.url(), server.pid().unwrap());
    let stream = r#"{"name":"S","subjects":["s"]}"#;
    let created = jetstream(&url, "$JS.API.STREAM.CREATE.S", stream);
    assert!(created.contains("\"did_create\":true"), "{created}");
    assert!(jetstream(&url, "s", "hello").contains("\"seq\":1"));

    server.kill().unwrap();
    assert_eq!(server.pid(), None);
    assert!(matches!(
        server.pause(),
        Err(DevstackError::NotRunning { .. })
    ));
    server.restart().unwrap();
    assert_eq!(server.url(), url);
    assert_ne!(server.pid(), Some(pid));
    assert!(jetstream(&url, "s", "again").contains("\"seq\":2"));

    server.stop().unwrap();
    assert!(TcpStream::connect(url.trim_start_matches("nats://")).is_err());
}

#[test]
fn a_paused_nats_answers_only_after_it_goes_on_and_can_be_stopped() {
    let mut server = NatsServer::start(nats_options()).unwrap();
    server.pause().unwrap();
    // The kernel accepts for the frozen server; the answer must wait for it.
    let mut stream = TcpStream::connect(server.url().trim_start_matches("nats://")).unwrap();
    stream.set_nonblocking(true).unwrap();
    let silent = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    server.resume().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 1);

    server.pause().unwrap();
    server.stop().unwrap();
}

#[test]
fn users_have_the_permissions_they_were_given() {
    let mut options = nats_options();
    options.users = vec![NatsUser {
        name: "edge".to_owned(),
        password: "secret".to_owned(),
        publish_allow: vec!["in.>".to_owned()],
        ..NatsUser::default()
    }];
    let server = NatsServer::start(options).unwrap();
    let good = r#"{"verbose":false,"user":"edge","pass":"secret"}"#;
    let bad = r#"{"verbose":false,"user":"edge","pass":"guess"}"#;
    let answer = |connect, lines| nats_request(&server.url(), connect, lines);
    assert_eq!(answer(good, "PUB in.a 0\r\n\r\nPING\r\n"), "PONG");
    assert!(answer(good, "PUB ev.a 0\r\n\r\n").contains("Permissions Violation"));
    assert!(answer(bad, "PING\r\n").contains("Authorization Violation"));
}

#[test]
fn one_data_folder_serves_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = nats_options();
    options.data = Some(folder.path().to_path_buf());
    let first = NatsServer::start(options.clone()).unwrap();
    let second = NatsServer::start(options.clone());
    assert!(matches!(second, Err(DevstackError::DataInUse { .. })));
    drop(first);
    NatsServer::start(options).unwrap();
}

#[test]
fn a_server_that_refuses_its_settings_is_reported_with_its_log() {
    let mut options = nats_options();
    options.extra = "no_such_setting: 1\n".to_owned();
    let error = NatsServer::start(options).unwrap_err();
    assert!(matches!(error, DevstackError::Exited { .. }));
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

/// Asks Kafka to create a topic of one partition; returns its error code.
fn create_topic(bootstrap: &str, name: &str) -> i16 {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&length, text.as_bytes()].concat()
    };
    // CreateTopics version 2: one topic, one partition, one copy, no assigned
    // replicas, no settings; time-out in ms; not a dry run.
    let topic = [&text(name)[..], &[0, 0, 0, 1, 0, 1], &[0; 8]].concat();
    let head = [&[0, 19, 0, 2, 0, 0, 0, 7][..], &text("test")].concat();
    let body = [&head[..], &[0, 0, 0, 1], &topic, &[0, 0, 0x75, 0x30, 0]].concat();
    let mut stream = TcpStream::connect(bootstrap).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &body].concat()).unwrap();

    // Length, correlation, throttle time, count, name, error code.
    let mut answer = vec![0; 4 + 4 + 4 + 4 + 2 + name.len() + 2];
    stream.read_exact(&mut answer).unwrap();
    let code = answer.last_chunk().unwrap();
    i16::from_be_bytes(*code)
}

#[test]
fn kafka_is_ready_and_keeps_its_data_and_port_across_a_kill() {
    const TOPIC_ALREADY_EXISTS: i16 = 36;
    let runtime = fetch::kafka(&Config::from_env(), &|_| {}).unwrap();
    let mut server = KafkaServer::start(KafkaOptions::new(runtime)).unwrap();
    let bootstrap = server.bootstrap();
    assert_eq!(create_topic(&bootstrap, "kept"), 0);

    server.pause().unwrap();
    server.resume().unwrap();
    assert_eq!(create_topic(&bootstrap, "other"), 0);
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(server.bootstrap(), bootstrap);
    assert_eq!(create_topic(&bootstrap, "kept"), TOPIC_ALREADY_EXISTS);

    server.stop().unwrap();
    assert!(TcpStream::connect(&bootstrap).is_err());
}

#[test]
fn servers_that_run_already_are_taken_and_left_running() {
    let runtime = fetch::kafka(&Config::from_env(), &|_| {}).unwrap();
    let kafka = KafkaServer::start(KafkaOptions::new(runtime)).unwrap();
    let nats = NatsServer::start(nats_options()).unwrap();
    let mut config = Config::from_env();
    config.nats_url = Some(nats.url());
    config.kafka_bootstrap = Some(kafka.bootstrap());
    let mut stack = Stack::start(&config, StackOptions::default(), &|_| {}).unwrap();
    assert_eq!(stack.nats_url(), nats.url());
    assert_eq!(stack.kafka_bootstrap(), Some(kafka.bootstrap().as_str()));
    assert_eq!(stack.processes(), [None, None]);
    stack.stop().unwrap();
    assert_eq!(
        nats_request(&nats.url(), "{\"verbose\":false}", "PING\r\n"),
        "PONG"
    );
    assert_eq!(create_topic(&kafka.bootstrap(), "still-there"), 0);
}

/// Runs `devstack up` until both servers are ready.
fn start_up(folder: &Path) -> ServerProcess {
    // Fetching may take longer than our deadline, so it is done before.
    fetch::all(&Config::from_env(), &|_| {}).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_devstack"));
    command.arg("up").stdin(Stdio::null());
    let mut parent = ServerProcess::start("devstack up", command, &folder.join("log")).unwrap();
    wait_until("both servers are up", || {
        assert!(parent.exit_status().is_none(), "{}", parent.log_text());
        parent.log_text().contains("Ctrl-C stops both.")
    });
    parent
}

#[test]
fn no_server_survives_a_killed_parent() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = start_up(folder.path());
    let text = parent.log_text();
    let addresses: Vec<String> = ["NATS   nats://", "Kafka  "]
        .iter()
        .map(|label| word_after(&text, label))
        .collect();
    let pids: Vec<String> = text
        .lines()
        .filter(|line| line.contains("  pid "))
        .map(|line| word_after(line, "  pid "))
        .collect();
    assert_eq!(pids.len(), 2, "{text}");
    for address in &addresses {
        TcpStream::connect(address).unwrap();
    }

    parent.kill().unwrap();
    for (address, pid) in addresses.iter().zip(&pids) {
        wait_until("the server is gone", || {
            TcpStream::connect(address).is_err() && !is_alive(pid)
        });
    }
}

#[test]
fn an_asked_for_end_stops_both_servers() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = start_up(folder.path());
    let status = parent.stop(DEADLINE).unwrap();
    assert!(status.success(), "{status}: {}", parent.log_tail());
    let address = word_after(&parent.log_text(), "Kafka  ");
    assert!(TcpStream::connect(address).is_err());
}

fn word_after(text: &str, label: &str) -> String {
    let rest = text.split_once(label).unwrap().1;
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Whether a process runs; one that has ended and waits to be reaped does not.
fn is_alive(pid: &str) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        return false;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| &rest[..1]);
    !matches!(state, None | Some("Z" | "X"))
}

#[test]
fn a_wrong_hash_is_refused_with_file_and_both_hashes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jar"), b"tampered").unwrap();
    let pinned = sha256(b"original");
    let pins = PinList::parse(&format!("{pinned}  a.jar\n")).unwrap();
    let message = pins.verify_folder(folder.path()).unwrap_err().to_string();
    for part in ["a.jar", &pinned, &sha256(b"tampered")] {
        assert!(message.contains(part), "{message}");
    }
}

/// A Python whose pip delivers a wheel that somebody has tampered with.
const FALSE_PYTHON: &str = r#"#!/bin/sh
case "$*" in *download*)
    for last; do :; done
    mkdir -p "$last" && echo tampered > "$last/$(sed -n '1s/.* //p' "$PINS")" ;;
esac
"#;

#[test]
fn a_fetch_says_each_step_and_keeps_nothing_that_was_tampered_with() {
    let (tools, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pins = concat!(env!("CARGO_MANIFEST_DIR"), "/nats.sha256");
    let python = tools.path().join("python3");
    std::fs::write(&python, FALSE_PYTHON.replace("$PINS", pins)).unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = Config::from_env();
    config.search_path = vec![tools.path().to_path_buf()];
    config.cache = cache.path().to_path_buf();
    let seen = RefCell::new(Vec::new());
    let fetched = fetch::nats(&config, &|step| seen.borrow_mut().push(step.to_string()));
    assert!(
        matches!(fetched, Err(DevstackError::HashMismatch { .. })),
        "{fetched:?}"
    );
    let seen = seen.into_inner();
    let expected = [
        "nats-server: fetching version 2.15.1 (7 MB)",
        "nats-server: checking its hash",
    ];
    assert_eq!(seen, expected);
    let folders = std::fs::read_dir(cache.path()).unwrap();
    assert_eq!(
        folders
            .filter(|entry| entry.as_ref().unwrap().path().is_dir())
            .count(),
        0
    );
}

#[test]
fn what_is_cached_needs_neither_work_nor_the_programs_that_fetch() {
    let mut config = Config::from_env();
    let first = fetch::all(&config, &|_| {}).unwrap();
    // Nothing but Java can be found now, so nothing could be fetched.
    config.java_home = first
        .kafka
        .java
        .parent()
        .unwrap()
        .parent()
        .map(Path::to_path_buf);
    config.search_path.clear();
    if !first.nats.starts_with(&config.cache) {
        config.search_path = vec![first.nats.parent().unwrap().to_path_buf()];
    }
    let seen = RefCell::new(Vec::new());
    let second = fetch::all(&config, &|progress| seen.borrow_mut().push(progress)).unwrap();
    assert_eq!(second.nats, first.nats);
    let seen = seen.into_inner();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(
        seen.iter()
            .all(|step| matches!(step, Progress::Ready { .. }))
    );
}

#[test]
fn without_kafka_nothing_of_it_is_needed() {
    let mut config = Config::from_env();
    let nats = fetch::nats(&config, &|_| {}).unwrap();
    config.kafka_bootstrap = None;
    config.java_home = None;
    config.search_path = vec![nats.parent().unwrap().to_path_buf()];
    let both = Stack::start(&config, StackOptions::default(), &|_| {});
    assert!(both.unwrap_err().to_string().contains("Java"));
    let options = StackOptions {
        without_kafka: true,
        ..StackOptions::default()
    };
    let mut alone = Stack::start(&config, options, &|_| {}).unwrap();
    assert!(alone.kafka_bootstrap().is_none() && alone.kafka().is_none());
    assert!(alone.nats().is_some());
    alone.stop().unwrap();
}

#[test]
fn each_missing_program_is_one_sentence() {
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_devstack"))
        .arg("check")
        .env("PATH", "")
        .env_remove("JAVA_HOME")
        .env("EDDYLINE_CACHE", cache.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    for program in ["C compiler", "Make", "Java", "Maven"] {
        let mut lines = text
            .lines()
            .filter(|line| line.starts_with(program) || line.starts_with(&format!("A {program}")));
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no {program} in {text}"));
        assert!(line.contains("install") && line.ends_with('.'), "{line}");
        assert_eq!(lines.next(), None);
    }
    assert!(
        text.contains("Python") || text.contains("nats-server"),
        "{text}"
    );
}
