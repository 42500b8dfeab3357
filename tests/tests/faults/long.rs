//! Faults again and again, and all those on three brokers. Owns nothing.

use harness::NatsChoice;

use super::handover::{Part, Way};
use super::{
    brokers, disk, edges, handover, leaders, minority, remember, rolling, swap, takeover, trial,
};

/// How often the same happens in one test.
const ROUNDS: usize = 5;
/// Deaths of a worker at each of four steps of a commit, and at any moment: two hundred.
const DEATHS: usize = 40;
/// Deaths at each of three steps of a swap, and at any moment: a hundred, on one server and
/// then on three.
const SWAP_DEATHS: usize = 25;
/// Deaths at each of five steps of a trial: a hundred with those at any moment, as above.
const TRIAL_DEATHS: usize = 18;
/// Deaths in trials at any moment.
const TRIAL_DEATHS_AT_RANDOM: usize = 10;
/// Rounds of sixteen deaths in hand-overs, nine of a giver and seven of a taker: more than a
/// hundred.
const HANDOVERS: usize = 7;
/// Deaths of an edge node at each of three steps, and at random: two hundred.
const EDGE_DEATHS: [usize; 2] = [50, 50];
/// In each way.
const HANDED_OVER: [(Part, Way); 4] = [
    (Part::Giver, Way::Leaves),
    (Part::Giver, Way::Shares),
    (Part::Taker, Way::Leaves),
    (Part::Taker, Way::Shares),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_is_exact_over_two_hundred_deaths() {
    remember::is_exact(NatsChoice::One, DEATHS, DEATHS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_is_exact_over_two_hundred_deaths_on_three_servers() {
    remember::is_exact(NatsChoice::Three, DEATHS, DEATHS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edge_nodes_die_two_hundred_times() {
    let [each, random] = EDGE_DEATHS;
    edges::die(NatsChoice::One, each, random).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edge_nodes_die_two_hundred_times_on_three_servers() {
    let [each, random] = EDGE_DEATHS;
    edges::die(NatsChoice::Three, each, random).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_are_restarted_one_after_the_other_under_load() {
    rolling::restart(NatsChoice::One).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_are_restarted_one_after_the_other_under_load_on_three_servers() {
    rolling::restart(NatsChoice::Three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_are_exact_over_a_hundred_deaths() {
    swap::is_exact(NatsChoice::One, SWAP_DEATHS, SWAP_DEATHS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_are_exact_over_a_hundred_deaths_on_three_servers() {
    swap::is_exact(NatsChoice::Three, SWAP_DEATHS, SWAP_DEATHS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trials_are_exact_over_a_hundred_deaths() {
    trial::is_exact(NatsChoice::One, TRIAL_DEATHS, TRIAL_DEATHS_AT_RANDOM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trials_are_exact_over_a_hundred_deaths_on_three_servers() {
    trial::is_exact(NatsChoice::Three, TRIAL_DEATHS, TRIAL_DEATHS_AT_RANDOM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_change_hands_exactly_over_a_hundred_deaths() {
    handover::is_exact(NatsChoice::One, &HANDED_OVER, HANDOVERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_change_hands_exactly_over_a_hundred_deaths_on_three_servers() {
    handover::is_exact(NatsChoice::Three, &HANDED_OVER, HANDOVERS).await;
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
