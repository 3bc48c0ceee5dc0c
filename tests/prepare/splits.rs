//! What decides which document lands where, and what does not.

use super::*;

#[test]
fn the_bytes_do_not_depend_on_the_number_of_workers() {
    // More than one batch, a document larger than a batch, bad rows in between, and a cut in the middle.
    let mut rows = jsonl(4000);
    rows.extend(format!("{{\"text\": \"{}\"}}\nnot json\n", "large ".repeat(60_000)).into_bytes());
    rows.extend(jsonl(4000));
    let mut case = Case::new(&[("a.jsonl", &rows)]);
    case.config.max_bad_rows = 1;
    case.config.val_fraction = 0.1;
    case.config.shard_tokens = 50_000;
    for max_tokens in [0, 700_000] {
        case.config.max_tokens = max_tokens;
        let mut made = Vec::new();
        for workers in [1, 2, 5] {
            case.config.workers = workers;
            case.config.out = Some(case.dir.path().join(format!("out_{workers}_{max_tokens}")));
            case.run().unwrap();
            made.push(case.files());
        }
        assert!(made[0].len() > 10);
        assert!(made[0] == made[1] && made[0] == made[2]);
    }
}

#[test]
fn both_splits_are_complete_and_apart_and_do_not_depend_on_order() {
    let rows = jsonl(600);
    let mut case = Case::new(&[("a.jsonl", &rows)]);
    case.config.val_fraction = 0.1;
    case.run().unwrap();
    let (train, val) = (case.documents(Split::Train), case.documents(Split::Val));
    assert_eq!(train.len() + val.len(), 600);
    assert!((30..100).contains(&val.len()), "{}", val.len());
    let mut lines: Vec<&[u8]> = rows.split_inclusive(|byte| *byte == b'\n').collect();
    lines.reverse();
    let mut other = Case::new(&[("a.jsonl", &lines.concat())]);
    other.config.val_fraction = 0.1;
    other.run().unwrap();
    let reversed: Vec<String> = val.iter().rev().cloned().collect();
    assert_eq!(other.documents(Split::Val), reversed);
}

#[test]
fn two_documents_are_enough_for_both_splits_and_one_is_trained_on() {
    let mut case = Case::new(&[("a.txt", b"one"), ("b.txt", b"two")]);
    case.config.val_fraction = 0.01;
    case.run().unwrap();
    assert_eq!(
        (
            case.documents(Split::Train).len(),
            case.documents(Split::Val).len()
        ),
        (1, 1)
    );
    let mut single = Case::new(&[("a.txt", b"one")]);
    single.config.val_fraction = 0.9;
    single.run().unwrap();
    assert_eq!(single.documents(Split::Train), ["one"]);
    assert!(
        PreparedFolder::open(&single.out(), Split::Val, single.kind)
            .unwrap()
            .shards()
            .is_empty()
    );
}

#[test]
fn tokens_for_validation_are_reached_by_whole_documents_in_any_order() {
    let rows = jsonl(600);
    let held_out = |rows: &[u8]| {
        let mut case = Case::new(&[("a.jsonl", rows)]);
        case.config.val_tokens = 2000;
        let summary = case.run().unwrap();
        let mut documents = case.documents(Split::Val);
        documents.sort();
        (summary["val"]["tokens"].as_u64().unwrap(), documents)
    };
    let (tokens, documents) = held_out(&rows);
    assert!((2000..2200).contains(&tokens), "{tokens}");
    let mut lines: Vec<&[u8]> = rows.split_inclusive(|byte| *byte == b'\n').collect();
    lines.reverse();
    assert_eq!(held_out(&lines.concat()), (tokens, documents));
    let mut case = Case::new(&[("a.jsonl", &rows)]);
    case.config.val_tokens = 1_000_000;
    let (message, bad_request) = case.error();
    assert!(
        bad_request && message.contains("prepare.val_tokens = 1000000"),
        "{message}"
    );
}

#[test]
fn a_text_that_comes_again_is_left_out_whoever_works() {
    let rows = [jsonl(300), jsonl(300), jsonl(310)].concat();
    let mut once = Case::new(&[("a.jsonl", &jsonl(310))]);
    once.config.val_fraction = 0.1;
    once.run().unwrap();
    for workers in [1, 5] {
        let mut case = Case::new(&[("a.jsonl", &rows)]);
        case.config.val_fraction = 0.1;
        case.config.workers = workers;
        case.config.dedup = llama_train::config::Dedup::Exact;
        let summary = case.run().unwrap();
        assert_eq!(
            (&summary["documents"], &summary["duplicate_documents"]),
            (&310.into(), &600.into())
        );
        for split in [Split::Train, Split::Val] {
            assert_eq!(case.documents(split), once.documents(split));
        }
    }
}

#[test]
fn limits_are_kept_exactly() {
    let mut case = Case::new(&[("a.jsonl", &jsonl(100))]);
    case.config.max_documents = 7;
    assert_eq!(case.run().unwrap()["documents"], 7);
    case.config.max_documents = 0;
    case.config.max_tokens = 123;
    case.config.out = Some(case.dir.path().join("cut"));
    assert_eq!(case.run().unwrap()["tokens"], 123);
    assert_eq!(case.tokens(Split::Train).len(), 123);
}
