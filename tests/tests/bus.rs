//! The conformance suite of the bus: what JetStream does, held against nats-server and
//! against the model that stands in for it in simulations. Each case has its own
//! server or model, and a cluster of three in turn.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod bus {
    mod age;
    mod batches;
    mod fixture;
    mod follow;
    mod foreign;
    mod kv;
    mod live;
    mod publish;
    mod read;
    mod secured;
    mod setup;
    mod state;

    /// Makes a test of each case, on whatever runs it.
    macro_rules! each {
        ($on:ident: $($module:ident { $($case:ident)* })*) => {
            $(mod $module {
                $(#[test] fn $case() {
                    crate::bus::fixture::$on(crate::bus::$module::$case);
                })*
            })*
        };
    }

    /// The whole suite, on whatever runs it.
    macro_rules! suite {
        ($on:ident) => {
            each! { $on:
                age {
                    a_full_log_makes_room_for_what_is_new
                    age_takes_events_and_keeps_the_count
                    an_id_is_forgotten_after_its_window
                    what_age_took_is_no_predecessor
                }
                batches {
                    a_batch_is_contiguous_and_in_order_among_other_publishes
                    a_condition_on_what_its_batch_has_written_is_refused
                    a_duplicate_refuses_the_whole_batch_and_burns_no_ids
                    a_refused_guard_refuses_the_whole_batch
                    an_id_twice_in_a_batch_refuses_it
                    batches_left_open_keep_others_out_until_they_are_given_up
                    many_batches_at_once_all_land
                    no_part_of_a_batch_that_does_not_fit_is_stored
                }
                live {
                    a_break_is_counted_and_subscriptions_go_on
                    a_dropped_subscription_hears_nothing
                    only_events_are_republished
                    what_is_stored_is_heard_by_who_subscribes_to_it
                    without_a_stream_a_message_is_only_heard
                }
                follow {
                    a_cancelled_wait_loses_nothing
                    a_reader_survives_restarts_of_the_server
                    a_reader_survives_the_loss_of_its_consumer
                    a_reader_yields_each_event_once_in_batches
                    a_stream_made_anew_is_not_read_as_if_it_were_the_old_one
                    large_events_pass_a_small_bound_of_bytes
                }
                foreign {
                    a_reader_gets_past_them
                    runs_and_ranges_hold_them
                    who_knows_them_breaks_no_more
                    who_listens_hears_what_comes_after
                }
                kv {
                    a_kept_lease_outlives_its_time_and_is_released
                    a_lease_passes_on_only_when_it_has_ended
                    a_stolen_lease_is_noticed_at_the_next_renewal
                    a_watch_tells_what_is_there_and_what_changes
                    an_entry_ends_with_its_time_and_its_revision_is_never_used_again
                    changes_are_compare_and_set
                    what_a_bucket_holds_under_a_filter_is_read_at_once
                    what_a_bucket_stores_is_repeated_with_its_revision
                    only_the_last_of_a_key_is_told_and_deletions_are
                }
                publish {
                    a_condition_on_the_stream_is_its_last_sequence
                    a_full_stream_refuses_and_keeps_what_it_has
                    a_known_id_meets_its_condition_before_or_after
                    a_lost_connection_is_said_and_found_again
                    a_publish_is_stored_once_however_often_it_is_sent
                    bytes_are_counted_as_the_store_counts_them
                    headers_are_checked_trimmed_and_sorted
                    the_order_of_calls_is_the_order_of_the_stream
                    what_cannot_be_stored_is_refused_by_name
                }
                read {
                    a_filter_has_a_last_event
                    a_time_finds_the_first_event_from_it_on
                    an_event_is_the_same_on_every_path
                    dead_letters_are_copied
                    every_event_finds_the_one_before
                    short_and_long_ranges_are_complete
                    tails_of_many_subjects_in_one_call
                    what_is_not_there_is_said
                }
                setup {
                    a_bootstrap_repeats_and_tells_differences
                    a_second_store_shares_the_buckets
                    a_store_is_changed_and_read_back
                    a_store_is_removed_with_what_it_holds_only_if_told_so
                    modules_round_trip
                }
                state {
                    two_versions_are_kept_of_what_is_replaced_behind_a_fence
                }
            }
        };
    }

    /// The model, in virtual time.
    mod model {
        suite!(on_model);
    }

    /// One nats-server.
    mod one {
        suite!(on_server);
    }

    /// Three nats-servers, each stream on all of them.
    mod three {
        suite!(on_cluster);
    }

    /// What only servers have.
    mod server {
        each! { on_server:
            follow { a_dropped_reader_leaves_no_consumer }
            live { connected_means_that_reading_and_writing_are }
            publish { what_waited_for_a_broken_connection_is_never_sent }
        }
    }
}
