//! Faults that take seconds, each once. Owns nothing.

use super::{disk, leaders, minority, takeover};

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
