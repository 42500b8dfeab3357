//! Faults again and again, and all those on three brokers. Owns nothing.

use harness::NatsChoice;

use super::{brokers, disk, leaders, minority, remember, takeover};

/// How often the same happens in one test.
const ROUNDS: usize = 5;
/// Deaths of a worker at each of four steps of a commit, and at any moment: two hundred.
const DEATHS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_is_exact_over_two_hundred_deaths() {
    remember::is_exact(NatsChoice::One, DEATHS, DEATHS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_is_exact_over_two_hundred_deaths_on_three_servers() {
    remember::is_exact(NatsChoice::Three, DEATHS, DEATHS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_leaders_die_one_after_the_other() {
    leaders::die(2 * ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minorities_are_cut_off_and_healed() {
    minority::is_cut_off(ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takeovers_lose_the_leader_of_the_leases() {
    takeover::loses_the_leases(ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_is_full_again_and_again() {
    disk::is_full(ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coordinators_and_partition_leaders_die() {
    brokers::leaders_die(ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_copies_are_in_sync_until_there_are_enough() {
    brokers::are_too_few(ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_hears_nothing_of_kafka_for_a_while() {
    brokers::fall_silent(ROUNDS).await;
}
