//! What has gone wrong in other systems of this kind, and the test that holds us off it. Each name is of a test that there is.

use std::collections::BTreeSet;

use crate::house::sources;

/// What happened to whom.
type Trap = (&'static str, &'static [&'static str]);

const TRAPS: &[Trap] = &[
    (
        "a reader resumed at its last record, not behind it (Arroyo)",
        &[
            "trap_1_a_resume_inside_a_record_gives_exactly_what_stands_behind_its_position",
            "a_reader_stopped_anywhere_goes_on_after_its_last_batch",
        ],
    ),
    (
        "children of a reshard were begun at LATEST (Arroyo, RisingWave)",
        &[
            "a_stream_that_is_split_and_merged_while_it_is_read_from_latest_loses_and_repeats_nothing",
            "latest_takes_nothing_old_and_loses_nothing_new_over_closed_shards",
        ],
    ),
    (
        "a closed parent that nobody had claimed was skipped (Redpanda Connect 2649)",
        &[
            "a_split_parent_is_read_to_its_end_before_its_children",
            "children_wait_for_a_parent_that_the_other_process_reads",
        ],
    ),
    (
        "the child of a merge was begun before its second parent had ended",
        &["a_cold_start_on_merged_shards_waits_for_both_parents", "the_child_of_a_merge_waits_for_the_slower_parent"],
    ),
    (
        "only the first page of the shards was read (Redpanda Connect)",
        &["more_shards_than_two_pages_of_their_list_are_all_read", "every_page_of_the_list_is_read"],
    ),
    (
        "an iterator expired, or was throttled, before any record came of a start at LATEST (Tenzir 6188, RisingWave)",
        &[
            "trap_6_an_iterator_that_expires_before_any_record_goes_back_to_the_same_instant",
            "throttling_and_a_failing_network_are_waited_out_without_loss",
        ],
    ),
    (
        "a restart exactly at a split lost the children (FLINK-37627)",
        &[
            "a_restart_exactly_at_a_split_reports_the_end_once_more_and_goes_on_with_the_children",
            "a_process_that_is_stopped_right_at_a_split_goes_on_behind_it",
            "a_process_that_is_killed_right_at_a_split_goes_on_behind_it",
        ],
    ),
    (
        "a cold start on a stream that has closed shards failed (Quickwit 5896)",
        &[
            "a_cold_start_at_the_tip_of_a_stream_with_closed_shards_takes_what_is_new_and_nothing_else",
            "a_cold_start_on_merged_shards_waits_for_both_parents",
        ],
    ),
    (
        "a last record that gave no row held the checkpoint back for ever (Quickwit)",
        &["trap_9_an_empty_or_broken_record_moves_the_position_on", "files_begin_and_end_within_records"],
    ),
    (
        "a batch went where its first record belonged (Redpanda Connect)",
        &["sp500_log_through_kinesis_to_s3_is_each_event_once_in_its_partition"],
    ),
    (
        "one key's rotation flushed all keys (Kafka Connect S3, kafka-delta-ingest)",
        &["one_due_buffer_leaves_the_others_alone"],
    ),
    (
        "what was buffered stayed there while nothing came (Kafka Connect S3 144)",
        &["each_limit_cuts_at_its_value_and_not_before", "what_was_taken_is_stored_although_nothing_more_comes"],
    ),
    (
        "rotation by the wall clock gave other files when it was done again (Kafka Connect S3 341)",
        &["a_crash_after_any_write_loses_and_repeats_nothing", "same_rows_give_the_same_bytes_and_other_rows_do_not"],
    ),
    (
        "the answer to a write was lost, and the retry took the object for someone else's, or another of its size for its own (Arroyo 1027)",
        &["a_lost_answer_is_no_conflict", "an_object_of_the_same_size_is_ours_only_if_its_bytes_are"],
    ),
    (
        "a lifecycle rule removed the parts of an unfinished upload: we have none, a file is one PUT",
        &["nothing_is_uploaded_in_parts"],
    ),
    (
        "a key's value broke out of its folder, or readers forgot to unescape it (Vector 25820, Hudi 19342, Paimon 9077)",
        &[
            "hostile_values_never_leave_the_tables_folder",
            "hostile_values_stay_in_their_segment",
            "a_partition_path_comes_back",
        ],
    ),
    (
        "a partition's column stood in the file as well (storage-common 290)",
        &["names_are_lower_case_unique_and_not_the_writers", "members_that_partitions_hold_are_not_unread"],
    ),
    (
        "timestamps in nanoseconds, which engines read wrongly (Redpanda Connect)",
        &["instants_are_milliseconds_in_utc", "parquet_types_are_those_the_engines_agree_on"],
    ),
    ("a feature was left out of the released binary (Vector 25321)", &["no_part_of_the_program_can_be_left_out"]),
    (
        "a record was acknowledged although it was stored nowhere (Vector 19711)",
        &["full_disk_under_the_journal_is_never_a_false_success"],
    ),
    ("a count was compared with ==, and missed (kafka-delta-ingest)", &["each_limit_cuts_at_its_value_and_not_before"]),
    ("tests that were switched off rotted (Quickwit)", &["no_test_is_switched_off"]),
    (
        "ten thousand keys with one record each took all memory",
        &["ten_thousand_partitions_with_one_row_each_become_ten_thousand_files"],
    ),
    (
        "checkpoints cut row groups short (Arroyo): we encode a file when it is cut, as a whole",
        &["metadata_row_groups_and_every_codec"],
    ),
];

#[test]
fn each_trap_has_a_test_that_there_is() {
    let tests = tests_by_name();
    assert!(tests.len() > 300, "only {} tests found", tests.len());
    let missing: Vec<_> = TRAPS.iter().flat_map(|(_, names)| *names).filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "no such test: {missing:?}");
    assert!(TRAPS.iter().all(|(_, names)| !names.is_empty()));
}

/// Functions right below a line that says they are tests.
fn tests_by_name() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in sources() {
        let mut marked = false;
        for line in text.lines().map(str::trim) {
            let function = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
            if let (true, Some((name, _))) = (marked, function.and_then(|rest| rest.split_once('('))) {
                names.insert(name.to_string());
            }
            // Other attributes may stand in between.
            marked = line == "#[test]" || line.starts_with("#[tokio::test") || (marked && line.starts_with("#["));
        }
    }
    names
}
