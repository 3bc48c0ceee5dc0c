//! Examples that are longer than the rows of training: kept, dropped, cut or refused, and counted.

use super::*;
use crate::common::fixture;
use llama_train::config::OnTooLong;
use serde_json::json;

/// The five conversations have 39, 78, 95, 47 and 68 tokens.
fn case(rule: Option<OnTooLong>, seq_len: u64) -> Case {
    let rows = fs::read(fixture("9_stream/conversations.jsonl")).unwrap();
    let mut case = Case::of_kind(Kind::Instruct, &[("a.jsonl", &rows)]);
    case.config.on_too_long = rule;
    case.seq_len = seq_len;
    case
}

fn lengths(case: &Case) -> Vec<usize> {
    let examples = case.masked(Split::Train).into_iter();
    examples.map(|(ids, _)| ids.len()).collect()
}

#[test]
fn conversations_go_by_the_rule() {
    for (rule, seq_len, expected, counts) in [
        (None, 46, vec![39, 78, 95, 47, 68], (0, 0, 95)),
        (Some(OnTooLong::Drop), 46, vec![39, 47], (3, 0, 47)),
        (Some(OnTooLong::Drop), 45, vec![39], (4, 0, 39)),
        // Only of the first and the last an answer begins within 37 tokens.
        (
            Some(OnTooLong::Truncate),
            67,
            vec![39, 68, 68, 47, 68],
            (0, 2, 68),
        ),
        (Some(OnTooLong::Truncate), 36, vec![37, 37], (3, 2, 37)),
    ] {
        let case = case(rule, seq_len);
        let summary = case.run().unwrap();
        assert_eq!(lengths(&case), expected, "{rule:?} {seq_len}");
        let (too_long, truncated, longest) = counts;
        for (key, count) in [
            ("too_long", too_long),
            ("truncated", truncated),
            ("longest", longest),
        ] {
            assert_eq!(summary[key], count, "{key} {rule:?} {seq_len}: {summary}");
        }
    }
    let (message, bad_request) = case(Some(OnTooLong::Error), 60).error();
    assert!(bad_request, "{message}");
    for part in [
        "a.jsonl:2: ",
        "an example of 78 tokens, more than the 61 that train.seq_len allows",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let (message, bad_request) = case(Some(OnTooLong::Drop), 10).error();
    assert!(
        bad_request && message.contains("5 are longer than train.seq_len allows"),
        "{message}"
    );
}

/// Training with the same length finds that every row fits.
#[test]
fn what_is_kept_fits_a_row_of_training() {
    let case = case(Some(OnTooLong::Drop), 77);
    case.run().unwrap();
    let folder = PreparedFolder::open(&case.out(), Split::Train, case.kind).unwrap();
    let shards = folder.into_instruct_shards().unwrap();
    let layout = llama_train::data::RowLayout::Packed;
    let rows = llama_train::data::InstructDataset::new(shards, 77, 640, layout, OnTooLong::Error);
    assert_eq!(rows.unwrap().examples(), 4);
}

/// The prompt loses its beginning, as in training: an answer without its end teaches not to end.
#[test]
fn pairs_go_by_the_rule() {
    let pair = |chosen: &[u32], rejected: &[u32]| json!({"prompt_ids": [1, 2, 3], "chosen_ids": chosen, "rejected_ids": rejected});
    let rows = [
        pair(&[4, 5], &[6]),
        pair(&[4, 5, 6, 7], &[6]),
        pair(&[4], &[4, 5, 6, 7]),
        json!({"prompt_ids": [1, 2, 3, 4, 5, 6], "chosen_ids": [1], "rejected_ids": [2]}),
    ];
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let mut case = Case::of_kind(Kind::Preference, &[("a.jsonl", lines.as_bytes())]);
    case.config.pretokenized = true;
    case.seq_len = 4;
    case.config.on_too_long = Some(OnTooLong::Drop);
    let summary = case.run().unwrap();
    assert_eq!(
        (&summary["documents"], &summary["too_long"]),
        (&json!(1), &json!(3))
    );
    case.config.on_too_long = Some(OnTooLong::Truncate);
    case.config.out = Some(case.dir.path().join("cut"));
    let summary = case.run().unwrap();
    assert_eq!(
        case.pairs(),
        [
            [vec![1, 2, 3], vec![4, 5], vec![6]],
            [vec![3], vec![4, 5, 6, 7], vec![6]],
            [vec![3], vec![4], vec![4, 5, 6, 7]],
            [vec![3, 4, 5, 6], vec![1], vec![2]],
        ]
    );
    assert_eq!(
        (
            &summary["truncated"],
            &summary["too_long"],
            &summary["longest"]
        ),
        (&json!(3), &json!(0), &json!(5))
    );
}
