//! Three nats-servers, and three brokers, as one cluster for real: who leads is told, whoever is killed or
//! frozen comes back, and what was stored is there.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may panic like the tests themselves"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use devstack::{
    Config, KafkaCluster, KafkaClusterPlan, KafkaOptions, NatsCluster, NatsClusterPlan,
    NatsOptions, fetch,
};
use tokio::time::Instant;

/// Longest wait for anything: an election on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// Servers of a cluster.
const SERVERS: usize = 3;

fn cluster() -> NatsCluster {
    let node = NatsOptions::new(fetch::nats(&Config::from_env(), &|_| {}).unwrap());
    NatsCluster::start(NatsClusterPlan::new(&node, SERVERS).unwrap()).unwrap()
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A request to one server; the JSON of its answer, `None` if there is none.
fn ask(cluster: &NatsCluster, server: usize, subject: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(cluster.server(server).address()).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let length = body.len();
    write!(
        stream,
        "CONNECT {{\"verbose\":false}}\r\nSUB inbox 1\r\nPUB {subject} inbox {length}\r\n{body}\r\n"
    )
    .ok()?;
    let mut answers = BufReader::new(stream).lines().map_while(Result::ok);
    answers.find(|line| line.starts_with('{'))
}

fn publish(cluster: &NatsCluster, server: usize) -> Option<String> {
    ask(cluster, server, "s", "hello").filter(|answer| answer.contains("\"seq\":"))
}

#[test]
fn a_leader_is_killed_and_comes_back_to_a_whole_cluster() {
    let mut cluster = cluster();
    let stream = r#"{"name":"S","subjects":["s"],"num_replicas":3}"#;
    let created = ask(&cluster, 0, "$JS.API.STREAM.CREATE.S", stream).unwrap();
    assert!(created.contains("\"did_create\":true"), "{created}");
    let leader = wait_for("somebody leads", || cluster.leader("S"));
    assert!(publish(&cluster, leader).unwrap().contains("\"seq\":1"));

    cluster.server_mut(leader).kill().unwrap();
    let next = wait_for("somebody else leads", || {
        cluster.leader("S").filter(|next| *next != leader)
    });
    let stored = wait_for("the others store", || publish(&cluster, next));
    assert!(stored.contains("\"seq\":2"), "{stored}");

    cluster.server_mut(leader).restart().unwrap();
    cluster.whole().unwrap();
    assert!(publish(&cluster, leader).unwrap().contains("\"seq\":3"));
}

#[test]
fn two_frozen_servers_leave_no_leader_until_they_go_on() {
    let mut cluster = cluster();
    let stream = r#"{"name":"S","subjects":["s"],"num_replicas":3}"#;
    ask(&cluster, 1, "$JS.API.STREAM.CREATE.S", stream).unwrap();
    let leader = wait_for("somebody leads", || cluster.leader("S"));
    let frozen = [(leader + 1) % SERVERS, (leader + 2) % SERVERS];
    for server in frozen {
        cluster.server_mut(server).pause().unwrap();
    }
    assert_eq!(
        publish(&cluster, leader),
        None,
        "one of three stores nothing"
    );
    for server in frozen {
        cluster.server_mut(server).resume().unwrap();
    }
    cluster.whole().unwrap();
    wait_for("three store", || publish(&cluster, frozen[0]));
    assert!(cluster.meta_leader().is_some());
}

#[test]
fn a_transaction_coordinator_is_killed_and_another_broker_takes_its_work() {
    let runtime = fetch::kafka(&Config::from_env(), &|_| {}).unwrap();
    let plan = KafkaClusterPlan::new(&KafkaOptions::new(runtime), SERVERS, SERVERS).unwrap();
    let mut kafka = KafkaCluster::start(plan).unwrap();
    let coordinator = wait_for("there is a coordinator", || {
        kafka.transaction_coordinator("somebody").ok()
    });
    kafka.broker_mut(coordinator).kill().unwrap();
    let next = wait_for("another coordinator", || {
        let next = kafka.transaction_coordinator("somebody").ok();
        next.filter(|next| *next != coordinator)
    });
    kafka.broker_mut(next).pause().unwrap();
    kafka.broker_mut(next).resume().unwrap();
    kafka.restart(&[coordinator]).unwrap();
    assert!(kafka.transaction_coordinator("somebody").is_ok());
}
