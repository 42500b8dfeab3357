//! Faults that take seconds, each once. Owns nothing.

use harness::NatsChoice;

use super::handover::{Part, Way};
use super::{disk, edges, handover, leaders, minority, remember, swap, takeover, trial};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_is_exact_however_workers_die() {
    remember::is_exact(NatsChoice::One, 3, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_are_exact_however_workers_die() {
    swap::is_exact(NatsChoice::One, 3, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trials_are_exact_however_workers_die() {
    trial::is_exact(NatsChoice::One, 2, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_change_hands_exactly_however_workers_die_that_leave() {
    handover::is_exact(NatsChoice::One, &[(Part::Giver, Way::Leaves)], 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_change_hands_exactly_however_workers_die_that_give_a_share() {
    handover::is_exact(NatsChoice::One, &[(Part::Giver, Way::Shares)], 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_change_hands_exactly_however_their_takers_die() {
    let takers = [(Part::Taker, Way::Leaves), (Part::Taker, Way::Shares)];
    handover::is_exact(NatsChoice::One, &takers, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edge_nodes_die_between_storing_and_telling() {
    edges::die(NatsChoice::One, 4, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_leader_dies_under_traffic() {
    leaders::die(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_is_cut_off_with_an_edge_node_and_healed() {
    minority::is_cut_off(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_of_the_leases_dies_during_a_takeover() {
    takeover::loses_the_leases(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_of_one_server_is_full_and_has_room_again() {
    disk::is_full(1).await;
}
